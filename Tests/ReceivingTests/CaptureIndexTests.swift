import CSQLite
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// The receiver's index in SQL: there before the receipt, once a capture, and made again from the files.
@Suite struct CaptureIndexTests {
  private struct Refused: Error {}

  private func rows(_ sql: String, in path: String) throws -> [[String]] {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK)
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK)
    var rows: [[String]] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      rows.append((0..<sqlite3_column_count(statement)).map { String(cString: sqlite3_column_text(statement, $0)) })
    }
    return rows
  }

  private func entry(_ capture: Receiver.CompletedCapture) -> CaptureIndex.Entry {
    let images = zip(zip(capture.images, capture.imageBytes), capture.entries.dropFirst())
    return CaptureIndex.Entry(
      site: capture.site, device: capture.device, captureID: capture.captureID, outboxID: capture.outboxID,
      sequence: capture.sequence, record: capture.record,
      images: images.map { CaptureIndex.Image(name: $0.0, byteCount: $0.1, sha256: $1.sha256) },
      folder: "\(capture.site)/\(capture.device)/\(capture.captureID)", receivedAt: ManualClock().now())
  }

  private func receiver(_ bench: ReceiverBench, _ register: @escaping (Receiver.CompletedCapture) throws -> Void) throws
    -> Receiver
  {
    try Receiver(
      folder: bench.root.path, name: "archive", digests: OpenSSLDigests(), time: ManualClock(), register: register)
  }

  @Test func everyCompleteCaptureIsThereOnceWithItsImages() throws {
    let bench = try ReceiverBench()
    let path = bench.root.appending(path: "captures.sqlite").path
    let index = try CaptureIndex(path: path)
    #expect(index.needsFilling)
    try index.noteFilled()
    let receiver = try receiver(bench) { try index.add(self.entry($0)) }
    let captures = (1...3).map { bench.capture($0, images: ["master.png": 900, "view.png": 4000]) }
    for capture in captures {
      _ = try receiver.take(capture.recordMessage())
      _ = try receiver.take(capture.imageMessage("view.png"))
      #expect(try index.count() == Int(captures.firstIndex { $0.id == capture.id } ?? 0), "not complete yet")
      _ = try receiver.take(capture.imageMessage("master.png"))
      _ = try receiver.take(capture.recordMessage())
    }
    #expect(
      try rows(
        "SELECT device, sequence, capture_id, json_extract(record, '$.site') FROM capture ORDER BY sequence", in: path)
        == captures.enumerated().map { ["unit-1", "\($0 + 1)", "\($1.id)", "clinic"] })
    #expect(
      try rows("SELECT name, bytes, sha256 FROM image WHERE capture_id = '\(captures[1].id)' ORDER BY name", in: path)
        == [("master.png", 900), ("view.png", 4000)].map { name, count in
          [name, "\(count)", TestCapture.sha256(captures[1].images[name] ?? [])]
        })
    #expect(try !CaptureIndex(path: path).needsFilling)
  }

  /// Killed between the index and the receipt, or refused by the index: no receipt, the device sends again, one row.
  @Test func withoutTheIndexThereIsNoReceipt() throws {
    let bench = try ReceiverBench()
    let index = try CaptureIndex(path: bench.root.appending(path: "captures.sqlite").path)
    let capture = bench.capture(1, images: ["master.png": 900])
    let failing = try receiver(bench) {
      try index.add(self.entry($0))
      throw Refused()
    }
    _ = try failing.take(capture.recordMessage())
    #expect(throws: ReceiverError.self) { try failing.take(capture.imageMessage("master.png")) }
    #expect(!FileManager.default.fileExists(atPath: bench.folder(capture) + "/receipt.json"))
    let working = try receiver(bench) { try index.add(self.entry($0)) }
    #expect(try working.take(capture.imageMessage("master.png")).receipts.count == 1)
    #expect(try index.count() == 1)
  }

  @Test func aLostIndexIsMadeAgainFromTheFiles() throws {
    let bench = try ReceiverBench()
    for sequence in 1...5 {
      let capture = bench.capture(Int64(sequence), images: ["master.png": 900])
      _ = try bench.receiver.take(capture.recordMessage())
      // The last one is not complete.
      if sequence < 5 { _ = try bench.receiver.take(capture.imageMessage("master.png")) }
    }
    let path = bench.root.appending(path: "captures.sqlite").path
    let index = try CaptureIndex(path: path)
    let receiver = try ReceivedFolder(bench.root.path, name: "archive", digests: OpenSSLDigests()) {
      try index.add(self.entry($0))
    }
    #expect(try receiver.registerAll() == 4)
    // Interrupted before the end was noted, it is done again.
    #expect(try CaptureIndex(path: path).needsFilling)
    #expect(try receiver.registerAll() == 4)
    #expect(try index.count() == 4)
    #expect(try rows("SELECT count(*) FROM image", in: path) == [["4"]])
  }

  @Test func aForeignDatabaseIsLeftAlone() throws {
    let bench = try ReceiverBench()
    let path = bench.root.appending(path: "captures.sqlite").path
    var handle: OpaquePointer?
    #expect(sqlite3_open(path, &handle) == SQLITE_OK)
    #expect(sqlite3_exec(handle, "CREATE TABLE recipe (name TEXT)", nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    let error = #expect(throws: OutboxError.self) { try CaptureIndex(path: path) }
    #expect(error?.description.contains("a database of another program") == true)
    #expect(try rows("SELECT name FROM sqlite_master", in: path) == [["recipe"]])
  }
}
