import Audit
import Cryptography
import Foundation
import LocalFiles
import Provenance
import Storage
import TestSupport
import Trust

/// A device with an audit key, and a log that honest work wrote.
struct AuditDevice {
  let key: SigningKey
  let origin: AuditOrigin
  let sealing: KeyRing

  init(site: String = "clinic-7", device: String = "unit-3") throws {
    var generator = SystemRandomNumberGenerator()
    key = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    origin = AuditOrigin(
      site: site, device: device, log: RandomIdentifier(using: &generator), key: key.publicKey)
    let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    guard let sealingKey = SealingKey(bytes: bytes, digests: OpenSSLDigests()) else {
      throw CocoaError(.coderInvalidValue)
    }
    sealing = KeyRing(current: sealingKey)
  }

  /// `seconds` after the device's first start.
  func time(_ seconds: Int, boot: String = "boot-1", ahead: Int = 0) -> Timestamp {
    Timestamp(
      utcNanoseconds: Int64(1_764_500_000 + seconds + ahead) * 1_000_000_000, bootID: boot,
      monotonicNanoseconds: UInt64(seconds) * 1_000_000_000, synchronised: true)
  }

  func open(_ directory: String, limits: AuditLog.Limits = .init()) throws -> AuditLog {
    try AuditLog(directory: directory, keys: sealing, beginning: origin, limits: limits)
  }

  /// Writes `count` entries as a device would; the heads behind each.
  func write(_ count: Int, to log: inout AuditLog, from second: Int = 0, boot: String = "boot-1") throws -> [AuditHead]
  {
    let kinds: [AuditKind] = [.start, .sessionStart, .sessionEnd, .commandAccepted, .configuration, .rosterChange]
    return try (0..<count).map { number in
      try log.append(
        kinds[number % kinds.count], ["n": .integer(Int64(number)), "patient": .string("p-0123456789abcdef")],
        at: time(second + 10 * number, boot: boot))
    }
  }
}
