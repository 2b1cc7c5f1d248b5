import Foundation
import TestSupport
import Testing

/// The tools of a device that never gets a line, and the change of its key.
@Suite(.serialized) struct OutboxToolsTests {
  /// A device that took one capture without a broker.
  private func deviceWithACapture() async throws -> (workspace: Workspace, configuration: String) {
    let workspace = try Workspace()
    let configuration = try workspace.configure(port: 1, captures: 1)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "capture saved", seconds: 90)
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    return (workspace, configuration)
  }

  private func outbox(
    _ arguments: [String], _ workspace: Workspace
  ) async throws -> (status: Int32, output: String, errors: String) {
    try await Program.run(["outbox"] + arguments, in: workspace.folder)
  }

  @Test func theKeyIsChangedAndTheOldOneErased() async throws {
    let (workspace, configuration) = try await deviceWithACapture()
    let old = workspace.folder + "/state/keys/outbox.key"
    let new = workspace.folder + "/state/keys/outbox-2.key"
    #expect(try await outbox(["key", "make", new], workspace).status == 0)
    #expect(try await outbox(["key", "make", new], workspace).status != 0, "a key file was overwritten")
    // While messages lie under a key it is not erased by mistake.
    let refused = try await outbox(["key", "erase", "--config", configuration, old], workspace)
    #expect(
      refused.status != 0
        && refused.errors.contains("messages and the earlier sessions of one patient lie under this key"),
      "\(refused.errors)")
    #expect(FileManager.default.fileExists(atPath: old))

    let rotated = try workspace.configure(
      port: 1, captures: 0, more: ["outbox": "key_file = \"\(new)\"\nolder_key_file = \"\(old)\""])
    #expect(try await outbox(["key", "reseal", "--config", rotated], workspace).status == 0)
    #expect(try await outbox(["key", "erase", "--config", rotated, old], workspace).status == 0)
    #expect(!FileManager.default.fileExists(atPath: old))
    let alone = try workspace.configure(port: 1, captures: 0, more: ["outbox": "key_file = \"\(new)\""])
    let verified = try await outbox(["verify", "--config", alone], workspace)
    #expect(
      verified.status == 0 && verified.errors.contains(" 0 damaged, 0 sealed with a key that is not loaded"),
      "\(verified.errors)")
  }

  /// What no key opens is one thing to tell, however many messages it is.
  @Test func aKeyThatIsNotLoadedIsToldInOneLine() async throws {
    let (workspace, configuration) = try await deviceWithACapture()
    let new = workspace.folder + "/state/keys/outbox-2.key"
    #expect(try await outbox(["key", "make", new], workspace).status == 0)
    try workspace.configure(port: 1, captures: 0, more: ["outbox": "key_file = \"\(new)\""])
    let listed = try await Program.run(["session", "list", "--config", configuration], in: workspace.folder)
    let lines = listed.errors.split(separator: "\n").filter { $0.contains("left out") }
    #expect(lines.count == 1 && lines[0].contains(" messages are left out ("), "\(listed.errors)")
    #expect(listed.errors.split(separator: "\n").count <= 2, "\(listed.errors)")
  }

  @Test func theStickIsSealedForTheClinicAndItsReceiptFreesTheDevice() async throws {
    let (workspace, configuration) = try await deviceWithACapture()
    func openssl(_ arguments: [String]) async throws -> Int32 {
      try await Program.run(arguments, executable: "/usr/bin/openssl", in: workspace.folder).status
    }
    let clinic = workspace.folder + "/clinic"
    #expect(
      try await openssl([
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", clinic + ".key",
        "-out", clinic + ".pem", "-subj", "/CN=clinic", "-days", "2",
      ]) == 0)
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    let exported = try await outbox(
      ["export", stick, "--recipient", clinic + ".pem", "--config", configuration], workspace)
    #expect(exported.status == 0, "\(exported.errors)")
    let all = try FileManager.default.subpathsOfDirectory(atPath: stick).filter { !$0.hasPrefix("messages") }
      .filter { $0.contains("/") }
    let log = all.filter { $0.hasPrefix("audit/") }
    #expect(log.count == 4 && log.allSatisfy { $0.hasSuffix(".cms") }, "\(log)")
    let files = all.filter { !$0.hasPrefix("audit/") }
    #expect(files.count == 5 && files.allSatisfy { $0.hasSuffix(".cms") }, "\(files)")

    // The clinic opens each file with its own key and answers with what it holds.
    var entries: [[String: String]] = []
    for file in files {
      let opened = workspace.folder + "/opened"
      #expect(
        try await openssl([
          "cms", "-decrypt", "-binary", "-inform", "DER", "-in", stick + "/" + file, "-recip", clinic + ".pem",
          "-inkey", clinic + ".key", "-out", opened,
        ]) == 0)
      let digest = try await Program.run([opened], executable: "/usr/bin/sha256sum", in: workspace.folder)
      let parts = file.split(separator: "/")
      entries.append([
        "capture_id": String(parts[0]), "name": String(parts[1].dropLast(4)),
        "sha256": String(digest.output.prefix(64)),
      ])
    }
    let receipt: [String: Any] = ["schema": "thermograph.receipt.v1", "receiver": "clinic", "entries": entries]
    let file = workspace.folder + "/receipt.json"
    try JSONSerialization.data(withJSONObject: receipt).write(to: URL(fileURLWithPath: file))
    let imported = try await outbox(["import", file, "--config", configuration, "--json"], workspace)
    #expect(imported.status == 0, "\(imported.errors)")
    let outcome = try JSONSerialization.jsonObject(with: Data(imported.output.utf8)) as? [String: Int]
    #expect(outcome == ["freed": 5, "mismatched": 0, "unknown": 0, "unfounded": 0])
  }

  /// A clinic without a line whose device asks for the receiver's signature: out by stick, and back by stick.
  @Test func theReceiptOfAStickIsSignedAndNoOtherCounts() async throws {
    let (workspace, configuration) = try await deviceWithACapture()
    func receive(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
      try await Program.run(["receive"] + arguments, in: workspace.folder)
    }
    let key = workspace.folder + "/receiver.key"
    let stranger = workspace.folder + "/stranger.key"
    let made = try await receive(["--make-key", key])
    #expect(try await receive(["--make-key", stranger]).status == 0)
    let keys = workspace.folder + "/receivers.pem"
    try made.output.write(toFile: keys, atomically: true, encoding: .utf8)
    try workspace.configure(
      port: 1, captures: 1,
      more: [
        "delivery": "receiver_keys_file = \"\(keys)\"\nrequire_signed_receipts = true",
        "outbox": "retention_days = 0",
      ])
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    let exported = try await outbox(["export", stick, "--clear", "--config", configuration], workspace)
    #expect(exported.status == 0, "\(exported.errors)")
    let receipt = stick + "/receipts/test-site-test-device-1.json"
    func imported() async throws -> (status: Int32, output: String, errors: String) {
      try await outbox(["import", receipt, "--config", configuration, "--json"], workspace)
    }
    // Without a signature, and with a stranger's.
    for (folder, signature) in [("a", []), ("b", ["--signing-key", stranger])] {
      let taken = try await receive(["--stick", stick, "--output", workspace.folder + "/" + folder] + signature)
      #expect(taken.status == 0 && taken.errors.contains(receipt), "\(taken.errors)")
      let refused = try await imported()
      #expect(refused.status != 0 && refused.output.isEmpty, "\(refused.output)\(refused.errors)")
    }
    let taken = try await receive(
      ["--stick", stick, "--output", workspace.received, "--key", key, "--json"])
    #expect(taken.status == 0 && taken.output.contains("capture_id"), "\(taken.errors)")
    let freed = try await imported()
    #expect(freed.status == 0, "\(freed.errors)")
    let outcome = try JSONSerialization.jsonObject(with: Data(freed.output.utf8)) as? [String: Int]
    #expect(outcome == ["freed": 5, "mismatched": 0, "unknown": 0, "unfounded": 0])
  }

  @Test func severalReceiversShareTheWork() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let receivers = try (0..<2).map { _ in
      try Program(
        Program.thermograph,
        ["receive", "--broker", "127.0.0.1:\(broker.port)", "--output", workspace.received, "--share", "archive"],
        in: workspace.folder)
    }
    for receiver in receivers { try await receiver.waitForErrors(containing: "receiving $share/archive/") }
    let configuration = try workspace.configure(
      port: broker.port, captures: 3,
      more: ["simulation": "seed = 7\ncaptures = 3\ntag_interval_milliseconds = 500"])
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    // Each message went to one of the two, and a capture is complete when the last of its files is on the disk.
    try await eventually("three captures are complete", seconds: 120, context: { device.errors }) {
      try FileManager.default.subpathsOfDirectory(atPath: workspace.received)
        .count { $0.hasSuffix("/receipt.json") } == 3
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
    for receiver in receivers {
      receiver.send(SIGTERM)
      #expect(try await receiver.waitForExit(seconds: 20) == 0)
    }
    let stored = try workspace.arrivals().filter { $0["capture_id"] != nil && $0["outcome"] as? String == "stored" }
    let names = stored.map { "\($0["capture_id"] ?? "")/\($0["name"] ?? "")" }
    #expect(names.count == 15 && Set(names).count == 15, "\(names)")
    #expect(try workspace.receivedRecords().compactMap { $0["sequence"] as? Int } == [1, 2, 3])
  }
}
