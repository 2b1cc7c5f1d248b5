import FoundationEssentials
import LocalFiles
import Provenance

/// How one patient's baselines lie on disk: `magic | layout version | key id | nonce | ciphertext | tag`. What stands before
/// the nonce, and the file's name, are the associated data of the seal, so that no file can be taken for another patient's.
struct BaselineFile {
  static let magic = Array("TGBL".utf8)
  static let version = 1
  static let suffix = ".baseline"
  static let damagedSuffix = ".damaged"
  static let maximumBytes = 8 << 20
  private static let headerBytes = 4 + 1 + 8

  /// 32 hexadecimal digits of the reference's digest: a list of names tells nobody's reference.
  static func name(of patient: String, _ digests: some MessageDigests) -> String {
    Hexadecimal.text(of: Array(digests.sha256(Array("thermograph baselines \(patient)".utf8)).prefix(16))) + suffix
  }

  /// What the layout says of itself, whether or not it can be opened.
  static func header(of bytes: [UInt8]) -> (version: Int, keyID: Int64)? {
    guard bytes.count >= headerBytes, bytes.starts(with: magic) else { return nil }
    return (Int(bytes[4]), bytes[5..<headerBytes].reduce(Int64(0)) { $0 << 8 | Int64($1) })
  }

  static func sealed(
    _ plain: [UInt8], name: String, cipher: PayloadCipher, key: SealingKey
  ) throws(SealingError) -> [UInt8] {
    let header = magic + [UInt8(version)] + (0..<8).map { UInt8(truncatingIfNeeded: key.id >> (56 - 8 * Int64($0))) }
    return header + (try cipher.seal(plain, associatedData: header + Array(name.utf8), key: key))
  }

  /// - Precondition: `header(of:)` is not nil.
  static func open(
    _ bytes: [UInt8], name: String, cipher: PayloadCipher, key: SealingKey
  ) throws(SealingError) -> [UInt8] {
    let header = Array(bytes[..<headerBytes])
    return try cipher.open(Array(bytes[headerBytes...]), associatedData: header + Array(name.utf8), key: key)
  }

  static func decoded<Content: Decodable>(_ plain: [UInt8]) -> Content? {
    do { return try JSONDecoder().decode(Content.self, from: Data(plain)) } catch { return nil }
  }
}

/// What travels on a stick: patients' baselines, sealed by the site's key, which only the site's devices have.
package struct BaselineTransfer: Sendable, Equatable, Codable {
  private static let schema = "thermograph.baseline-transfer.v1"
  private static let keyLabel = "thermograph baseline transfer 1"
  static let name = "transfer"
  package static let maximumBytes = 64 << 20
  package static let maximumPatients = 4096
  static let maximumPlainBytes = maximumBytes / 2
  static let tooManyPatients =
    "these patients are more than one file takes; name some with --patient, and export the others to another"

  private var schema = Self.schema
  package var patients: [PatientBaselines]

  package init(_ patients: [PatientBaselines]) { self.patients = patients }

  private static func key(_ siteKey: [UInt8], _ digests: some MessageDigests) -> SealingKey? {
    SealingKey(bytes: digests.hmacSHA256(key: siteKey, message: Array(keyLabel.utf8)), digests: digests)
  }

  package func sealed(siteKey: [UInt8], _ digests: some MessageDigests) throws(BaselineError) -> [UInt8] {
    guard let key = Self.key(siteKey, digests) else { throw .sealing(.library) }
    let plain: [UInt8]
    do { plain = try CanonicalJSON.bytes(of: self) } catch { throw .tooLarge(reason: "\(error)") }
    guard plain.count <= Self.maximumPlainBytes else { throw .tooLarge(reason: Self.tooManyPatients) }
    do throws(SealingError) {
      return try BaselineFile.sealed(plain, name: Self.name, cipher: PayloadCipher(), key: key)
    } catch { throw .sealing(error) }
  }

  /// - Parameter path: for errors.
  package init(file: [UInt8], path: String, siteKey: [UInt8], _ digests: some MessageDigests) throws(BaselineError) {
    guard let header = BaselineFile.header(of: file) else {
      throw .foreign(path: path, reason: "is no export of patients; expected a file of `thermograph patient export`")
    }
    guard header.version <= BaselineFile.version else { throw .newer(path: path, version: header.version) }
    guard let key = Self.key(siteKey, digests), key.id == header.keyID else {
      throw .foreign(path: path, reason: "was exported by a device of another site: the site's keys differ")
    }
    let plain: [UInt8]
    do throws(SealingError) {
      plain = try BaselineFile.open(file, name: Self.name, cipher: PayloadCipher(), key: key)
    } catch {
      throw .foreign(path: path, reason: "\(error)")
    }
    guard let content: BaselineTransfer = BaselineFile.decoded(plain), content.schema == Self.schema,
      content.patients.count <= Self.maximumPatients, content.patients.allSatisfy({ $0.fault == nil })
    else { throw .foreign(path: path, reason: "holds something else than baselines; export it again") }
    self = content
  }
}
