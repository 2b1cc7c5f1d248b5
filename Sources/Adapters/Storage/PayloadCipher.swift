import COpenSSL

/// AES-256-GCM over whole payloads with a random 96-bit nonce (NIST SP 800-38D section 8.2.2).
///
/// One key may seal at most 2^32 payloads under random nonces; a device that stored one message a second would take
/// 136 years. Not for use by several threads at a time.
package final class PayloadCipher {
  /// Nonce before and tag behind the ciphertext.
  package static let overheadBytes = nonceBytes + tagBytes
  static let nonceBytes = Int(TG_GCM_NONCE_BYTES)
  static let tagBytes = Int(TG_GCM_TAG_BYTES)

  private let context: OpaquePointer
  private var generator: any RandomNumberGenerator

  /// - Parameter generator: where nonces come from; a cryptographic source outside tests.
  package init(generator: any RandomNumberGenerator = SystemRandomNumberGenerator()) throws(SealingError) {
    guard let context = tg_gcm_new() else { throw SealingError.library }
    self.context = context
    self.generator = generator
  }

  deinit {
    tg_gcm_free(context)
  }

  /// `nonce | ciphertext | tag` of `plain`.
  package func seal(
    _ plain: [UInt8], associatedData: [UInt8], key: SealingKey
  ) throws(SealingError) -> [UInt8] {
    var sealed = [UInt8](repeating: 0, count: plain.count + Self.overheadBytes)
    var random: UInt64 = 0
    for index in 0..<Self.nonceBytes {
      if index % 8 == 0 { random = generator.next() }
      sealed[index] = UInt8(truncatingIfNeeded: random)
      random >>= 8
    }
    let nonce = Array(sealed[..<Self.nonceBytes])
    let result = key.withBytes { keyBytes in
      sealed.withUnsafeMutableBufferPointer { buffer in
        tg_gcm_seal(
          context, keyBytes, nonce, associatedData, associatedData.count, plain, plain.count,
          buffer.baseAddress.map { $0 + Self.nonceBytes })
      }
    }
    guard result == TG_CRYPTO_OK else { throw SealingError.library }
    return sealed
  }

  /// The payload in `sealed`, or an error when a single bit of it, of the associated data or of the key differs.
  package func open(
    _ sealed: UnsafeRawBufferPointer, associatedData: [UInt8], key: SealingKey
  ) throws(SealingError) -> [UInt8] {
    guard sealed.count >= Self.overheadBytes, let base = sealed.baseAddress else {
      throw SealingError.notAuthentic
    }
    let bytes = base.assumingMemoryBound(to: UInt8.self)
    let count = sealed.count - Self.overheadBytes
    var result = Int32(TG_CRYPTO_LIBRARY_FAILED)
    let plain = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, initialized in
      result = key.withBytes { keyBytes in
        tg_gcm_open(
          context, keyBytes, bytes, associatedData, associatedData.count, bytes + Self.nonceBytes, count,
          buffer.baseAddress)
      }
      initialized = result == TG_CRYPTO_OK ? count : 0
    }
    if result == TG_CRYPTO_NOT_AUTHENTIC { throw SealingError.notAuthentic }
    guard result == TG_CRYPTO_OK else { throw SealingError.library }
    return plain
  }

  /// The same for an array.
  package func open(_ sealed: [UInt8], associatedData: [UInt8], key: SealingKey) throws(SealingError) -> [UInt8] {
    let result: Result<[UInt8], SealingError> = sealed.withUnsafeBytes { buffer in
      do throws(SealingError) {
        return .success(try open(buffer, associatedData: associatedData, key: key))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}

/// Why a payload was not sealed or opened.
package enum SealingError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The tag does not match: the content, its description or the key is not the one it was sealed with.
  case notAuthentic
  /// No key of this id is loaded.
  case unknownKey(id: Int64)
  /// libcrypto failed, which means that memory ran out.
  case library

  package var description: String {
    switch self {
    case .notAuthentic: "sealing: the authentication tag does not match; the stored bytes were damaged or exchanged"
    case .unknownKey(let id):
      "sealing: no key with id \(SealingKey.text(ofID: id)) is loaded; restore the key file it was sealed with"
    case .library: "sealing: libcrypto failed; the machine is probably out of memory"
    }
  }
}
