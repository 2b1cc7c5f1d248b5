import DeviceSimulation
import Foundation
import TestSupport
import Testing

/// The real binary as systemd sees it: readiness, watchdog, status line, reload, stop.
@Suite(.serialized) struct ServiceTests {
  private func start(
    _ workspace: Workspace, _ arguments: [String] = ["--simulate"], environment: [String: String] = [:]
  ) throws -> Program {
    try Program(
      Program.thermograph, ["run", "--config", workspace.folder + "/thermograph.toml"] + arguments,
      in: workspace.folder, environment: environment)
  }

  private func status(_ workspace: Workspace) async throws -> (status: Int32, report: [String: Any]) {
    let result = try await Program.run(
      ["status", "--json", "--config", workspace.folder + "/thermograph.toml"], in: workspace.folder)
    let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
    return (result.status, object ?? [:])
  }

  @Test func systemdIsToldAndTheWatchdogIsFed() async throws {
    let workspace = try Workspace()
    try workspace.configure(port: 1883, captures: 0)
    let systemd = try NotifyReceiver(at: workspace.folder + "/notify")
    let device = try start(
      workspace,
      environment: ["NOTIFY_SOCKET": workspace.folder + "/notify", "WATCHDOG_USEC": "900000"])
    try await eventually("READY comes", context: { device.errors }) { systemd.holds("READY=1") }
    try await eventually("the watchdog is fed three times", context: { device.errors }) {
      systemd.messages.count { $0 == "WATCHDOG=1" } >= 3
    }
    try await eventually("the status says how it is") { systemd.holds("STATUS=ready for a tag; nothing waits; line ") }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(systemd.holds("STOPPING=1"))
  }

  @Test func aBusThatHangsStarvesTheWatchdogAndCannotHoldUpAStop() async throws {
    let workspace = try Workspace()
    let board = try await FieldBoard(workspace)
    try workspace.configure(port: 1883, captures: 0, more: ["reader": board.readerTable])
    let systemd = try NotifyReceiver(at: workspace.folder + "/notify")
    var environment = board.environment
    environment.merge(
      ["NOTIFY_SOCKET": workspace.folder + "/notify", "WATCHDOG_USEC": "900000", "I2C_SHIM_HANG": "150"]
    ) { $1 }
    let device = try start(workspace, [], environment: environment)
    try await device.waitForErrors(containing: "a part of the device hangs; the watchdog is not fed parts=camera")
    // A start on a busy machine may look like a hang for a moment: the bus hangs for good when nothing comes for long.
    func feedings() -> Int { systemd.messages.count { $0 == "WATCHDOG=1" } }
    var (fed, since) = (feedings(), ContinuousClock.now)
    try await eventually("the watchdog starves", seconds: 120, context: { device.errors }) {
      if feedings() != fed { (fed, since) = (feedings(), ContinuousClock.now) }
      return ContinuousClock.now - since > .seconds(3)
    }
    device.send(SIGTERM)
    // The camera's thread is in the kernel: the stop is cut short, with a status of its own.
    #expect(try await device.waitForExit(seconds: 20) == 75, "\(device.errors)")
  }

  // MARK: - Stop in every state

  /// Accepts connections in the kernel and never says a word.
  @Test func aStopWhileTheBrokerIsABlackHole() async throws {
    let workspace = try Workspace()
    let hole = try BlackHole()
    try workspace.configure(port: hole.port, captures: 0)
    let device = try start(workspace)
    try await device.waitForErrors(containing: "notice: ready")
    try await eventually("it is connecting") { hole.hasVisitor }
    try await expectPromptStop(device)
  }

  @Test func aStopInMidCapture() async throws {
    let workspace = try Workspace()
    try workspace.configure(port: 1883, captures: 1, more: ["camera": "frames_averaged = 128\nrefresh_rate_hz = 8"])
    let device = try start(workspace)
    try await device.waitForErrors(containing: "averaging")
    try await expectPromptStop(device)
    // What was not saved was not announced.
    #expect(!device.errors.contains("capture saved"))
  }

