import Configuration
import Cryptography
import Forwarding
import LocalFiles
import Provenance
import Storage
import Trust

extension ReceiptReader.Rules {
  /// Of the configuration, with the receivers' keys read from their file.
  ///
  /// - Throws: `DeviceStartError` that names the file.
  package init(_ receipts: Settings.Receipts) throws {
    var keys: TrustedKeys?
    if let path = receipts.keysFile {
      do throws(KeyFault) {
        keys = try TrustedKeys(
          try PublicKey.list(pem: try Self.read(path)), digests: OpenSSLDigests())
      } catch {
        throw DeviceStartError("delivery.receiver_keys_file \(path): \(error)")
      }
    }
    self.init(keys: keys, requiresSignature: receipts.needSignatures)
  }

  private static func read(_ path: String) throws(KeyFault) -> [UInt8] {
    do throws(FileError) {
      return try BoundedFile.read(path, maximumBytes: PublicKey.listBytesMaximum)
    } catch {
      throw .form("not to be read: \(error)")
    }
  }
}

/// Says every day that receipts are taken without a signature.
struct UnsignedReceiptAlerts {
  private static let periodNanoseconds: UInt64 = 86_400_000_000_000
  private var nextNanoseconds: UInt64 = 0

  /// The alert that is due at `now`, or nil.
  mutating func due(at now: Timestamp) -> AlertMessage? {
    guard now.monotonicNanoseconds >= nextNanoseconds else { return nil }
    nextNanoseconds = now.monotonicNanoseconds + Self.periodNanoseconds
    return AlertMessage(
      code: "receipts-unsigned", severity: .warning,
      detail:
        "this device takes receipts without a receiver's signature: whoever may write to its dn/receipt frees what "
        + "it has published; give it the receivers' keys (delivery.receiver_keys_file)", at: now)
  }
}
