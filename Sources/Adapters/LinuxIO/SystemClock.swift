import CLinux
import Glibc
import LocalFiles
import Provenance

/// The kernel's clocks as one `Timestamp`.
package struct SystemClock: TimeSource {
  /// The kernel's boot id, read once: it cannot change while the process lives.
  package let bootID: String

  /// systemd-timesyncd makes this file when it has set the clock for the first time since boot.
  package static let synchronisationMark = "/run/systemd/timesync/synchronized"

  /// How the clock is known to be right.
  package enum SynchronisationSource: String, Sendable {
    /// adjtimex(2): the kernel's clock is disciplined.
    case kernel
    /// The kernel may not be asked (`ProtectClock=`), and timesyncd has left its mark.
    case timesyncd
    /// Nobody vouches for the clock.
    case none
  }

  private let mark: String

  /// Throws when `/proc/sys/kernel/random/boot_id` cannot be read or holds no UUID.
  ///
  /// - Parameter mark: the file that stands for a synchronised clock where adjtimex is denied.
  package init(synchronisationMark mark: String = Self.synchronisationMark) throws(FileError) {
    self.mark = mark
    let path = "/proc/sys/kernel/random/boot_id"
    let text = try BoundedFile.readStream(path, maximumBytes: 36)
    guard let identifier = RandomIdentifier(String(decoding: text, as: UTF8.self)) else {
      throw FileError(path: path, reason: "holds no boot id; expected a UUID of the kernel")
    }
    bootID = identifier.description
  }

  package func now() -> Timestamp {
    let utc = Self.read(CLOCK_REALTIME)
    return Timestamp(
      utcNanoseconds: Int64(utc.tv_sec) * 1_000_000_000 + Int64(utc.tv_nsec), bootID: bootID,
      monotonicNanoseconds: Self.monotonicNanoseconds(),
      synchronised: synchronisationSource != .none)
  }

  package var synchronisationSource: SynchronisationSource {
    Self.source(kernelAnswer: clinux_clock_is_synchronised()) {
      do throws(FileError) { return try BoundedFile.exists(mark) } catch {
        // A mark that cannot be seen vouches for nothing.
        return false
      }
    }
  }

  /// - Parameters:
  ///   - kernelAnswer: of `clinux_clock_is_synchronised`: 1, 0, or -1 where a sandbox denies adjtimex.
  ///   - isMarked: asked only when the kernel does not answer: its own word, where there is one, is newer.
  static func source(kernelAnswer: Int32, isMarked: () -> Bool) -> SynchronisationSource {
    switch kernelAnswer {
    case 1: .kernel
    case 0: .none
    default: isMarked() ? .timesyncd : .none
    }
  }

  /// Nanoseconds since boot, suspended time included (CLOCK_BOOTTIME).
  package static func monotonicNanoseconds() -> UInt64 {
    let time = read(CLOCK_BOOTTIME)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// clock_gettime fails only for a clock that the kernel lacks; both are in every kernel since 2.6.39.
  private static func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    let result = clock_gettime(clock, &time)
    assert(result == 0)
    return time
  }
}
