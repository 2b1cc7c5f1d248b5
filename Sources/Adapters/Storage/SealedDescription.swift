import Forwarding
import Provenance

/// The associated data of a sealed payload: everything about a message that never changes, in one fixed layout, so
/// that a payload cannot be moved to another message, device database or class, nor its description be altered.
enum SealedDescription {
  /// The layout's own version, first byte of the associated data.
  private static let version: UInt8 = 1

  static func bytes(outboxID: RandomIdentifier, keyID: Int64, item: OutboxItem) -> [UInt8] {
    var bytes: [UInt8] = [version]
    bytes.reserveCapacity(256)
    bytes += outboxID.bytes
    append(UInt64(bitPattern: keyID), to: &bytes)
    append(UInt64(bitPattern: item.id), to: &bytes)
    bytes.append(UInt8(truncatingIfNeeded: item.deliveryClass.rawValue))
    append(UInt64(item.byteCount), to: &bytes)
    bytes.append(item.captureID == nil ? 0 : 1)
    bytes += item.captureID?.bytes ?? []
    append(UInt64(bitPattern: item.sequence ?? 0), to: &bytes)
    for text in [item.name ?? "", item.topicSuffix, item.contentType, item.created.bootID] {
      append(UInt64(text.utf8.count), to: &bytes)
      bytes += text.utf8
    }
    bytes += item.sha256
    append(UInt64(bitPattern: item.created.utcNanoseconds), to: &bytes)
    append(item.created.monotonicNanoseconds, to: &bytes)
    bytes.append(item.created.synchronised ? 1 : 0)
    return bytes
  }

  private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    for shift in stride(from: 56, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
    }
  }
}
