import Foundation
import TestSupport
import Testing

/// Guided sessions of the shipped binary: across a restart, with a roster, at a terminal.
@Suite(.serialized) struct SessionTests {
  private func objects(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }

  private func sessions(_ workspace: Workspace, _ configuration: String) async throws -> [[String: Any]] {
    let list = try await Program.run(
      ["session", "list", "--config", configuration, "--json"], in: workspace.folder)
    try #require(list.status == 0, "\(list.errors)")
    return try objects(list.output)
  }

  @Test func aSessionOfTwoViewsIsResumedAfterAKillUnderItsOwnId() async throws {
    let workspace = try Workspace()
    let reservation = try PortReservation()
    let session =
      "acclimatisation_seconds = 0\nviews = [\"frontal\", \"left-oblique\"]\nretakes_per_view = 0\nidle_timeout_seconds = 60"
    // The second view waits for a position long enough to be killed in it.
    let configuration = try workspace.configure(
      port: reservation.port, captures: 1, more: ["session": session + "\nposition_seconds = 20"])
    let first = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await first.waitForErrors(containing: "capture saved", seconds: 120)
    first.send(SIGKILL)
    try await first.waitForExit()
    #expect(try await sessions(workspace, configuration).first?["complete"] == nil, "the session is open")

    try workspace.configure(
      port: reservation.port, captures: 1, more: ["session": session + "\nposition_seconds = 0"])
    let second = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await second.waitForErrors(containing: "session complete", seconds: 120)
    second.send(SIGTERM)
    #expect(try await second.waitForExit(seconds: 20) == 0, "\(second.errors)")

    let listed = try await sessions(workspace, configuration)
    #expect(listed.count == 1, "\(listed)")
    #expect(listed.first?["complete"] as? Bool == true)
    let captures = try #require(listed.first?["captures"] as? [[String: Any]])
    #expect(captures.map { $0["view"] as? String } == ["frontal", "left-oblique"])
    // The demonstration model's outcome is shown nowhere.
    #expect(captures.allSatisfy { $0["outcome"] == nil })
    let id = try #require(listed.first?["session_id"] as? String)
    let show = try await Program.run(
      ["session", "show", id, "--config", configuration], in: workspace.folder)
    #expect(show.status == 0 && show.output.contains("left-oblique, attempt"), "\(show.output)\(show.errors)")
    let unknown = try await Program.run(
      ["session", "show", "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11", "--config", configuration], in: workspace.folder)
    #expect(unknown.status != 0 && unknown.errors.contains("nothing is stored of session"))
    try workspace.expectNoTraceOfTheTag([0x0D, 0xE0, 0, 0, 1])
  }

  @Test func aTagThatTheRosterDoesNotNameIsRefusedAndTold() async throws {
    let workspace = try Workspace()
    let reservation = try PortReservation()
    let roster = workspace.folder + "/roster.csv"
    try "fingerprint,id,role,consent\nno fingerprint,ward-7,patient,capture upload\n".write(
      toFile: roster, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: roster)
    let configuration = try workspace.configure(
      port: reservation.port, captures: 1,
      more: [
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0",
        "patients": "roster_file = \"\(roster)\"\nunknown_tag = \"refuse\"",
      ])
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "reason=unknown-tag")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(device.errors.contains("roster.csv:2:1: expected a fingerprint"), "\(device.errors)")
    #expect(!device.errors.contains("capture started"))
    let listing = try await Program.run(["outbox", "list", "--config", configuration], in: workspace.folder)
    #expect(listing.output.contains("alert"), "the default rules tell of an unknown tag: \(listing.output)")
    try workspace.expectNoTraceOfTheTag([0x0D, 0xE0, 0, 0, 1])
  }

  @Test func captureAtATerminalFromARecordingAndSimulated() async throws {
    let workspace = try Workspace()
    // Each frame is synced before the next is read, so one that lies in memory; a busy machine may miss a sub-page all the same.
    let recording = try ScratchFolder(inMemory: true)
    let recorded = try await Program.run(
      [
        "camera", "dump", "--simulate", Workspace.repository + "/Hardware/sensors/melexis-example/eeprom.txt",
        "--output", recording.path, "--frames", "8", "--rate", "16",
      ], in: workspace.folder)
    try #require(recorded.status == 0, "\(recorded.errors)")
    let odd = try (0..<8).count { number in
      let words = try String(contentsOfFile: recording.file("frame-\(number).txt"), encoding: .utf8)
      return words.split(whereSeparator: \.isWhitespace).last == "1"
    }
    let pairs = min(odd, 8 - odd)
    let configuration = try workspace.configure(port: 1883, captures: 0)
    for (name, arguments) in [("replayed", ["--replay", recording.path]), ("simulated", ["--simulate"])] {
      let output = workspace.folder + "/" + name
      let capture = try await Program.run(
        ["capture", "--config", configuration, "--output", output, "--json", "--patient", "bench-1"] + arguments,
        in: workspace.folder)
      #expect(capture.status == 0, "\(capture.errors)")
      let saved = try #require(try objects(capture.output).first)
      #expect(saved["outcome"] as? String == "withheld (demonstration model)")
      let id = try #require(saved["capture_id"] as? String)
      let record = try #require(
        try JSONSerialization.jsonObject(
          with: Data(contentsOf: URL(fileURLWithPath: "\(output)/\(id)/record.json"))) as? [String: Any])
      #expect(record["patient_ref"] as? String == "bench-1" && record["capture_id"] as? String == id)
      #expect(FileManager.default.fileExists(atPath: "\(output)/\(id)/master.png"))
      // Not a terminal: plain lines, no codes, and the progress is seen.
      #expect(!capture.errors.contains("\u{1B}") && capture.errors.contains("frontal"), "\(capture.errors)")
      let acquisition = try #require(record["acquisition"] as? [String: Any])
      #expect(acquisition["frames_averaged"] as? Int == (name == "replayed" ? pairs : 16))
      let events = try String(contentsOfFile: output + "/messages.jsonl", encoding: .utf8)
      #expect(events.contains("\"kind\":\"session-closed\"") && events.contains("\"complete\":true"))
    }
    let refused = try await Program.run(["capture", "--simulate", "--config", configuration], in: workspace.folder)
    #expect(refused.status != 0 && refused.errors.contains("--output"))
    let absent = try await Program.run(
      ["capture", "--replay", workspace.folder + "/absent", "--output", workspace.folder + "/x"], in: workspace.folder)
    #expect(absent.status != 0 && absent.errors.contains("absent/eeprom.txt"), "\(absent.errors)")
  }
}
