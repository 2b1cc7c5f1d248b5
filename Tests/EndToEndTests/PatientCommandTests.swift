import Foundation
import TestSupport
import Testing

/// What is kept of patients, from the running device to the tools and to another device of the site.
@Suite(.serialized) struct PatientCommandTests {
  private func configure(_ workspace: Workspace, captures: Int) throws -> String {
    try workspace.configure(
      port: 1883, captures: captures,
      more: ["broker": "", "session": "acclimatisation_seconds = 0\nposition_seconds = 0"])
  }

  private func lines(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  /// The key is changed as `outbox key` says; what is kept goes with it, and the old key is not erased before.
  @Test func whatIsKeptFollowsTheKey() async throws {
    let workspace = try Workspace()
    let path = try configure(workspace, captures: 1)
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "capture saved", seconds: 120)
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    let (old, new) = (workspace.folder + "/state/keys/outbox.key", workspace.folder + "/state/keys/outbox-2.key")
    func run(_ arguments: String...) async throws -> (status: Int32, output: String, errors: String) {
      let result = try await Program.run(arguments + ["--config", path], in: workspace.folder)
      return (result.status, result.output, result.errors)
    }
    _ = try await Program.run(["outbox", "key", "make", new], in: workspace.folder)
    let early = try await run("outbox", "key", "erase", old)
    #expect(early.status == 1 && early.errors.contains("1 patients' earlier sessions"), "\(early.errors)")
    _ = try workspace.configure(
      port: 1883, captures: 0, more: ["broker": "", "outbox": "key_file = \"\(new)\"\nolder_key_file = \"\(old)\""])
    let resealed = try await run("outbox", "key", "reseal")
    #expect(resealed.status == 0, "\(resealed.errors)")
    let erased = try await run("outbox", "key", "erase", old)
    #expect(erased.status == 0, "\(erased.errors)")
    _ = try workspace.configure(port: 1883, captures: 0, more: ["broker": "", "outbox": "key_file = \"\(new)\""])
    let listed = try await run("patient", "list", "--json")
    let kept = try lines(listed.output)
    #expect(listed.status == 0 && kept.first?["sessions"] as? Int == 1, "\(listed.errors)")
  }
}
