import Cryptography
import TestSupport
import Trust

/// The client's folder, and what it asked for.
final class MemoryStore: MetadataStore {
  var repository: TestRepository
  var keptFiles: [String: [UInt8]] = [:]
  var asked: [String] = []

  init(_ repository: TestRepository) {
    self.repository = repository
    keptFiles["root.json"] = repository.files["1.root.json"]
  }

  func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    asked.append(name)
    guard let bytes = repository.files[name] else { return nil }
    guard bytes.count <= maximumBytes else { throw .content("\(name): more than \(maximumBytes) bytes") }
    return bytes
  }

  func kept(_ name: String) -> [UInt8]? { keptFiles[name] }
  func keep(_ bytes: [UInt8], as name: String) { keptFiles[name] = bytes }

  /// 2027-01-15.
  static let nowSeconds: Int64 = 1_800_000_000

  func client(nowSeconds: Int64 = nowSeconds) throws(MetadataFault) -> MetadataClient<MemoryStore> {
    try MetadataClient(
      self, nowSeconds: nowSeconds, verifier: OpenSSLVerifier(), digests: TestRepository.digests)
  }

  func refresh(nowSeconds: Int64 = nowSeconds) throws(MetadataFault) {
    var client = try client(nowSeconds: nowSeconds)
    try client.refresh()
  }

  /// Why a refresh fails; nil when it does not.
  func fault(nowSeconds: Int64 = nowSeconds) -> MetadataFault? {
    do throws(MetadataFault) {
      try refresh(nowSeconds: nowSeconds)
      return nil
    } catch { return error }
  }
}
