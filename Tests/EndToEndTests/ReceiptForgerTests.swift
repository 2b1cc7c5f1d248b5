import Foundation
import TestSupport
import Testing

/// Somebody who may connect to the broker, reads every uplink and writes receipts, against a device that knows its
/// receiver's key.
@Suite(.serialized) struct ReceiptForgerTests {
  private func makeKey(_ name: String, _ workspace: Workspace) async throws -> (file: String, publicKey: String) {
    let file = workspace.folder + "/" + name
    let made = try await Program.run(["receive", "--make-key", file], in: workspace.folder)
    #expect(made.status == 0, "\(made.errors)")
    let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    let again = try await Program.run(["receive", "--make-key", file], in: workspace.folder)
    #expect(again.status != 0 && again.errors.contains("is there already"), "a key is never replaced")
    return (file, made.output)
  }

  private func totals(_ configuration: String, _ workspace: Workspace) async throws -> [String: [String: Int]] {
    let listing = try await Program.run(["outbox", "list", "--config", configuration, "--json"], in: workspace.folder)
    let last = try #require(listing.output.split(separator: "\n").last, "\(listing.errors)")
    let totals = try #require(
      (JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])?["totals"]
        as? [String: [String: [String: Int]]])
    return totals.mapValues { $0.compactMapValues { $0["rows"] } }
  }

  @Test func onlyTheReceiversSignatureFrees() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await makeKey("receiver.key", workspace)
    let forger = try await makeKey("forger.key", workspace)
    let keys = workspace.folder + "/receivers.pem"
    try receiver.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let configuration = try workspace.configure(
      port: broker.port, captures: 1,
      more: [
        "delivery": "receiver_keys_file = \"\(keys)\"\nrequire_signed_receipts = true",
        // What is freed is gone at once.
        "outbox": "retention_days = 0",
      ])
    func listen(_ key: [String], into name: String) throws -> Program {
      try Program(
        Program.thermograph,
        ["receive", "--broker", "127.0.0.1:\(broker.port)", "--output", "\(workspace.folder)/\(name)", "--until", "1"]
          + key, in: workspace.folder)
    }
    let bare = try listen([], into: "bare")
    let stranger = try listen(["--key", forger.file], into: "stranger")
    for program in [bare, stranger] { try await program.waitForErrors(containing: "receiving") }
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    // Both have everything and have answered: one without a signature, one with its own.
    for program in [bare, stranger] {
      #expect(try await program.waitForExit(seconds: 90) == 0, "\(program.errors)\n\(device.errors)")
    }
    try await device.waitForErrors(containing: "not signed")
    try await device.waitForErrors(containing: "no signature of a known key is right")
    let held = try await totals(configuration, workspace)
    #expect(held["capture"]?.values.reduce(0, +) == 1 && held["image"]?.values.reduce(0, +) == 4, "\(held)")
    #expect(held.values.allSatisfy { $0["quarantined", default: 0] == 0 }, "\(held)")
    let status = try await Program.run(["status", "--config", configuration], in: workspace.folder)
    #expect(status.output.contains("receipts were not believed"), "\(status.output)\(status.errors)")

    // The receiver comes; what waits for its receipt is asked for again.
    let honest = try listen(["--signing-key", receiver.file], into: "honest")
    try await honest.waitForErrors(containing: "receiving")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(
      try await Program.run(["outbox", "retry", "--all", "--config", configuration], in: workspace.folder).status == 0)
    try workspace.configure(
      port: broker.port, captures: 0,
      more: [
        "delivery": "receiver_keys_file = \"\(keys)\"\nrequire_signed_receipts = true", "outbox": "retention_days = 0",
      ])
    let again = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    #expect(try await honest.waitForExit(seconds: 60) == 0, "\(honest.errors)\n\(again.errors)")
    try await again.waitForErrors(containing: "delivered: ")
    again.send(SIGTERM)
    #expect(try await again.waitForExit(seconds: 20) == 0, "\(again.errors)")
    let freed = try await totals(configuration, workspace)
    #expect(freed["capture"]?.values.reduce(0, +) == 0 && freed["image"]?.values.reduce(0, +) == 0, "\(freed)")
  }

  @Test func aDeviceThatAsksForSignaturesMustKnowAKey() async throws {
    let workspace = try Workspace()
    let configuration = try workspace.configure(
      port: 1, captures: 0, more: ["delivery": "require_signed_receipts = true"])
    let checked = try await Program.run(["check", "--config", configuration], in: workspace.folder)
    #expect(checked.status == 78 && checked.errors.contains("no receiver's key is named"), "\(checked.errors)")
    try workspace.configure(port: 1, captures: 0)
    let before = try await Program.run(["check", "--config", configuration], in: workspace.folder)
    #expect(before.status == 0)
    #expect(
      (before.output + before.errors).contains("without a receiver's signature"), "\(before.output)\(before.errors)")
  }
}
