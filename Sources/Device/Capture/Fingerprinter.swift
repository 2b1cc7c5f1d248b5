import Identification
import Provenance
import Synchronization

/// Makes the fingerprints of presented tags beside the session, and keeps the last: a session presents one tag again and
/// again. What is kept leads back to no tag.
final class Fingerprinter: Sendable {
  private let siteKey: [UInt8]
  private let digests: any MessageDigests
  private let last = Mutex<TagFingerprints?>(nil)

  /// - Parameter siteKey: empty where no tag is read.
  init(siteKey: [UInt8], digests: any MessageDigests) {
    self.siteKey = siteKey
    self.digests = digests
  }

  func fingerprints(of tag: TagUID) async -> TagFingerprints {
    // The quick version finds the slow one again.
    let former = PatientReference(tag: tag, siteKey: siteKey, version: .hmac, digests: digests)
    if let known = last.withLock({ $0 }), known.former == former { return known }
    let (siteKey, digests) = (self.siteKey, self.digests)
    let current = await Task.detached {
      PatientReference(tag: tag, siteKey: siteKey, version: .current, digests: digests)
    }.value
    let fingerprints = TagFingerprints(current: current, former: former)
    last.withLock { $0 = fingerprints }
    return fingerprints
  }
}