  @Test func aStopWithAFullOutbox() async throws {
    let workspace = try Workspace()
    try workspace.configure(
      port: 1883, captures: 1, more: ["outbox": "maximum_messages = 100", "camera": "frames_averaged = 2"])
    try await workspace.fillOutbox(captures: 100)
    let device = try start(workspace)
    try await eventually("a capture is refused", context: { device.errors }) {
      device.errors.contains("full") || device.errors.contains("refused")
    }
    try await expectPromptStop(device)
  }

  @Test func aStopWhileTheReaderIsGone() async throws {
    let workspace = try Workspace()
    let board = try await FieldBoard(workspace)
    try workspace.configure(port: 1883, captures: 0, more: ["reader": board.readerTable])
    let device = try start(workspace, [], environment: board.environment)
    try await device.waitForErrors(containing: "notice: ready")
    await board.reader.unplug()
    try await device.waitForErrors(containing: "reader lost")
    let seen = try await status(workspace)
    #expect((seen.report["reader"] as? [String: Any])?["health"] as? String == "lost")
    try await expectPromptStop(device)
  }

  @Test func aStopBeforeItIsReady() async throws {
    let workspace = try Workspace()
    try workspace.configure(port: 1883, captures: 0)
    for milliseconds in [0, 20, 60] {
      let device = try start(workspace)
      try await Task.sleep(for: .milliseconds(milliseconds))
      device.send(SIGTERM)
      let status = try await device.waitForExit(seconds: 20)
      // Before the handlers stand the signal itself ends it, which systemd takes for clean too.
      #expect(status == 0 || status == 128 + SIGTERM, "\(device.errors)")
    }
  }

  /// In order, so the deadline was not needed; the time itself is measured elsewhere.
  private func expectPromptStop(_ device: Program) async throws {
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(device.errors.contains("notice: stopped"))
    #expect(!device.errors.contains("cut short"), "\(device.errors)")
  }

  // MARK: - Control

