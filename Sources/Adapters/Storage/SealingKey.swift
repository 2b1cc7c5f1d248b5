import COpenSSL
import Provenance

/// A 256-bit device key. It has no textual form but its id, and its bytes are wiped when the last reference goes.
package final class SealingKey: Sendable {
  package static let byteCount = Int(TG_AES_KEY_BYTES)

  /// The first 8 bytes of HMAC-SHA-256(key, "thermograph sealing key id"), which tells keys apart and reveals none.
  package let id: Int64
  private let storage: UncheckedBytes

  /// Written once by `init`, wiped by `deinit`, read only in between.
  private struct UncheckedBytes: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<UInt8>
  }

  /// - Parameter bytes: exactly `byteCount` bytes; nil otherwise.
  package init?(bytes: [UInt8], digests: some MessageDigests) {
    guard bytes.count == Self.byteCount else { return nil }
    let pointer = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.byteCount)
    for (index, byte) in bytes.enumerated() { pointer[index] = byte }
    storage = UncheckedBytes(pointer: pointer)
    let mac = digests.hmacSHA256(key: bytes, message: Array("thermograph sealing key id".utf8))
    id = mac.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
  }

  deinit {
    tg_wipe(storage.pointer, Self.byteCount)
    storage.pointer.deallocate()
  }

  func withBytes<R>(_ body: (UnsafePointer<UInt8>) -> R) -> R {
    body(UnsafePointer(storage.pointer))
  }

  /// The id as 16 hexadecimal digits, for messages and tools.
  package static func text(ofID id: Int64) -> String {
    Hexadecimal.text(of: (0..<8).map { UInt8(truncatingIfNeeded: id >> (56 - 8 * Int64($0))) })
  }
}

extension SealingKey: CustomStringConvertible, CustomReflectable {
  package var description: String { "SealingKey(id: \(Self.text(ofID: id)))" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The keys by which an outbox is read and written: the current one seals, all of them open.
package struct KeyRing: Sendable {
  package let current: SealingKey
  private let keys: [Int64: SealingKey]

  package init(current: SealingKey, older: [SealingKey] = []) {
    self.current = current
    keys = Dictionary((older + [current]).map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
  }

  package func key(id: Int64) throws(SealingError) -> SealingKey {
    guard let key = keys[id] else { throw SealingError.unknownKey(id: id) }
    return key
  }

  /// Of all keys, in no order.
  package var ids: [Int64] { Array(keys.keys) }

  package func holds(id: Int64) -> Bool { keys[id] != nil }
}
