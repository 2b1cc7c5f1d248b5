import Glibc
import LinuxIO
import LocalFiles
import Logging
import Synchronization
import Threads

/// Ends the process when an orderly stop takes too long: a worn card may hold an fsync for minutes, and a bus that is
/// stuck holds a thread in the kernel. Nothing is lost by it, since all that was announced is on the disk already.
final class StopDeadline: Sendable {
  /// From the wish to stop until the process is gone, at most; the unit promises 2 s.
  static let milliseconds = 1800

  /// `EX_TEMPFAIL` of sysexits.h: told apart from an orderly end, and no failure for systemd (`SuccessExitStatus=`).
  static let exitStatus: Int32 = 75

  private let hasBegun = Atomic(false)
  private let logger: Logger

  init(logger: Logger) {
    self.logger = logger
  }

  /// Begins to count, once. The thread ends with the process.
  func begin() {
    guard !hasBegun.exchange(true, ordering: .acquiringAndReleasing) else { return }
    do throws(SystemCallError) {
      let logger = logger
      _ = try NamedThread("stop-deadline") {
        usleep(UInt32(Self.milliseconds) * 1000)
        logger.error("the stop took too long and was cut short; what was saved is on the disk")
        _exit(Self.exitStatus)
      }
    } catch {
      logger.error("no deadline for the stop", metadata: ["reason": "\(error)"])
    }
  }
}
