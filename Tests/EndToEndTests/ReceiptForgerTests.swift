import Cryptography
import Forwarding
import Foundation
import Provenance
import Storage
import TestSupport
import Testing
import Trust

/// Somebody with a valid client certificate, who reads every record that goes up and may write to every topic, against a
/// device whose images the broker does not take yet: with the records' hashes alone he wants them freed or set aside.
@Suite(.serialized) struct ReceiptForgerTests {
  private static let device = "test-device"
  fileprivate static let topics = "tg/v1/test-site/test-device"

  /// One broker, four who know it, and the files of each.
  private struct Scene {
    let workspace: Workspace
    let broker: MosquittoBroker
    let authority: Authority

    init() async throws {
      workspace = try Workspace()
      broker = try MosquittoBroker()
      authority = try await Authority(in: workspace)
      for name in ["server", "test-device", "forger", "receiver"] { try await authority.issue(name) }
      try allow(images: false)
      try broker.configure([
        "allow_anonymous false", "cafile \(authority.certificate("ca"))",
        "certfile \(authority.certificate("server"))", "keyfile \(authority.key("server"))",
        "require_certificate true", "use_identity_as_username true", "acl_file @DIR@/rules",
      ])
      try await broker.start()
    }

    func allow(images: Bool) throws {
      let classes = ["status", "alert", "capture", "event", "health", "reply"] + (images ? ["image/#"] : [])
      let rules =
        ["user test-device", "topic read \(ReceiptForgerTests.topics)/dn/#"]
        + classes.map { "topic write \(topics)/up/\($0)" }
        + ["", "user forger", "topic readwrite #", "", "user receiver", "topic readwrite #", ""]
      try Data(rules.joined(separator: "\n").utf8).write(to: broker.directory.appending(path: "rules"))
      broker.reload()
    }

    /// - Parameter delivery: the table of that name.
    func configure(captures: Int, delivery: String?) throws -> String {
      var tables = [
        // What is freed is gone at once.
        "outbox": "retention_days = 0",
        "simulation": "seed = 7\ncaptures = \(captures)\ntag_interval_milliseconds = 500",
        "broker": """
        host = "127.0.0.1"
        port = \(broker.port)
        retry_maximum_seconds = 2
        ca_file = "\(authority.certificate("ca"))"
        certificate_file = "\(authority.certificate("test-device"))"
        key_file = "\(authority.key("test-device"))"
        """,
      ]
      tables["delivery"] = delivery
      return try workspace.configure(port: broker.port, captures: captures, more: tables)
    }

    func client(_ name: String) -> [String] {
      [
        "-h", "127.0.0.1", "-p", "\(broker.port)", "--cafile", authority.certificate("ca"), "--cert",
        authority.certificate(name), "--key", authority.key(name), "-V", "5", "-q", "1",
      ]
    }

    func listen(_ key: String, into folder: String, until: Int) throws -> Program {
      try Program(
        Program.thermograph,
        [
          "receive", "--broker", "127.0.0.1:\(broker.port)", "--ca", authority.certificate("ca"), "--certificate",
          authority.certificate("receiver"), "--key", authority.key("receiver"), "--signing-key", key,
          "--output", "\(workspace.folder)/\(folder)", "--until", "\(until)",
        ], in: workspace.folder)
    }

    /// The records, as soon as there are so many.
    func records(_ count: Int) async throws -> (reader: Program, read: () -> [[UInt8]]) {
      let reader = try Program(
        "/usr/bin/mosquitto_sub",
        client("forger") + ["-i", "forger-reader", "-t", "tg/v1/+/+/up/capture", "-C", "\(count)"],
        in: workspace.folder)
      try await eventually("the forger listens", context: { broker.log }) {
        broker.log.contains("Sending SUBACK to forger-reader")
      }
      return (reader, { reader.outputBytes.split(separator: 0x0A).map(Array.init) })
    }

