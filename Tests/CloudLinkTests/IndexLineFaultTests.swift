import CSQLite
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

/// What `IndexFaultTests` does with every bit, here with the real delivery, client and broker: wrong rows of the index
/// withhold nothing, whether they are found at the start or while the line is up.
@Suite(.serialized) struct IndexLineFaultTests {
  private static let faults = [
    "UPDATE message SET length = length | (1 << 63) WHERE id = 1",
    "UPDATE message SET length = length | (1 << 23) WHERE class = 1",
    "UPDATE message SET class = (class | 3) - (class & 3) WHERE id % 2 = 0",
    "UPDATE message SET state = 3 WHERE id % 3 = 0",
    "UPDATE message SET id = id + 100000 WHERE id % 3 = 1",
    "UPDATE message SET key_id = key_id + 1, sha256 = zeroblob(32) WHERE id % 4 = 1",
    "UPDATE message SET topic = 'alert', capture_id = zeroblob(16) WHERE id % 5 = 1",
  ]

  @Test(arguments: faults.indices, [false, true])
  func wrongRowsAreDeliveredAllTheSame(fault: Int, whileTheLineIsUp: Bool) async throws {
    let row = FaultRow("index damaged, case \(fault + 1), \(whileTheLineIsUp ? "line up" : "at the start")")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let keys = KeyRing(current: try DeviceBench.makeKey())
    var device = try DeviceBench(keys: keys)
    let ids = try await row.store(5, in: device)
    let path = device.folder.url.appending(path: "outbox.sqlite").path
    if whileTheLineIsUp {
      try damage(path, Self.faults[fault])
    } else {
      let folder = device.folder
      await device.outbox.close()
      try damage(path, Self.faults[fault])
      device = try DeviceBench(folder: folder, keys: keys)
    }
    try device.start(broker.port)
    try await row.verify(device, receiver, ids, orderKept: false)
    await device.outbox.close()
  }

  private func damage(_ path: String, _ sql: String) throws {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    sqlite3_busy_timeout(handle, 5000)
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
  }
}
