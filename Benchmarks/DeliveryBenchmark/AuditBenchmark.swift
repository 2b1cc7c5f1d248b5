import Audit
import Cryptography
import Glibc
import Provenance
import Storage
import Trust

/// The audit log: one sync an entry, and what an entry costs beside that sync.
enum AuditBenchmark {
  private static let entries = 400

  /// A log of a device of its own.
  private static func log(in folder: String) throws -> AuditLog {
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.loadOrCreate(path: folder + "/audit-seal.key", digests: OpenSSLDigests(), using: &generator)
    let signer = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    let origin = AuditOrigin(
      site: "clinic", device: "unit-1", log: RandomIdentifier(using: &generator), key: signer.publicKey)
    return try AuditLog(directory: folder + "/audit", keys: KeyRing(current: key), beginning: origin)
  }

  private static func append(to log: inout AuditLog) throws {
    let event = AuditEvent.sessionStart(log.origin.log, patient: "p-0123456789abcdef", signedBy: nil)
    try log.append(event.kind, event.what, at: KernelClock().now())
  }

  /// Counted by `sync_model.so`.
  static func syncs(in folder: String) throws {
    var log = try log(in: folder)
    try append(to: &log)
    let before = Counters.now()
    for _ in 0..<entries { try append(to: &log) }
    DeliveryBenchmark.row(
      "an entry of the audit log: fdatasync", Double(Counters.now().syncs - before.syncs) / Double(entries),
      .atMost(1))
  }

  /// Beside a peer that writes as many bytes behind each other and syncs them, in turn.
  static func latency(in folder: String) throws {
    var log = try log(in: folder)
    try append(to: &log)
    let first = log.byteCount
    try append(to: &log)
    let frame = [UInt8](repeating: 7, count: log.byteCount - first)
    let peer = open(folder + "/audit-peer", O_WRONLY | O_CREAT | O_EXCL, 0o600)
    guard peer >= 0 else { throw FilePerMessage.Failed() }
    defer { close(peer) }
    var (ours, bare): ([Double], [Double]) = ([], [])
    for _ in 0..<entries {
      let start = DeliveryBenchmark.seconds()
      try append(to: &log)
      let between = DeliveryBenchmark.seconds()
      guard write(peer, frame, frame.count) == frame.count, fdatasync(peer) == 0 else { throw FilePerMessage.Failed() }
      ours.append(between - start)
      bare.append(DeliveryBenchmark.seconds() - between)
    }
    let (own, sync) = (DeliveryBenchmark.median(ours), DeliveryBenchmark.median(bare))
    print(
      "an entry of the audit log, \(frame.count) bytes: \(DeliveryBenchmark.fixed(own * 1e3)) ms, the same bytes written and "
        + "synced alone \(DeliveryBenchmark.fixed(sync * 1e3)) ms; medians of \(entries), in turn")
    DeliveryBenchmark.row("an entry of the audit log beside its sync, ms", (own - sync) * 1e3, .atMost(0.5))
  }
}
