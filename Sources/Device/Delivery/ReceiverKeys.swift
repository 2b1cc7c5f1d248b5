import Configuration
import Cryptography
import Forwarding
import LocalFiles
import Provenance
import Storage
import Trust

extension ReceiptReader.Rules {
  /// By the site's list where its root is installed, else of the configuration.
  ///
  /// - Throws: `DeviceStartError` that says why nobody's receipt would be believed.
  package init(_ receipts: Settings.Receipts, site: SiteKeys) throws {
    switch site {
    case .noRoot: try self.init(receipts)
    case .keys(let keys): self.init(keys: keys, requiresSignature: true)
    case .none(let reason): throw DeviceStartError("no receipt is believed: \(reason)")
    }
  }

  /// Of the configuration, with the receivers' keys read from their file.
  ///
  /// - Throws: `DeviceStartError` that names the file.
  package init(_ receipts: Settings.Receipts) throws {
    var keys: TrustedKeys?
    if let path = receipts.keysFile {
      do throws(KeyFault) {
        keys = try TrustedKeys(listIn: path)
      } catch {
        throw DeviceStartError("delivery.receiver_keys_file \(path): \(error)")
      }
    }
    self.init(keys: keys, requiresSignature: receipts.needSignatures)
  }

}

extension TrustedKeys {
  /// The public keys of the file at `path`, in PEM, one behind another.
  package init(listIn path: String) throws(KeyFault) {
    let pem: [UInt8]
    do throws(FileError) {
      pem = try BoundedFile.read(path, maximumBytes: PublicKey.listBytesMaximum)
    } catch {
      throw .form("unreadable: \(error)")
    }
    try self.init(try PublicKey.list(pem: pem), digests: OpenSSLDigests())
  }
}

/// What is wrong with the way this device judges receipts. It captures and sends all the same, and says so every day.
enum ReceiptTrouble: Sendable, Equatable {
  /// No receiver's signature is asked for.
  case unsigned
  /// The receivers' keys cannot be read, so that no signature is known.
  case keysUnreadable(String)

  func alert(at now: Timestamp) -> AlertMessage {
    switch self {
    case .unsigned:
      AlertMessage(
        code: "receipts-unsigned", severity: .warning,
        detail:
          "this device takes receipts without a receiver's signature: whoever may write to its dn/receipt frees what "
          + "it has published; give it the receivers' keys (delivery.receiver_keys_file)", at: now)
    case .keysUnreadable(let reason):
      AlertMessage(
        code: "receiver-keys-unreadable", severity: .critical,
        detail: "no signed receipt can be checked, and what is captured stays here: \(reason)", at: now)
    }
  }
}

/// Tells a trouble at once and then every day.
struct ReceiptAlerts {
  private static let periodNanoseconds: UInt64 = 86_400_000_000_000
  private var nextNanoseconds: UInt64 = 0
  private let trouble: ReceiptTrouble

  init(_ trouble: ReceiptTrouble) { self.trouble = trouble }

  /// The alert that is due at `now`, or nil.
  mutating func due(at now: Timestamp) -> AlertMessage? {
    guard now.monotonicNanoseconds >= nextNanoseconds else { return nil }
    nextNanoseconds = now.monotonicNanoseconds + Self.periodNanoseconds
    return trouble.alert(at: now)
  }
}
