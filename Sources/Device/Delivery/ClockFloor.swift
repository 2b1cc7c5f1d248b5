import Glibc
import LocalFiles
import Logging
import Provenance
import Synchronization

/// The earliest time that it can be now. A Pi without a network starts in 1970 or where it was switched off; with such
/// a clock every certificate seems not yet valid, and an attempt only fills the log.
///
/// Two things are known without a network: this release was made after `releaseSeconds`, and time was already at what
/// a trusted source said in an earlier run, which a file keeps.
final class ClockFloor: Sendable {
  /// 2026-11-01T00:00:00Z, to be moved with every release.
  static let releaseSeconds: Int64 = 1_793_491_200
  /// A trusted time this much newer than the file's is worth a write.
  private static let stepSeconds: Int64 = 3600
  private static let maximumFileBytes = 64
  /// Up to the end of the year 9999, the last that a date of this house can be.
  private static let plausibleSeconds: ClosedRange<Int64> = 0...CivilDate.lastSecond

  private let path: String
  private let trustedSeconds: Mutex<Int64>

  /// Reads the file. One that is missing or cannot be read is as if there had been no earlier run; the latter is told.
  init(path: String, logger: Logger) {
    self.path = path
    var known: Int64 = 0
    do throws(FileError) {
      let bytes = try BoundedFile.read(path, maximumBytes: Self.maximumFileBytes)
      let text = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
      if let seconds = Int64(text), Self.plausibleSeconds.contains(seconds) {
        known = seconds
      } else {
        logger.warning(
          "the last trusted time is not known", metadata: ["reason": "\(path): expected seconds since 1970, to 9999"])
      }
    } catch {
      if error.systemErrorNumber != ENOENT {
        logger.warning("the last trusted time is not known", metadata: ["reason": "\(error)"])
      }
    }
    trustedSeconds = Mutex(known)
  }

  /// Seconds since 1970 before which no certificate is judged; 0 while a time source vouches for the clock.
  func seconds(at now: Timestamp) -> Int64 {
    now.synchronised ? 0 : max(Self.releaseSeconds, trustedSeconds.withLock { $0 })
  }

  /// Remembers a time that a time source vouches for. Throws when the file cannot be written.
  func note(_ now: Timestamp) throws(FileError) {
    let seconds = now.utcNanoseconds / 1_000_000_000
    guard now.synchronised, seconds >= Self.releaseSeconds else { return }
    let isNews = trustedSeconds.withLock { trusted in
      // A source that was wrong is believed again when it goes back.
      guard Self.plausibleSeconds.contains(seconds), abs(seconds - trusted) >= Self.stepSeconds else { return false }
      trusted = seconds
      return true
    }
    if isNews { try BoundedFile.replace(path, with: Array("\(seconds)\n".utf8)) }
  }
}
