import Foundation
import LinuxIO
import TestSupport
import Testing

/// The real binary counts what happens to it. Steps are short, which only the simulation can ask for.
@Suite(.serialized) struct SentinelTests {
  private static let stepMilliseconds = 100
  private static let judgedStepMilliseconds = 200

  private struct Line: Decodable {
    var step: Int
    var values: [Int?]
  }

  private struct Head: Decodable {
    var schema: String
    var step_seconds: Double
    var channels: [String]
  }

  private func lines(_ file: String) throws -> (head: Head, steps: [Line]) {
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let lines = text.split(separator: "\n").map { Data($0.utf8) }
    let decoder = JSONDecoder()
    return (
      try decoder.decode(Head.self, from: try #require(lines.first)),
      try lines.dropFirst().dropLast(text.hasSuffix("\n") ? 0 : 1).map { try decoder.decode(Line.self, from: $0) }
    )
  }

  private func fakeBoard(in folder: String) throws -> String {
    let root = folder + "/board"
    let zone = root + "/sys/class/thermal/thermal_zone0"
    try FileManager.default.createDirectory(atPath: zone, withIntermediateDirectories: true)
    try "48312\n".write(toFile: zone + "/temp", atomically: false, encoding: .utf8)
    return root
  }

  @Test func whatIsCountedCanBeRecordedAndSurvivesARestart() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let configuration = try workspace.configure(
      port: broker.port, captures: 0,
      more: [
        "gates": "settling_seconds = 0",
        "simulation":
          "captures = 0\nsentinel_step_milliseconds = \(Self.stepMilliseconds)\nsystem_directory = \"\(try fakeBoard(in: workspace.folder))\"",
      ])
    func start() async throws -> Program {
      let device = try Program(
        Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
      try await device.waitForErrors(containing: "ready")
      return device
    }
    var device = try await start()
    try await eventually("the device hears receipts", context: { broker.log }) {
      broker.log.contains("test-device/dn/receipt (QoS 1)")
    }
    let file = workspace.folder + "/counters.jsonl"
    let recorder = try Program(
      Program.thermograph, ["sentinel", "record", file, "--config", configuration],
      in: workspace.folder)
    for _ in 0..<30 {
      _ = try ControlClient(path: workspace.folder + "/run/control.socket")
        .ask(Array(#"{"request":"status"}"#.utf8), silenceMilliseconds: 10_000) { _ in false }
    }
    let sent = try await Program.run(
      [
        "-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "tg/v1/test-site/test-device/dn/receipt", "-m",
        "rubbish", "--repeat", "50",
      ], executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
    #expect(sent.status == 0, "\(sent.errors)")
    // Whole lines, as far as they are written.
    func recorded() throws -> (head: Head, steps: [Line]) { try lines(file) }
    func sum(_ channel: Int, _ steps: [Line]) -> Int { steps.reduce(0) { $0 + ($1.values[channel] ?? 0) } }
    try await eventually("all of it is recorded", context: { recorder.errors }) {
      guard (try? String(contentsOfFile: file, encoding: .utf8))?.contains("\n{") == true else { return false }
      let steps = try recorded().steps
      return steps.count >= 64 && sum(0, steps) >= 31 && sum(6, steps) >= 50 && sum(14, steps) > 0
    }
    recorder.send(SIGTERM)
    _ = try await recorder.waitForExit()
    let (head, steps) = try recorded()
    #expect(head.schema == "thermograph.counters.v1" && head.step_seconds == 0.1 && head.channels.count == 16)
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $1.step == $0.step + 1 })
    func sum(_ channel: Int) -> Int { sum(channel, steps) }
    // The recorder's own connection is one too.
    #expect((30...32).contains(sum(0)), "\(sum(0)) connections")
    #expect(sum(5) == 50 && sum(6) == 50 && sum(7) == 0 && sum(8) == 0, "\(sum(5)), \(sum(6)), \(sum(7)), \(sum(8))")
    #expect(sum(2) == 50 * ("tg/v1/test-site/test-device/dn/receipt".utf8.count + 7))
    // A step for which a loaded machine came too late is missing as a whole.
    #expect(steps.allSatisfy { ($0.values[11] == 4831 || $0.values == Array(repeating: nil, count: 16)) })
    #expect(steps.contains { $0.values[11] == 4831 } && steps.allSatisfy { $0.values[12] == nil })
    // The simulated sensor is noisy, and its own temperature is that of a part.
    #expect(steps.contains { ($0.values[14] ?? 0) > 0 } && steps.contains { ($0.values[15] ?? 0) > 1000 })
    let text = try String(contentsOfFile: file, encoding: .utf8)
    #expect(!text.contains("test-site") && !text.contains("patient"))
    // A file that is there is nobody's to overwrite.
    let again = try await Program.run(
      ["sentinel", "record", file, "--steps", "1", "--config", configuration], in: workspace.folder)
    #expect(again.status != 0 && again.errors.contains("is there already"))

    device.send(SIGTERM)
    #expect(try await device.waitForExit() == 0)
    device = try await start()
    let shown = try await Program.run(["sentinel", "show", "--json", "--config", configuration], in: workspace.folder)
    #expect(shown.status == 0, "\(shown.errors)")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any])
    let newest = try #require((report["steps"] as? [[String: Any]])?.last?["step"] as? Int)
    #expect(report["state"] as? String == "unjudged" && newest > (steps.last?.step ?? 0))
    let screen = try await Program.run(["sentinel", "show", "--config", configuration], in: workspace.folder)
    #expect(screen.output.contains("COUNTS ONLY") && screen.output.contains("network.connections"), "\(screen.output)")

    device.send(SIGTERM)
    #expect(try await device.waitForExit() == 0)
    var kept = try Data(contentsOf: URL(fileURLWithPath: workspace.folder + "/state/counters"))
    kept[100] ^= 1
    try kept.write(to: URL(fileURLWithPath: workspace.folder + "/state/counters"))
    device = try await start()
    try await device.waitForErrors(containing: "counting begins anew")
    #expect(device.errors.contains("is damaged"))
  }

  /// A models directory with the shipped network and a decision of the test's own: what is tested is the way from the socket
  /// to the alert, and not the figures of a release.
  private func judgingModel(in folder: String) throws -> String {
    let source = Workspace.repository + "/Models/sharma-dualpath"
    let target = folder + "/models/watch"
    try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: source + "/model.tflite", toPath: target + "/model.tflite")
    var document = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: source + "/manifest.json")))
        as? [String: Any])
    func head(_ output: Int) -> [String: Any] {
      [
        "output": output, "element": 0, "calibration": ["ppm": (0..<256).map { $0 * 1_000_000 / 255 }],
        "slack_q8": 512, "clip_q8": 2048, "threshold_q8": 2048,
      ]
    }
    document["decision"] = [
      "rule": "cusum", "delta_per_mille": 100, "release_windows": 6, "health": head(0), "cyber": head(1),
    ]
    var input = try #require(document["input"] as? [String: Any])
    var channels = try #require(input["channels"] as? [[String: Any]])
    for index in channels.indices where channels[index]["missing"] == nil { channels[index]["missing"] = -100 }
    input["channels"] = channels
    document["input"] = input
    try JSONSerialization.data(withJSONObject: document).write(to: URL(fileURLWithPath: target + "/manifest.json"))
    return folder + "/models"
  }

  /// From the flood to the alert, the lock-down and its release. A step is a fifth of a second, so that each has a picture;
  /// in the field the same number of steps is some minutes.
  @Test func aFloodOfTheControlSocketLocksDownAndATechnicianReleases() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let board = try fakeBoard(in: workspace.folder)
    try FileManager.default.createDirectory(atPath: board + "/proc/self", withIntermediateDirectories: true)
    try "1 (t) S 1 2 3 0 -1 0 0 0 0 0 100 0 0 0\n"
      .write(toFile: board + "/proc/self/stat", atomically: false, encoding: .utf8)
    let models = try judgingModel(in: workspace.folder)
    let configuration = try workspace.configure(
      port: broker.port, captures: 0,
      more: [
        "paths": """
        state_directory = "\(workspace.folder)/state"
        runtime_directory = "\(workspace.folder)/run"
        models_directory = "\(models)"
        hardware_directory = "\(Workspace.repository)/Hardware"
        """,
        "screening": "", "gates": "settling_seconds = 0",
        "sentinel": "model = \"watch\"\nlock_down = true",
        "simulation":
          "captures = 0\nsentinel_step_milliseconds = \(Self.judgedStepMilliseconds)\nsystem_directory = \"\(board)\"",
      ])
    let alerts = try Program(
      "/usr/bin/mosquitto_sub",
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "tg/v1/test-site/test-device/up/alert"],
      in: workspace.folder)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "ready")
    func report() async throws -> [String: Any] {
      let shown = try await Program.run(
        ["sentinel", "show", "--json", "--config", configuration], in: workspace.folder)
      return try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any] ?? [:]
    }
    try await Task.sleep(for: .milliseconds(50 * Self.judgedStepMilliseconds))
    let before = try await report()
    #expect(before["state"] as? String == "normal" && before["locked_down_at"] == nil, "\(before)")
    let socket = workspace.folder + "/run/control.socket"
    let end = ContinuousClock.now + .seconds(120)
    while ContinuousClock.now < end, !alerts.output.contains("sentinel-attack") {
      for _ in 0..<200 {
        _ = try? ControlClient(path: socket).ask(Array("{}".utf8), silenceMilliseconds: 1000) { _ in false }
      }
    }
    #expect(alerts.output.contains("sentinel-attack"), "\(alerts.output) \(device.errors.suffix(2000))")
    #expect(alerts.output.contains("control socket"), "\(alerts.output)")
    let during = try await report()
    #expect(during["locked_down_at"] != nil)
    let released = try await Program.run(["sentinel", "release", "--config", configuration], in: workspace.folder)
    #expect(released.status == 0, "\(released.errors)")
    let again = try await Program.run(["sentinel", "release", "--config", configuration], in: workspace.folder)
    #expect(again.status != 0 && again.errors.contains("not locked down"))
    #expect(device.isRunning)
  }
}