  @Test func statusIsOneScreenAndOneObject() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    let device = try start(workspace)
    try await device.waitForErrors(containing: "notice: ready")
    try await eventually("the camera delivers", context: { device.errors }) {
      FileManager.default.fileExists(atPath: workspace.folder + "/run/control.socket")
    }
    var report: [String: Any] = [:]
    try await untilAsync("the camera is good") {
      report = try await status(workspace).report
      return (report["camera"] as? [String: Any])?["health"] as? String == "good"
    }
    #expect(report["device"] as? String == "test-device")
    #expect(report["mode"] as? String == "running")
    #expect((report["beats"] as? [Any])?.count == 4)
    let screen = try await Program.run(["status", "--config", path], in: workspace.folder)
    #expect(screen.status == 0, "\(screen.errors)")
    let lines = screen.output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 24 && lines[0].hasPrefix("OK"), "\(screen.output)")
    for name in ["camera", "reader", "outbox", "line", "clock"] {
      #expect(lines.contains { $0.hasPrefix(name) }, "\(screen.output)")
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
    let gone = try await Program.run(["status", "--config", path], in: workspace.folder)
    #expect(gone.status == 69)
    #expect(gone.errors.contains("the service is not running"), "\(gone.errors)")
  }

  @Test func reloadSaysWhatIsInForceAndWhatNeedsARestart() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    let device = try start(workspace)
    try await device.waitForErrors(containing: "notice: ready")
    try workspace.configure(
      port: 1883, captures: 0, more: ["log": "level = \"debug\"", "camera": "frames_averaged = 8"])
    try await untilAsync("the socket answers") { try await status(workspace).report["device"] != nil }
    let reload = try await Program.run(["reload", "--config", path], in: workspace.folder)
    #expect(reload.status == 0, "\(reload.errors)")
    #expect(
      reload.output == """
        in force       log.level: "info" -> "debug"
        after restart  camera.frames_averaged: 16 -> 8

        """, "\(reload.output)")
    // The level is in force: the next request is noted.
    let after = try await status(workspace)
    try await device.waitForErrors(containing: "debug: control")
    #expect(
      (after.report["configuration"] as? [String: Any])?["need_restart"] as? [String]
        == ["camera.frames_averaged: 16 -> 8"])
    // A mistake changes nothing, by the command and by the signal.
    try workspace.configure(port: 1883, captures: 0, more: ["log": "level = \"loud\""])
    let refused = try await Program.run(["reload", "--config", path], in: workspace.folder)
    #expect(refused.status == 1 && refused.errors.contains("log.level"), "\(refused.errors)")
    device.send(SIGHUP)
    try await device.waitForErrors(containing: "the configuration is not reloaded", count: 2)
    try workspace.configure(port: 1883, captures: 0)
    device.send(SIGHUP)
    try await device.waitForErrors(containing: "in force: log.level: \"debug\" -> \"info\"")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  @Test func aHostileClientNeitherBlocksNorEndsTheService() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    let device = try start(workspace)
    try await device.waitForErrors(containing: "notice: ready")
    try await untilAsync("the socket answers") { try await status(workspace).report["device"] != nil }
    let script = """
      import socket, sys
      path = sys.argv[1]
      bad = [b"\\n", b"{}\\n", b"[1,2\\n", b'{"request":"format"}\\n', b'{"request":"doctor","parts":["x"]}\\n',
             b'{"request":"doctor","parts":[' + b'"tls",' * 100 + b'"tls"]}\\n', b'{"request":"capture"}\\n',
             b"[" * 4000 + b"\\n", bytes(range(256)) + b"\\n", b'{"request":"status","parts":' + b'[' * 900 + b"\\n"]
      for text in bad:
          s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(path); s.sendall(text)
          answer = b""
          while True:
              part = s.recv(65536)
              if not part: break
              answer += part
          assert answer.startswith(b'{"error":'), (text, answer)
      # Gone before the answer.
      for _ in range(50):
          s = socket.socket(socket.AF_UNIX); s.connect(path)
          try: s.sendall(b'{"request":"status"}\\n')
          except OSError: pass
          s.close()
      """
    let hostile = try await Program.run(
      ["-c", script, workspace.folder + "/run/control.socket"], executable: "/usr/bin/python3", in: workspace.folder)
    #expect(hostile.status == 0, "\(hostile.errors)")
    try await untilAsync("it answers") { try await status(workspace).status == 0 }
    #expect(try await Program.run(["doctor", "--config", path, "--part", "camera"], in: workspace.folder).status == 0)
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  @Test func safeModeAnswersStatusAndNothingElse() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0, more: ["camera": "emissivty = 0.98"])
    let ended = try await Program.run(["run", "--config", path], in: workspace.folder)
    #expect(ended.status == 78)
    let device = try start(workspace, ["--safe-mode"])
    try await device.waitForErrors(containing: "notice: ready")
    try await untilAsync("the socket answers") { try await status(workspace).report["mode"] as? String == "safe" }
    let screen = try await Program.run(["status", "--config", path], in: workspace.folder)
    #expect(screen.status == 1)
    #expect(screen.output.hasPrefix("SAFE MODE") && screen.output.contains("emissivty"), "\(screen.output)")
    let capture = try await Program.run(["capture", "--patient", "p", "--config", path], in: workspace.folder)
    #expect(capture.status == 1 && capture.errors.contains("safe mode: no capture"), "\(capture.errors)")
    // Nothing was opened: no outbox was made.
    #expect(!FileManager.default.fileExists(atPath: workspace.folder + "/state/outbox.sqlite"))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }
}

/// Polls an asynchronous question. The limit only guards against a hang.
func untilAsync(_ what: String, seconds: Double = 60, _ condition: () async throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while try await !condition() {
    try #require(ContinuousClock.now < deadline, "waited \(seconds) s in vain until \(what)")
    try await Task.sleep(for: .milliseconds(50))
  }
}
