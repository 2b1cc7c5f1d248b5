import Glibc
import LocalFiles
import Logging
import Provenance
import Synchronization

/// The earliest time that it can be now. A Pi without a network starts in 1970 or where it was switched off; with such
/// a clock every certificate seems not yet valid, and an attempt only fills the log.
///
/// Two things are known without a network: this release was made after `releaseSeconds`, and time was already at what
/// a trusted source said in an earlier run, which a file keeps. Both hold whatever the clock is said to be: plain NTP can be
/// spoofed, and a clock that is put back would make expired certificates valid again. The same spoofer could name a year
/// that ends every certificate for good, so the trusted time advances at most by the time that really passed and one day.
package final class ClockFloor: Sendable {
  /// 2026-11-01T00:00:00Z, to be moved with every release.
  package static let releaseSeconds: Int64 = 1_793_491_200
  /// A trusted time this much newer than the file's is worth a write.
  private static let stepSeconds: Int64 = 3600
  /// By so much more than the time that passed the trusted time may advance in one run.
  private static let leapSeconds: Int64 = 86_400
  private static let maximumFileBytes = 64
  /// Up to the end of the year 9999, the last that a date of this house can be.
  private static let plausibleSeconds: ClosedRange<Int64> = 0...CivilDate.lastSecond

  private let path: String
  private let state: Mutex<State>

  private struct State {
    var trustedSeconds: Int64
    /// What the trusted time was when this run first heard of one, and when that was.
    var anchor: (trustedSeconds: Int64, monotonicNanoseconds: UInt64)?
  }

  /// Reads the file. One that is missing or cannot be read is as if there had been no earlier run; the latter is told.
  package init(path: String, logger: Logger) {
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
    state = Mutex(State(trustedSeconds: known))
  }

  /// Seconds since 1970 before which no certificate is judged, whoever vouches for the clock.
  package var seconds: Int64 { max(Self.releaseSeconds, state.withLock { $0.trustedSeconds }) }

  /// Whether a time is proven: a source vouches for it, and it does not run further ahead than the trusted time may.
  func believes(_ now: Timestamp) -> Bool {
    let seconds = now.utcNanoseconds / 1_000_000_000
    guard now.synchronised, Self.plausibleSeconds.contains(seconds), seconds >= self.seconds else { return false }
    return state.withLock { seconds <= Self.most(&$0, now) }
  }

  /// The latest time that is believed of a source now.
  private static func most(_ state: inout State, _ now: Timestamp) -> Int64 {
    let anchor = state.anchor ?? (max(Self.releaseSeconds, state.trustedSeconds), now.monotonicNanoseconds)
    state.anchor = anchor
    let elapsed =
      now.monotonicNanoseconds >= anchor.monotonicNanoseconds
      ? Int64((now.monotonicNanoseconds - anchor.monotonicNanoseconds) / 1_000_000_000) : 0
    let (most, overflows) = anchor.trustedSeconds.addingReportingOverflow(elapsed + Self.leapSeconds)
    return overflows ? .max : most
  }

  /// Remembers a time that a time source vouches for, never one before what is known; a technician may lower it
  /// (`thermograph clock trust`). Throws when the file cannot be written.
  func note(_ now: Timestamp) throws(FileError) {
    let seconds = now.utcNanoseconds / 1_000_000_000
    guard now.synchronised, seconds >= Self.releaseSeconds else { return }
    guard Self.plausibleSeconds.contains(seconds) else { return }
    let news: Int64? = state.withLock { state in
      let believed = min(seconds, Self.most(&state, now))
      guard believed - state.trustedSeconds >= Self.stepSeconds else { return nil }
      state.trustedSeconds = believed
      return believed
    }
    if let news { try BoundedFile.replace(path, with: Array("\(news)\n".utf8)) }
  }

  /// Puts a time that a technician vouches for in the place of the trusted one, earlier ones too.
  ///
  /// - Throws: when it is before the release, which cannot be, or when the file cannot be written.
  package static func trust(_ seconds: Int64, path: String) throws {
    guard (releaseSeconds...plausibleSeconds.upperBound).contains(seconds) else {
      throw DeviceStartError("that time is before this release was made, or beyond the year 9999; nothing was changed")
    }
    try BoundedFile.replace(path, with: Array("\(seconds)\n".utf8))
  }
}
