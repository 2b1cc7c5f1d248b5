import Foundation
import Testing

/// `thermograph capture` at a terminal, led by keys: the recorded sensor behind a preloaded i2c-dev, a reader on a
/// pseudo-terminal, and somebody who presses keys and reads the screen.
@Suite(.serialized) struct KeyboardTests {
  private let workspace: Workspace
  private let board: FieldBoard

  init() async throws {
    workspace = try Workspace()
    board = try await FieldBoard(workspace)
  }

  private func capture(_ session: String, patients: String = "", _ arguments: [String]) throws -> TerminalProgram {
    let path = try workspace.configure(
      port: 1, captures: 0,
      more: [
        "broker": "", "patients": patients, "reader": board.readerTable,
        "camera": "frames_averaged = 2\nrefresh_rate_hz = 8",
        // The recorded room has nobody in it: a second attempt would fail like the first.
        "session": "retakes_per_view = 0\n" + session,
      ])
    return try TerminalProgram(
      ["capture", "--config", path, "--output", workspace.folder + "/session"] + arguments, in: workspace.folder,
      environment: board.environment)
  }

  private func records() throws -> [[String: Any]] {
    let folder = workspace.folder + "/session"
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    return try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix("record.json") }.map {
      try #require(
        try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: "\(folder)/\($0)"))) as? [String: Any])
    }
  }

  @Test func keysAnswerSkipAndStart() async throws {
    let terminal = try capture(
      """
      view_start = "sign"
      acclimatisation_seconds = 600
      questions = [{code = "fever", sentence = "Have you a fever?"}, {code = "cream", sentence = "Have you used cream?"}]
      """, ["--patient", "ward-7-0042"])
    try await terminal.waitFor("Have you a fever?")
    #expect(terminal.shows("Enter: go on  y n: answer  s: skip the rest  q: end"))
    // A key that means nothing answers nothing; the next one alone does.
    try terminal.press("xy")
    try await terminal.waitFor("Have you used cream?")
    try terminal.press("n")
    try await terminal.waitFor("Rest with your skin uncovered")
    try terminal.press("s")
    try await terminal.waitFor("Take your position: facing the camera.")
    #expect(try records().isEmpty)
    try terminal.press("\n")
    #expect(try await terminal.waitForExit() == 0)
    try await terminal.waitFor("All pictures are taken and saved")
    #expect(terminal.isAsItWasFound)

    let record = try #require(try records().first)
    #expect(record["patient_ref"] as? String == "ward-7-0042" && record["view"] as? String == "frontal")
    let answers = try #require(record["answers"] as? [[String: Any]], "\(record)")
    #expect(answers.map { $0["code"] as? String } == ["fever", "cream"])
    #expect(answers.map { $0["yes"] as? Bool } == [true, false])
    // The rest that was skipped is no secret.
    let gates = try #require(record["gates"] as? [[String: Any]])
    #expect(gates.first { $0["code"] as? String == "not-acclimatised" }?["passed"] as? Bool == false)
  }

  @Test func qEndsTheSessionAndLeavesTheTerminalAsItWas() async throws {
    let terminal = try capture("acclimatisation_seconds = 600", ["--patient", "ward-7-0042"])
    try await terminal.waitFor("Rest with your skin uncovered")
    #expect(!terminal.isAsItWasFound)
    try terminal.press("q")
    #expect(try await terminal.waitForExit() == 1)
    try await terminal.waitFor("The session has ended early: it was cancelled.")
    #expect(terminal.isAsItWasFound)
    #expect(try records().isEmpty)
  }

  @Test func enterConfirmsATagThatTheRosterDoesNotName() async throws {
    let roster = workspace.folder + "/roster.csv"
    try "fingerprint,id,role,consent\n".write(toFile: roster, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: roster)
    let terminal = try capture(
      "acclimatisation_seconds = 600", patients: "roster_file = \"\(roster)\"\nunknown_tag = \"ask\"", [])
    try await terminal.waitFor("Hold your tag to the reader.")
    let tag: [UInt8] = [0x0D, 0xE0, 0x4C, 0x21, 0x97]
    await board.reader.present(tag)
    try await terminal.waitFor("This tag is not on the list.")
    await board.reader.takeAway()
    #expect(!terminal.shows("Rest with your skin"))
    try terminal.press("\n")
    try await terminal.waitFor("Rest with your skin uncovered")
    try terminal.press("q")
    #expect(try await terminal.waitForExit() == 1)
    try workspace.expectNoTraceOfTheTag(tag)
  }
}
