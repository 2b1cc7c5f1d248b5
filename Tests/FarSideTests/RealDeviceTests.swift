import CaptureDatabase
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

/// The device's own program against the worker's own program.
@Suite(
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/15/bin/postgres")
      && MosquittoBroker.executable != nil, "needs postgresql-15 and mosquitto"), .serialized)
struct RealDeviceTests {
  private let folder: ScratchFolder
  private let database: TestDatabase
  private let broker: MosquittoBroker

  init() async throws {
    folder = try ScratchFolder(inMemory: true)
    database = try PostgresServer.start().makeDatabase()
    var generator = SystemRandomNumberGenerator()
    _ = try KeyFile.create(path: folder.file("master.key"), digests: OpenSSLDigests(), using: &generator)
    _ = try DatabaseSchema.migrate(try DatabaseTarget(database.connection))
    broker = try MosquittoBroker(logsEverything: false)
    try await broker.start()
  }

  private func worker(_ more: [String] = []) async throws -> FleetProgram {
    let worker = try FleetProgram(
      "thermograph-receiver",
      [
        "--database", database.connection, "--master-key-file", folder.file("master.key"), "--name", "worker",
        "--broker", "127.0.0.1:\(broker.port)",
      ] + more, in: folder)
    try await worker.says("receiving from")
    return worker
  }

  private func tool(_ name: String, _ arguments: [String]) throws -> (status: Int32, text: String) {
    let program = try FleetProgram(name, arguments, in: folder)
    return (program.wait(), program.text)
  }

  /// A key pair of a receiver: the private key's file, and the public key.
  private func receiverKey(_ name: String) throws -> (file: String, text: String) {
    let file = folder.file(name)
    let made = try tool("thermograph", ["receive", "--make-key", file])
    let begin = try #require(made.text.range(of: "-----BEGIN PUBLIC KEY-----"), "\(made.text)")
    return (file, String(made.text[begin.lowerBound...]))
  }

  /// A device that asks for signed receipts frees nothing for a worker that signs none, and nothing for a stranger's
  /// signature; then everything. What it sent is read again in the clear, its view also after it was dropped.
  @Test func onlyASignedReceiptFreesAndTheDroppedViewIsMadeAgain() async throws {
    let (key, publicKey) = try receiverKey("receiver.key")
    let (stranger, _) = try receiverKey("stranger.key")
    let keys = folder.file("receivers.pem")
    try publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let device = try SimulatedDevice(
      "unit-1", port: broker.port, delivery: "receiver_keys_file = \"\(keys)\"\nrequire_signed_receipts = true")
    let unsigned = try await worker()
    try device.start(captures: 1)
    try await device.waits(for: "the capture is stored", withinSeconds: 120) {
      try database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == 1
    }
    try await device.waits(for: "the receipt is refused") { device.text.contains("is refused") }
    #expect(unsigned.end(SIGTERM) == 0)
    #expect(device.stop() == 0)
    #expect(try device.waiting() == 5)

    // The next births ask for the receipts again.
    let wrong = try await worker(["--signing-key", stranger])
    try device.start(captures: 0)
    try await device.waits(for: "the stranger's receipt is refused") { device.text.contains("is refused") }
    #expect(wrong.end(SIGTERM) == 0)
    #expect(device.stop() == 0)
    #expect(try device.waiting() == 5)

    let right = try await worker(["--signing-key", key])
    try device.start(captures: 0)
    try await device.waits(for: "the signed receipt frees") { try device.waiting() == 0 }
    #expect(device.stop() == 0)
    #expect(right.end(SIGTERM) == 0)
    #expect(try database.number("SELECT count(*) FROM capture") == 1)

    let store = try DatabaseStore(
      try DatabaseTarget(database.connection),
      masters: KeyRing(current: try KeyFile.load(path: folder.file("master.key"), digests: OpenSSLDigests())),
      digests: OpenSSLDigests())
    #expect(try store.dropViews(olderThanDays: 0) == .init(dropped: 1))
    #expect(try database.number("SELECT count(*) FROM image WHERE name = 'view.png' AND sealed IS NULL") == 1)
    let capture = try #require(try database.query("SELECT capture_id FROM capture").first?.first)
    for row in try database.query("SELECT name, encode(sha256, 'hex') FROM image") {
      let output = folder.file("content-\(row[0])")
      let arguments = [
        "content", "clinic/unit-1", capture, row[0], output, "--database", database.connection, "--master-key-file",
        folder.file("master.key"),
      ]
      let written = try tool("thermograph-receiver", arguments)
      #expect(written.status == 0, "\(written.text)")
      // Whoever reads it is told when it is not what lies in the database.
      #expect(written.text.contains("was made again from master.png") == (row[0] == "view.png"), "\(written.text)")
      let bytes = [UInt8](try Data(contentsOf: URL(filePath: output)))
      #expect(Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)) == row[1], "\(row[0])")
      let mode = try FileManager.default.attributesOfItem(atPath: output)[.posixPermissions] as? Int
      #expect(mode == 0o600)
      // It never writes over a file.
      #expect(try tool("thermograph-receiver", arguments).status != 0)
    }
    let absent = try tool(
      "thermograph-receiver",
      [
        "content", "clinic/unit-2", capture, "view.png", folder.file("none"), "--database", database.connection,
        "--master-key-file", folder.file("master.key"),
      ])
    #expect(absent.status == 1 && absent.text.contains("clinic/unit-2 has no view.png of capture"), "\(absent.text)")
  }
}
