import Foundation
import TestSupport
import Testing

/// `update hold` and `doctor --after-update` as a package's hooks and a technician use them.
@Suite(.serialized) struct UpdateHoldCommandTests {
  private let workspace: Workspace
  private let configuration: String

  init() throws {
    workspace = try Workspace()
    configuration = try workspace.configure(port: 1883, captures: 0, more: ["broker": ""])
  }

  private func startDevice(_ name: String = "ready") async throws -> Program {
    let device = try Program(
      Program.thermograph, ["run", "--simulate", "--config", configuration], in: workspace.folder)
    try await device.waitForErrors(containing: "notice: ready")
    return device
  }

  private func hold(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
    try await Program.run(["update", "hold", "--config", configuration] + arguments, in: workspace.folder)
  }

  private func state() async throws -> String {
    let result = try await Program.run(["status", "--json", "--config", configuration], in: workspace.folder)
    let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
    return (object?["session"] as? [String: Any])?["state"] as? String ?? result.errors
  }

  private func become(_ wanted: String) async throws {
    for _ in 0..<100 {
      if try await state() == wanted { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    #expect(try await state() == wanted)
  }

  /// Where no service runs nothing is to be waited for. The command's status is the program's.
  @Test func itRunsWithoutAServiceAndEndsAsTheCommandDoes() async throws {
    for status in [0, 1, 42, 255] {
      let result = try await hold(["--", "sh", "-c", "echo out; echo err >&2; exit \(status)"])
      #expect(result.status == Int32(status) && result.output == "out\n", "\(result)")
      #expect(result.errors.contains("not running") && result.errors.hasSuffix("err\n"), "\(result.errors)")
    }
    #expect(try await hold(["--", "sh", "-c", "kill -9 $$"]).status == 137)
    #expect(try await hold(["--", "/nonexistent/command"]).status == 127)
    #expect(try await hold(["--", workspace.folder]).status == 126)
    #expect(try await hold([]).status == 64)
    #expect(try await hold(["--timeout", "86401", "--", "true"]).status == 64)
  }

  @Test func noSessionOpensWhileTheCommandRuns() async throws {
    let device = try await startDevice()
    let marker = workspace.folder + "/go"
    let holder = try Program(
      Program.thermograph,
      [
        "update", "hold", "--config", configuration, "--quiet", "0", "--", "sh", "-c",
        "while [ ! -e \(marker) ]; do sleep 0.05; done; exit 7",
      ], in: workspace.folder)
    try await holder.waitForErrors(containing: "held: no session opens")
    #expect(try await state() == "maintenance")
    let refused = try await Program.run(
      ["capture", "--patient", "ward-7", "--config", configuration], in: workspace.folder)
    #expect(refused.status != 0 && refused.errors.contains("maintenance"), "\(refused.errors)")
    // A hook of the package within: had at once.
    #expect(try await hold(["--timeout", "0", "--", "true"]).status == 0)
    #expect(try await state() == "maintenance", "the inner one does not end the outer")
    try Data().write(to: URL(fileURLWithPath: marker))
    #expect(try await holder.waitForExit() == 7)
    try await become("idle")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  /// A hold is a connection: there is no file that a killed one could leave.
  @Test func aKilledHolderReleasesTheDevice() async throws {
    let device = try await startDevice()
    let holder = try Program(
      Program.thermograph,
      ["update", "hold", "--config", configuration, "--quiet", "0", "--", "sleep", "60"], in: workspace.folder)
    try await holder.waitForErrors(containing: "held: no session opens")
    try await become("maintenance")
    holder.send(SIGKILL)
    try await become("idle")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  /// An updater that is told to end tells its command, and waits for it.
  @Test func aTerminationGoesOnToTheCommand() async throws {
    let holder = try Program(
      Program.thermograph,
      [
        "update", "hold", "--config", configuration, "--", "sh", "-c",
        "trap 'echo told; exit 9' TERM; echo started; while :; do sleep 0.05; done",
      ], in: workspace.folder)
    try await eventually("the command runs") { holder.output.contains("started") }
    holder.send(SIGTERM)
    #expect(try await holder.waitForExit() == 9)
    #expect(holder.output.contains("told"))
  }

  @Test func aDeviceThatIsNotFreeIsNotTaken() async throws {
    let device = try await startDevice()
    // Just started: somebody may have been before it.
    let result = try await hold(["--timeout", "0", "--", "sh", "-c", "echo ran"])
    #expect(result.status == 75 && result.output.isEmpty, "\(result)")
    #expect(result.errors.contains("300 s"), "\(result.errors)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  /// The service ends under the command, as it does in an update: the command goes on, and its end is told.
  @Test func theCommandOutlivesTheService() async throws {
    let device = try await startDevice()
    let result = try await hold([
      "--quiet", "0", "--", "sh", "-c",
      "kill -TERM \(device.processIdentifier); while kill -0 \(device.processIdentifier) 2>/dev/null; do sleep 0.05; "
        + "grep -q 'State:.Z' /proc/\(device.processIdentifier)/status && break; done; exit 3",
    ])
    #expect(result.status == 3, "\(result.errors)")
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  // MARK: - The health check

  private func check(_ more: [String] = []) async throws -> (status: Int32, output: String, errors: String) {
    try await Program.run(
      ["doctor", "--after-update", "--config", configuration] + more, in: workspace.folder, seconds: 120)
  }

  @Test func theHealthCheckPassesAndConfirms() async throws {
    let device = try await startDevice()
    let result = try await check()
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    let words = result.output.split(separator: "\n").map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
    #expect(words == ["pass service", "pass ready", "pass camera", "pass outbox", "skip line", "confirmed: release"])
    let record = try String(contentsOfFile: workspace.folder + "/state/release.json", encoding: .utf8)
    #expect(record.contains("\"confirmed\":\"") && record.contains("thermograph.release.v1"))
    let json = try await check(["--json"])
    let checks = try json.output.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])["check"] as? String
    }
    #expect(json.status == 0 && checks == ["service", "ready", "camera", "outbox", "line"])
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  @Test func theHealthCheckFailsWithoutAServiceAndInSafeMode() async throws {
    let nobody = try await check(["--timeout", "0"])
    #expect(nobody.status == 1 && nobody.output.hasPrefix("fail  service"), "\(nobody)")
    #expect(nobody.output.contains("-> systemctl status thermograph"))
    #expect(try await check(["--part", "camera"]).status == 64)
  }
}
