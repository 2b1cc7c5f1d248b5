import LocalFiles
import Logging
import Provenance
import Sentinel
import Storage

/// The window on disk, so that a restart of the program does not make the device blind.
struct WindowFile: Sendable {
  let path: String
  let stepMilliseconds: Int
  let logger: Logger
  private let digests = OpenSSLDigests()

  init(path: String, stepMilliseconds: Int, logger: Logger) {
    self.path = path
    self.stepMilliseconds = stepMilliseconds
    self.logger = logger
  }

  /// What was there, with the steps missing that passed since; an empty window where there is none. A damaged file is told,
  /// and counting begins anew.
  func load(at now: Timestamp) -> (window: CounterWindow, evidence: StoredEvidence) {
    do {
      guard let bytes = try BoundedFile.readIfThere(path, maximumBytes: StoredWindow.byteCount) else {
        return (CounterWindow(), StoredEvidence())
      }
      do throws(StoredWindowFault) {
        let stored = try StoredWindow(decoding: bytes, digests)
        return (stored.resumed(at: now, stepMilliseconds: stepMilliseconds), stored.evidence)
      } catch {
        logger.error(
          "the counters of before cannot be used; counting begins anew", metadata: ["reason": "\(path): \(error)"])
      }
    } catch {
      logger.error("the counters of before cannot be read; counting begins anew", metadata: ["reason": "\(error)"])
    }
    return (CounterWindow(), StoredEvidence())
  }

  func save(_ window: CounterWindow, _ evidence: StoredEvidence, at now: Timestamp) {
    do {
      try BoundedFile.replace(
        path,
        with: StoredWindow(window, evidence: evidence, at: now, stepMilliseconds: stepMilliseconds).encoded(digests))
    } catch {
      logger.error("the counters could not be kept", metadata: ["reason": "\(error)"])
    }
  }
}
