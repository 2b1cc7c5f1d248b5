import COpenSSL
import LocalFiles

/// Why enrolment did not go on; one line for a person.
package struct EnrolmentError: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// The device's own key pair: made here, and never leaves.
package enum DeviceKey {
  /// A key or certificate file is never longer.
  package static let maximumBytes = 16 * 1024

  /// Makes a P-256 key at `path`, mode 0600, owned by whoever owns the folder, on disk when this returns.
  ///
  /// - Throws: `FileError` also when a file is there already: a key is never replaced.
  package static func create(at path: String) throws {
    var pem = [CChar](repeating: 0, count: maximumBytes)
    defer { pem.withUnsafeMutableBytes { tg_wipe($0.baseAddress, $0.count) } }
    let count = tg_key_new(&pem, pem.count)
    guard count > 0 else { throw EnrolmentError("libcrypto made no key") }
    try BoundedFile.createPrivate(path, with: pem.prefix(count).map { UInt8(bitPattern: $0) })
  }

  /// A certificate request with the subject `CN=commonName`, as PEM.
  ///
  /// - Parameter commonName: the device's id.
  package static func request(keyAt path: String, commonName: String) throws -> [UInt8] {
    var key = try BoundedFile.read(path, maximumBytes: maximumBytes)
    defer { key.withUnsafeMutableBytes { tg_wipe($0.baseAddress, $0.count) } }
    var pem = [CChar](repeating: 0, count: maximumBytes)
    let count = key.withUnsafeBytes { key in
      tg_request_new(key.bindMemory(to: CChar.self).baseAddress, key.count, commonName, &pem, pem.count)
    }
    guard count != Int(TG_CRYPTO_NOT_AUTHENTIC) else {
      throw EnrolmentError("\(path): no private key in PEM form without a passphrase")
    }
    guard count > 0 else { throw EnrolmentError("libcrypto made no request for '\(commonName)'") }
    return pem.prefix(count).map { UInt8(bitPattern: $0) }
  }
}

/// A certificate that came back, examined before it is installed.
package struct DeviceCertificate: Sendable, Equatable {
  package let commonName: String
  package let issuer: String
  /// Seconds since 1970.
  package let notBeforeSeconds: Int64
  package let notAfterSeconds: Int64
  package let fitsKey: Bool
  /// Why no chain leads to the authority; nil when one does, or when there was no authority to ask.
  package let chainFault: String?

  /// - Parameters:
  ///   - pem: the certificate, and those between it and the authority behind it.
  ///   - keyPath: the device's key.
  ///   - authority: PEM of the authority that must have signed; nil when another party vouches for the certificate.
  package init(pem: [UInt8], keyPath: String, authority: [UInt8]?) throws {
    var key = try BoundedFile.read(keyPath, maximumBytes: DeviceKey.maximumBytes)
    defer { key.withUnsafeMutableBytes { tg_wipe($0.baseAddress, $0.count) } }
    var found = tg_certificate()
    let result = pem.withUnsafeBytes { pem in
      key.withUnsafeBytes { key in
        (authority ?? []).withUnsafeBytes { authorities in
          tg_certificate_examine(
            pem.bindMemory(to: CChar.self).baseAddress, pem.count, key.bindMemory(to: CChar.self).baseAddress,
            key.count,
            authority == nil ? nil : authorities.bindMemory(to: CChar.self).baseAddress, authorities.count, &found)
        }
      }
    }
    guard result == TG_CRYPTO_OK else {
      // The certificates were read before; what is left is the key.
      throw EnrolmentError(
        "\(keyPath): holds no private key in PEM form; make it anew with 'thermograph enroll --request FOLDER'")
    }
    commonName = Self.text(found.common_name)
    issuer = Self.text(found.issuer)
    notBeforeSeconds = found.not_before
    notAfterSeconds = found.not_after
    fitsKey = found.fits_key == 1
    chainFault =
      found.chain > 0 ? tg_certificate_error_text(found.chain).map { String(cString: $0) } ?? "\(found.chain)" : nil
  }

  private static func text<Tuple>(_ characters: Tuple) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Every reason not to install it; empty when it fits.
  ///
  /// - Parameters:
  ///   - device: the id that must be its common name.
  ///   - nowSeconds: nil when the clock is not known to be right: dates are then left aside.
  package func faults(device: String, nowSeconds: Int64?) -> [String] {
    var faults: [String] = []
    if !fitsKey { faults.append("it is not for this device's key; was it made from another request?") }
    if commonName != device {
      faults.append("its common name is '\(commonName)'; expected the device's id '\(device)'")
    }
    if let nowSeconds, nowSeconds < notBeforeSeconds { faults.append("it is not valid yet") }
    if let nowSeconds, nowSeconds > notAfterSeconds { faults.append("it has expired") }
    if let chainFault { faults.append("no chain leads to the authority: \(chainFault) (its issuer: \(issuer))") }
    return faults
  }
}

/// A text of certificates that is about to be installed.
package enum CertificateText {
  /// Why `pem` must not be installed as certificates; nil when every one of them can be read.
  package static func fault(in pem: [UInt8]) -> String? {
    if String(decoding: pem, as: UTF8.self).contains("PRIVATE KEY") {
      return "holds a private key; a device makes its own and never gets one"
    }
    let count = pem.withUnsafeBytes { tg_certificates_count($0.bindMemory(to: CChar.self).baseAddress, $0.count) }
    if count == 0 { return "holds no certificate; expected one in PEM form (-----BEGIN CERTIFICATE-----)" }
    return count > 0 ? nil : "holds a certificate that cannot be read; copy it again from where it was made"
  }
}
