import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

/// Counts of the fault matrix, small here and grown by the environment (`make test-faults`).
enum FaultMatrix {
  static func count(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }

  /// Captures a row; each is four messages, so 250 of them are the thousand that a row of the long form needs.
  static let captures = count("THERMOGRAPH_FAULT_CAPTURES", 24)
  /// Captures of the rows that have to wait for each of their messages.
  static let fewCaptures = count("THERMOGRAPH_FAULT_CAPTURES", 12)
  /// How long a device waits for a receipt: a receiver that writes a thousand messages to a busy disk takes its time.
  static let receiptTimeoutSeconds = captures > 100 ? 20 : 3
  /// Faults a row.
  static let rounds = count("THERMOGRAPH_FAULT_ROUNDS", 3)
  /// Beside a record of a few hundred bytes: 6 KB, 60 KB, and one that must be divided.
  static let imageBytes = [6_000, 60_000, 140_000]
}

/// One row of the matrix: what is compared at its end, and its line in the log.
struct FaultRow {
  let name: String
  private let start = ContinuousClock.now

  init(_ name: String) { self.name = name }

  func store(
    _ count: Int, in device: DeviceBench, images: [Int] = FaultMatrix.imageBytes
  ) async throws -> [RandomIdentifier] {
    var ids: [RandomIdentifier] = []
    for _ in 0..<count { ids.append(try await device.store(images: images)) }
    return ids
  }

  /// Waits until everything is there, then compares: everything once, in order, and the device knows it.
  ///
  /// - Parameter orderKept: false where the broker may lose what it acknowledged: that comes again behind the rest.
  func verify(
    _ device: DeviceBench, _ receiver: ReceiverEnd, _ ids: [RandomIdentifier],
    images: Int = FaultMatrix.imageBytes.count,
    orderKept: Bool = true, hangGuardSeconds: Double = 180
  ) async throws {
    let expected = Set(
      ids.flatMap { id in ["\(id)/\(OutboxItem.recordName)"] + (0..<images).map { "\(id)/image\($0).png" } })
    try await verify(device, receiver, expected, orderKept: orderKept, hangGuardSeconds: hangGuardSeconds)
  }

  /// The same for messages of any kind, as `capture id/name`.
  func verify(
    _ device: DeviceBench, _ receiver: ReceiverEnd, _ expected: Set<String>, orderKept: Bool = true,
    hangGuardSeconds: Double = 180
  ) async throws {
    let captures = expected.count { $0.hasSuffix("/\(OutboxItem.recordName)") }
    let limit = hangGuardSeconds + Double(captures)
    try await eventually("all captures are complete", withinSeconds: limit) { receiver.completed >= captures }
    try await eventually("the device has heard so", withinSeconds: limit) { try await device.backlog() == 0 }
    try await device.stop()
    await receiver.stop()
    let ledger = try receiver.measuredLedger()
    #expect(Set(ledger.stored.keys) == expected)
    #expect(ledger.stored.values.allSatisfy { $0 == 1 }, "stored twice: \(ledger.stored.filter { $0.value > 1 })")
    #expect(receiver.completed == captures)
    #expect(receiver.notes.isEmpty, "\(receiver.notes)")
    if orderKept { #expect(ledger.recordOrder == ledger.recordOrder.sorted()) }
    report(ledger, expected)
  }

  /// The row's line: counts as they were found, not as they were wished for.
  func report(_ ledger: ReceiverEnd.Ledger, _ expected: Set<String>, _ note: String = "") {
    let lost = expected.subtracting(ledger.stored.keys).count
    let twice = ledger.stored.values.count { $0 > 1 }
    let late = zip(ledger.recordOrder, ledger.recordOrder.dropFirst()).count { $0 > $1 }
    let sizes = ledger.sizes.sorted { $0.key < $1.key }.map { size, count in
      size == 0 ? "\(count) records" : "\(count) of \(size) B"
    }.joined(separator: ", ")
    report(
      "\(ledger.stored.count) messages (\(sizes)), lost \(lost), twice \(twice), "
        + "repeats recognised \(ledger.repeats), "
        + (late == 0 ? "in order" : "\(late) times a later record first") + (note.isEmpty ? "" : "; \(note)"))
  }

  func report(_ words: String) {
    let seconds = Double((ContinuousClock.now - start).components.seconds)
    print("FAULT MATRIX: \(name): \(words); \(Int(seconds)) s")
  }
}
