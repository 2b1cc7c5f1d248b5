import Glibc

/// A lock between processes (flock(2)) on a file of its own, for what no single replacement of a file makes safe. The kernel
/// takes it from a process that ends.
package final class FileLock {
  private static let pauseMilliseconds = 10

  private let descriptor: OwnedDescriptor

  /// Waits until nobody else has it, not longer than `waitMilliseconds`.
  package init(_ path: String, waitMilliseconds: Int) throws(FileError) {
    let descriptor = OwnedDescriptor(
      takingOver: try fileCall("open", on: path) { open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600) })
    let number = descriptor.number
    var left = waitMilliseconds
    while true {
      do throws(FileError) {
        try fileCall("flock", on: path) { flock(number, LOCK_EX | LOCK_NB) }
        break
      } catch {
        guard error.systemErrorNumber == EWOULDBLOCK else { throw error }
        guard left > 0 else {
          throw FileError(
            path: path,
            reason: "another process has worked on this folder for more than \(waitMilliseconds) ms; try again",
            call: "flock", systemErrorNumber: EWOULDBLOCK)
        }
      }
      usleep(UInt32(1000 * Self.pauseMilliseconds))
      left -= Self.pauseMilliseconds
    }
    self.descriptor = descriptor
  }

  /// Gives it up.
  package func release() {
    let number = descriptor.number
    flock(number, LOCK_UN)
  }
}
