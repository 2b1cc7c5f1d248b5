import Forwarding
import Glibc

/// A pipe that wakes a thread out of `poll`.
final class WakeDescriptor: Sendable {
  let readEnd: Int32
  private let writeEnd: Int32

  init() throws(LinkFailure) {
    var ends: (Int32, Int32) = (-1, -1)
    let made = withUnsafeMutableBytes(of: &ends) { pipe($0.assumingMemoryBound(to: Int32.self).baseAddress) }
    guard made == 0 else {
      throw LinkFailure(kind: .unreachable, detail: "pipe: \(LinkLibraryError.systemText(errno))")
    }
    (readEnd, writeEnd) = ends
    for end in [readEnd, writeEnd] {
      guard fcntl(end, F_SETFL, O_NONBLOCK) == 0, fcntl(end, F_SETFD, FD_CLOEXEC) == 0 else {
        let code = errno
        close(readEnd)
        close(writeEnd)
        throw LinkFailure(kind: .unreachable, detail: "fcntl: \(LinkLibraryError.systemText(code))")
      }
    }
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  /// Makes `readEnd` readable. A full pipe is readable already, so that write may fail.
  func signal() {
    var byte: UInt8 = 1
    _ = write(writeEnd, &byte, 1)
  }

  /// Takes every signal out.
  func drain() {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
      while read(readEnd, buffer.baseAddress, 256) > 0 {}
    }
  }
}

/// Milliseconds of CLOCK_MONOTONIC: for deadlines only, never for a date.
func monotonicMilliseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
