import Foundation
import TestSupport
import Testing

/// A technician puts a wrong tag right with the shipped binary: through the running service, and without it.
@Suite(.serialized) struct CorrectionCommandTests {
  private func object(_ line: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
  }

  private func run(_ words: [String], _ workspace: Workspace, _ configuration: String) async throws -> (
    status: Int32, output: String, errors: String
  ) {
    let result = try await Program.run(words + ["--config", configuration], in: workspace.folder)
    return (result.status, result.output, result.errors)
  }

  private func sessions(_ workspace: Workspace, _ configuration: String) async throws -> [[String: Any]] {
    let list = try await run(["session", "list", "--json"], workspace, configuration)
    try #require(list.status == 0, "\(list.errors)")
    return try list.output.split(separator: "\n").map(object)
  }

  @Test func aWrongTagIsPutRightThroughTheServiceAndWithoutIt() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let session = "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0"
    let configuration = try workspace.configure(port: broker.port, captures: 1, more: ["session": session])
    let receiver = try workspace.startReceiver(port: broker.port, until: 99)
    try await receiver.waitForErrors(containing: "receiving")
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "session complete", seconds: 120)
    let listed = try #require(try await sessions(workspace, configuration).first)
    let id = try #require(listed["session_id"] as? String)
    let recorded = try #require(listed["patient_ref"] as? String)
    try await receiver.waitForErrors(containing: "capture ", seconds: 60)
    let record = try workspace.receivedFile(named: "record.json")
    let original = try Data(contentsOf: URL(filePath: record))

    // Through the service.
    let reassigned = try await run(
      ["session", "reassign", id, "--to", "ward-7-0043", "--reason", "wrong tag", "--by", "nurse-2", "--json"],
      workspace, configuration)
    #expect(reassigned.status == 0, "\(reassigned.errors)")
    let correction = try object(reassigned.output)
    #expect(correction["kind"] as? String == "reassign" && correction["recorded_ref"] as? String == recorded)
    try await device.waitForErrors(containing: "corrected")
    #expect(!device.errors.contains("wrong tag"), "the reason stays out of the log")
    let again = try await run(
      ["session", "reassign", id, "--to", "ward-7-0043", "--reason", "wrong tag"], workspace, configuration)
    #expect(again.status == 1 && again.errors.contains("belongs to ward-7-0043 already"), "\(again.errors)")
    let entry = try #require(try await sessions(workspace, configuration).first)
    #expect(entry["patient_ref"] as? String == "ward-7-0043" && entry["recorded_ref"] as? String == recorded)
    let shown = try await run(["session", "show", id], workspace, configuration)
    #expect(shown.output.contains("started under the tag of \(recorded)"), "\(shown.output)")
    #expect(shown.output.contains("given to ward-7-0043 by nurse-2: wrong tag"), "\(shown.output)")
    let other = try await run(["session", "list", "--patient", recorded], workspace, configuration)
    #expect(other.status == 0 && other.output.isEmpty)

    // It arrives, and what was captured is as it was.
    try await eventually("the correction arrives", context: { device.errors }) {
      let messages = try FileManager.default.subpathsOfDirectory(atPath: workspace.received)
        .filter { $0.contains("/messages/event-") }
        .map { try String(contentsOfFile: workspace.received + "/" + $0, encoding: .utf8) }
      return messages.contains { $0.contains("thermograph.correction.v1") && $0.contains("ward-7-0043") }
    }
    #expect(try Data(contentsOf: URL(filePath: record)) == original)
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    receiver.send(SIGTERM)
    _ = try await receiver.waitForExit(seconds: 20)

    // Without the service, in the outbox.
    let withdrawn = try await run(
      ["session", "withdraw", id, "--reason", "consent withdrawn"], workspace, configuration)
    #expect(withdrawn.status == 0 && withdrawn.output.contains("is withdrawn"), "\(withdrawn.errors)")
    #expect(try await sessions(workspace, configuration).first?["withdrawn"] as? Bool == true)
    for (words, refusal) in [
      (["session", "withdraw", id, "--reason", "again"], "is withdrawn, and stays so"),
      (
        ["session", "withdraw", "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11", "--reason", "r"], "nothing is stored of session"
      ),
      (["patient", "merge", "anna", "--into", "anna", "--reason", "r"], "are one patient already"),
      (["patient", "unmerge", "anna", "--reason", "r"], "was not merged"),
    ] {
      let refused = try await run(words, workspace, configuration)
      #expect(refused.status == 1 && refused.errors.contains(refusal), "\(words): \(refused.errors)")
    }
    for words in [
      ["session", "withdraw", "no-uuid", "--reason", "r"],
      ["patient", "merge", "Anna M.", "--into", "b", "--reason", "r"],
      ["patient", "merge", "anna", "--into", "berta", "--reason", ""], ["patient", "merge", "anna", "--into", "berta"],
    ] {
      #expect(try await run(words, workspace, configuration).status == 64, "\(words)")
    }
    let merged = try await run(
      ["patient", "merge", recorded, "--into", "berta", "--reason", "second card"], workspace, configuration)
    #expect(merged.status == 0 && merged.output.contains("belongs to berta now"), "\(merged.errors)")
    let parted = try await run(
      ["patient", "unmerge", recorded, "--reason", "two persons"], workspace, configuration)
    #expect(parted.status == 0 && parted.output.contains("the merge is undone"), "\(parted.errors)")
    try workspace.expectNoTraceOfTheTag([0x0D, 0xE0, 0, 0, 1])
  }
}
