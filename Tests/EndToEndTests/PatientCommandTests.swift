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

  /// Four patients are simulated, a session each: nobody's is compared with anybody else's.
  @Test func whatADeviceKeepsIsListedExportedTakenOverAndForgotten() async throws {
    let workspace = try Workspace()
    let path = try configure(workspace, captures: 4)
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await eventually("four captures are saved", context: { device.errors }) {
      device.errors.components(separatedBy: "capture saved").count == 5
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    let folder = workspace.folder + "/clear"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let cleared = try await Program.run(
      ["outbox", "export", folder, "--clear", "--config", path], in: workspace.folder)
    #expect(cleared.status == 0, "\(cleared.errors)")
    var states: [String] = []
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder) where name.hasSuffix("/record.json") {
      let data = try Data(contentsOf: URL(filePath: folder + "/" + name))
      let record = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      let change = try #require(record["change"] as? [String: Any])
      states.append("\(change["state"] as? String ?? "") \(change["sessions"] as? Int ?? -1)")
    }
    #expect(states == Array(repeating: "not-enough-sessions 0", count: 4))

    func run(_ arguments: [String], _ configuration: String) async throws -> (
      status: Int32, output: String, errors: String
    ) {
      let result = try await Program.run(["patient"] + arguments + ["--config", configuration], in: workspace.folder)
      return (result.status, result.output, result.errors)
    }
    let listed = try await run(["list", "--json"], path)
    let patients = try lines(listed.output)
    #expect(listed.status == 0 && patients.count == 4, "\(listed.errors)")
    let reference = try #require(patients.first?["patient_ref"] as? String)
    #expect(patients.allSatisfy { $0["sessions"] as? Int == 1 })

    // Another device of the site: it has the site's key, and a key of its own that seals.
    let other = try Workspace()
    let site = other.folder + "/state/keys/site.key"
    try FileManager.default.removeItem(atPath: site)
    try FileManager.default.copyItem(atPath: workspace.folder + "/state/keys/site.key", toPath: site)
    let otherPath = try configure(other, captures: 0)
    let stick = workspace.folder + "/patients.tgbl"
    let exported = try await run(["export", stick], path)
    #expect(exported.status == 0, "\(exported.errors)")
    let bytes = try Data(contentsOf: URL(filePath: stick))
    #expect(bytes.range(of: Data(reference.utf8)) == nil)
    let imported = try await run(["import", stick, "--json"], otherPath)
    #expect(imported.status == 0 && imported.output.contains("\"changed\":4"), "\(imported.errors)")
    let again = try await run(["import", stick, "--json"], otherPath)
    #expect(again.status == 0 && again.output.contains("\"changed\":0"), "\(again.errors)")
    let there = try lines(try await run(["list", "--json"], otherPath).output)
    #expect(there.compactMap { $0["patient_ref"] as? String } == patients.compactMap { $0["patient_ref"] as? String })

    // A device of another site cannot take it.
    let foreign = try Workspace()
    let refused = try await run(["import", stick], try configure(foreign, captures: 0))
    #expect(refused.status == 1 && refused.errors.contains("another site"), "\(refused.errors)")

    let forgotten = try await run(["forget", reference], path)
    #expect(forgotten.status == 0 && forgotten.output.contains("erased"), "\(forgotten.errors)")
    #expect(try await run(["forget", reference], path).status == 1)
    let left = try lines(try await run(["list", "--json"], path).output)
    #expect(left.count == 3 && !left.contains { $0["patient_ref"] as? String == reference })
    #expect(try await run(["forget", "No Such"], path).status != 0)
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
    #expect(early.status == 1 && early.errors.contains("the earlier sessions of one patient"), "\(early.errors)")
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
