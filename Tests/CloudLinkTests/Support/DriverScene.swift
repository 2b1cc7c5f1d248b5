import Forwarding
import Foundation
import TestSupport
import Testing

/// A broker with a receiver, and the folder and key of a device in a process of its own.
final class DriverScene {
  let broker: MosquittoBroker
  let receiver: ReceiverEnd
  let folder: URL
  let keyFile: URL

  /// - Parameter gateway: where a second listener stands for a device behind its virtual interface; the receiver stays
  ///   on loopback.
  init(gateway: String? = nil) async throws {
    broker = try MosquittoBroker(
      extra: ["allow_anonymous true"] + (gateway.map { ["listener 1883 \($0)"] } ?? []), logsEverything: false)
    try await broker.start()
    receiver = try await ReceiverEnd(broker.port)
    folder = FileManager.default.temporaryDirectory.appending(path: "scene-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    keyFile = try DriverProcess.makeKey(in: folder)
  }

  deinit {
    try? FileManager.default.removeItem(at: folder)
  }

  /// Everything that was announced as saved is there once, in its order, and nothing is there twice.
  ///
  /// - Parameter note: what the row measured beside that.
  func verify(
    _ row: FaultRow, saved: [Int], attempted: Set<Int>, hangGuardSeconds: Double = 240, note: String = ""
  ) async throws {
    let names = [OutboxItem.recordName] + FaultMatrix.imageBytes.indices.map { "image\($0).png" }
    let expected = Set(saved.flatMap { number in names.map { "\(DriverProcess.captureID(number))/\($0)" } })
    try await eventually("all saved captures are there", withinSeconds: hangGuardSeconds + Double(saved.count)) {
      guard receiver.completed >= saved.count else { return false }
      return expected.isSubset(of: try receiver.ledger().stored.keys)
    }
    let ledger = try receiver.measuredLedger()
    #expect(ledger.stored.values.allSatisfy { $0 == 1 }, "stored twice: \(ledger.stored.filter { $0.value > 1 })")
    // A capture whose commit was whole when the device died may be there without having been announced.
    let known = Set(attempted.map { DriverProcess.captureID($0) })
    #expect(ledger.stored.keys.allSatisfy { known.contains(String($0.prefix(36))) })
    #expect(ledger.recordOrder == ledger.recordOrder.sorted(), "records out of order")
    #expect(receiver.notes.isEmpty, "\(receiver.notes)")
    row.report(
      ledger, expected, ["\(saved.count) captures saved", note].filter { !$0.isEmpty }.joined(separator: ", "))
  }
}