    func publish(_ payload: [UInt8]) async throws {
      let file = workspace.folder + "/forgery"
      try Data(payload).write(to: URL(fileURLWithPath: file))
      let sent = try await Program.run(
        client("forger") + ["-i", "forger-writer", "-t", "\(ReceiptForgerTests.topics)/dn/receipt", "-f", file],
        executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
      try #require(sent.status == 0, "\(sent.errors)")
    }

    /// Rows by class and state.
    func rows(_ configuration: String) async throws -> [String: [String: Int]] {
      let listing = try await Program.run(
        ["outbox", "list", "--config", configuration, "--json"], in: workspace.folder)
      let last = try #require(listing.output.split(separator: "\n").last, "\(listing.errors)")
      let totals = try #require(
        (JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])?["totals"]
          as? [String: [String: [String: Int]]])
      return totals.mapValues { $0.compactMapValues { $0["rows"] }.filter { $0.value > 0 } }
    }

    func makeKey(_ name: String) async throws -> (file: String, publicKey: String) {
      let file = workspace.folder + "/" + name
      let made = try await Program.run(["receive", "--make-key", file], in: workspace.folder)
      #expect(made.status == 0, "\(made.errors)")
      let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
      #expect(mode == 0o600)
      return (file, made.output)
    }
  }

  private func signingKey(_ file: String) throws -> SigningKey {
    try SigningKey(pem: [UInt8](Data(contentsOf: URL(fileURLWithPath: file))), digests: OpenSSLDigests())
  }

  /// What the forger makes of a record: its own entry first, then those of its images, which nobody has seen.
  private func entries(_ record: [UInt8]) throws -> (outbox: RandomIdentifier, entries: [Receipt.Entry]) {
    let object = try #require(JSONSerialization.jsonObject(with: Data(record)) as? [String: Any])
    let captureID = try #require(RandomIdentifier(object["capture_id"] as? String ?? ""))
    let outboxID = try #require(RandomIdentifier(object["outbox_id"] as? String ?? ""))
    let images = try #require(object["images"] as? [[String: Any]])
    let own = Receipt.Entry(
      captureID: captureID, name: "record.json", sha256: Hexadecimal.text(of: OpenSSLDigests().sha256(record)))
    return (
      outboxID,
      [own]
        + images.map {
          .init(
            captureID: captureID, name: $0["name"] as? String ?? "", sha256: $0["sha256"] as? String ?? "")
        }
    )
  }

  @Test func onlyTheReceiversSignatureFrees() async throws {
    let scene = try await Scene()
    let receiver = try await scene.makeKey("receiver.key")
    let forger = try await scene.makeKey("forger.key")
    let again = try await Program.run(
      ["receive", "--make-key", receiver.file], in: scene.workspace.folder)
    #expect(again.status != 0, "a key is never replaced")
    let keys = scene.workspace.folder + "/receivers.pem"
    try receiver.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let delivery = "receiver_keys_file = \"\(keys)\"\nrequire_signed_receipts = true"
    let configuration = try scene.configure(captures: 2, delivery: delivery)
    let (reader, records) = try await scene.records(2)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: scene.workspace.folder)
    #expect(try await reader.waitForExit(seconds: 90) == 0, "\(device.errors)")
    try await device.waitForErrors(containing: "the broker refuses image messages")

    for record in records() {
      let (outbox, entries) = try entries(record)
      let addressee = Receipt.Addressee(site: "test-site", device: Self.device, outboxID: outbox)
      let whole = Receipt(receiver: "archive", addressee: addressee, entries: entries)
      let refusals = Receipt(
        receiver: "archive", addressee: addressee, entries: [],
        refused: [.init(entries[0], .numberTaken)] + entries.dropFirst().map { .init($0, .contentDiffers) })
      for receipt in [whole, refusals] {
        try await scene.publish(try receipt.encoded())
        try await scene.publish(try receipt.signed(by: try signingKey(forger.file)))
      }
      // What the receiver truly said, of another device.
      var other = whole
      other.addressee?.device = "test-device-2"
      try await scene.publish(try other.signed(by: try signingKey(receiver.file)))
    }
    try await eventually("all forgeries have come", context: { device.errors }) {
      device.errors.contains("4 of this kind so far") && device.errors.contains("8 of this kind so far")
    }
    let status = try await untilStatus(scene, configuration, contains: "10 receipts were not believed")
    #expect(status.contains("10 receipts were not believed"), "\(status)")
    let held = try await scene.rows(configuration)
    #expect(held["capture"] == ["awaiting-receipt": 2] && held["image"] == ["pending": 8], "\(held)")

    // The broker takes the images now, and the receiver comes.
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    try scene.allow(images: true)
    let honest = try scene.listen(receiver.file, into: "honest", until: 2)
    try await honest.waitForErrors(containing: "receiving")
    let retried = try await Program.run(
      ["outbox", "retry", "--all", "--config", configuration], in: scene.workspace.folder)
    #expect(retried.status == 0, "\(retried.errors)")
    _ = try scene.configure(captures: 0, delivery: delivery)
    let restarted = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: scene.workspace.folder)
    #expect(try await honest.waitForExit(seconds: 90) == 0, "\(honest.errors)\n\(restarted.errors)")
    try await restarted.waitForErrors(containing: "delivered: ")
    try await untilEmpty(scene, configuration)
    restarted.send(SIGTERM)
    #expect(try await restarted.waitForExit(seconds: 20) == 0, "\(restarted.errors)")
  }

  /// A device that was set up before receivers had keys goes on as before, and yet no image that was never sent is freed.
  @Test func withoutKeysStillOnlyWhatWasAcknowledgedIsFreed() async throws {
    let scene = try await Scene()
    let configuration = try scene.configure(captures: 1, delivery: nil)
    let (reader, records) = try await scene.records(1)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: scene.workspace.folder)
    #expect(try await reader.waitForExit(seconds: 90) == 0, "\(device.errors)")
    try await device.waitForErrors(containing: "the broker refuses image messages")
    try await device.waitForErrors(containing: "takes receipts without a receiver's signature")
    let (_, entries) = try entries(try #require(records().first))
    let images = Array(entries.dropFirst())
    try await scene.publish(
      try Receipt(receiver: "x", entries: [], refused: images.map { .init($0, .contentDiffers) }).encoded())
    try await scene.publish(try Receipt(receiver: "x", entries: entries).encoded())
    try await device.waitForErrors(containing: "delivered: 1 messages")
    let held = try await scene.rows(configuration)
    #expect(held["image"] == ["pending": 4] && held["capture"] ?? [:] == [:], "\(held)")
    let status = try await untilStatus(scene, configuration, contains: "had not left this device")
    #expect(status.contains("receipts named 8 messages that had not left this device"), "\(status)")
    #expect(status.contains("receipts are taken without a receiver's signature"), "\(status)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
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

  /// A device that was enrolled with its site's root asks for signatures and needs no file of keys.
  @Test func theRootOfTheSiteNamesTheReceiversToo() async throws {
    let workspace = try Workspace()
    _ = try AnsweringSite(workspace)
    for delivery in ["require_signed_receipts = true", ""] {
      let configuration = try workspace.configure(port: 1, captures: 0, more: ["delivery": delivery])
      let checked = try await Program.run(["check", "--config", configuration, "--no-files"], in: workspace.folder)
      #expect(checked.status == 0 && checked.errors.contains("the configuration is usable"), "\(checked.errors)")
      #expect(!checked.errors.contains("without a receiver's signature"), "\(checked.errors)")
    }
  }

  private func untilStatus(_ scene: Scene, _ configuration: String, contains text: String) async throws -> String {
    var status = ""
    let deadline = ContinuousClock.now + .seconds(120)
    while !status.contains(text), ContinuousClock.now < deadline {
      status = try await Program.run(["status", "--config", configuration], in: scene.workspace.folder).output
      try await Task.sleep(for: .milliseconds(50))
    }
    return status
  }

  private func untilEmpty(_ scene: Scene, _ configuration: String) async throws {
    var rows = ["capture": ["?": 1]]
    for _ in 0..<200 where !(rows["capture"] ?? [:]).isEmpty || !(rows["image"] ?? [:]).isEmpty {
      rows = try await scene.rows(configuration)
    }
    #expect(rows["capture"] ?? [:] == [:] && rows["image"] ?? [:] == [:], "\(rows)")
  }
}
