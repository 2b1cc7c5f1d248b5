import CLinux
import Glibc
import LocalFiles
import Threads

/// Why a serial port cannot be used, on which a reader's loop decides and of which a technician reads one line.
package enum SerialPortError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The device node is absent: the reader is not plugged in, or the path is another board's.
  case absent(path: String)
  /// This user may not open it.
  case forbidden(path: String)
  /// Somebody else holds it: a login console, ModemManager, a second daemon.
  case busy(path: String)
  /// The path is no terminal device.
  case notATerminal(path: String)
  /// The speed is none of those that termios knows, or the port does not do it.
  case unsupportedSpeed(path: String, baud: Int)
  /// The device went away while in use.
  case unplugged(path: String)
  /// The port works, but what is at its other end does not answer as the reader should.
  case silent(path: String, baud: Int)
  /// The device did not take the bytes in time.
  case writeTimeout(path: String, milliseconds: Int)
  case failed(SystemCallError)

  package var description: String {
    switch self {
    case .absent(let path): "\(path): no such device; is the reader plugged in, and is this the board's port?"
    case .forbidden(let path): "\(path): not permitted; add the service's user to the group dialout and restart it"
    case .busy(let path): "\(path): in use by another program; a login console or ModemManager must leave it alone"
    case .notATerminal(let path): "\(path): not a serial device; expected one like /dev/serial0 or /dev/ttyUSB0"
    case .unsupportedSpeed(let path, let baud):
      "\(path): does not run at \(baud) baud, 8 data bits, no parity, 1 stop bit"
    case .unplugged(let path): "\(path): the device went away"
    case .silent(let path, let baud):
      "\(path): no reader answers at \(baud) baud; check its supply, TX and RX crossed over, its mode switches, the baud rate"
    case .writeTimeout(let path, let milliseconds): "\(path): did not take the bytes within \(milliseconds) ms"
    case .failed(let error): error.description
    }
  }
}

/// A serial line at 8 data bits, no parity, one stop bit, raw, without flow control; opened exclusively.
///
/// A synchronous value that owns its descriptor: whoever holds it waits in `read` on a thread of its own.
package struct SerialPort: ~Copyable {
  package let path: String
  private let descriptor: OwnedDescriptor

  package enum ReadOutcome: Sendable, Equatable {
    /// So many bytes, at least one, are at the start of the buffer.
    case bytes(Int)
    /// Nothing came in time.
    case timedOut
    /// The wake signal was given. It stays given until its owner resets it.
    case woken
  }

  /// Opens `path` and sets the line. A symbolic link such as /dev/serial0 is followed.
  ///
  /// - Parameter baud: 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800 or 921600.
  package init(path: String, baud: Int) throws(SerialPortError) {
    let opened = try Self.open(path, baud)
    self.path = path
    descriptor = opened
  }

  private static func open(_ path: String, _ baud: Int) throws(SerialPortError) -> OwnedDescriptor {
    guard let speed = UInt32(exactly: baud) else { throw .unsupportedSpeed(path: path, baud: baud) }
    let descriptor = OwnedDescriptor(takingOver: try attempt("open", path) { clinux_open_terminal(path) })
    let number = descriptor.number
    guard isatty(number) == 1 else { throw .notATerminal(path: path) }
    // flock as well as TIOCEXCL: the terminal's own exclusivity does not hold against root.
    try attempt("flock", path) { flock(number, LOCK_EX | LOCK_NB) }
    do throws(SerialPortError) {
      try attempt("tcsetattr", path) { clinux_terminal_make_raw(number, speed) }
    } catch .failed(let error) where error.errorNumber == EINVAL || error.errorNumber == ENOTSUP {
      throw .unsupportedSpeed(path: path, baud: baud)
    }
    try attempt("tcflush", path) { clinux_terminal_flush_input(number) }
    try attempt("ioctl TIOCEXCL", path) { clinux_terminal_take_exclusively(number) }
    return descriptor
  }

  /// The exclusivity belongs to the terminal, not to the descriptor: while anybody else still has the terminal open, as
  /// a pseudo-terminal's other end always has, it would outlive this port and keep out the next.
  deinit {
    clinux_terminal_give_back(descriptor.number)
  }

  /// Waits for bytes, the wake signal or the end of `timeoutMilliseconds`, whichever is first.
  ///
  /// - Parameter buffer: at least one byte long.
  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer, timeoutMilliseconds: Int, wake: WakeSignal? = nil
  ) throws(SerialPortError) -> ReadOutcome {
    precondition(!buffer.isEmpty, "a read needs room for at least one byte")
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    let number = descriptor.number
    while true {
      var watched = (
        serial: pollfd(fd: number, events: Int16(POLLIN), revents: 0),
        wake: pollfd(fd: wake?.number ?? -1, events: Int16(POLLIN), revents: 0)
      )
      try Self.attempt("poll", path) {
        withUnsafeMutableBytes(of: &watched) { bytes in
          poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, deadline.remainingMilliseconds)
        }
      }
      if watched.wake.revents != 0 { return .woken }
      if watched.serial.revents == 0 { return .timedOut }
      // After a hang-up there may still be bytes to read; only then does read answer 0.
      do throws(SerialPortError) {
        let count = try Self.attempt("read", path) { Glibc.read(number, buffer.baseAddress, buffer.count) }
        guard count > 0 else { throw SerialPortError.unplugged(path: path) }
        return .bytes(count)
      } catch .failed(let error) where error.errorNumber == EAGAIN {
        // Somebody else took the bytes, or the wake-up was spurious.
        if watched.serial.hasFailed { throw .unplugged(path: path) }
      }
    }
  }

  /// Sends all of `bytes`.
  package mutating func write(_ bytes: [UInt8], timeoutMilliseconds: Int) throws(SerialPortError) {
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    let number = descriptor.number
    var rest = bytes[...]
    while !rest.isEmpty {
      do throws(SerialPortError) {
        let count = try Self.attempt("write", path) {
          rest.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
        }
        rest = rest.dropFirst(count)
      } catch .failed(let error) where error.errorNumber == EAGAIN {
        var line = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        let readyCount = try Self.attempt("poll", path) { poll(&line, 1, deadline.remainingMilliseconds) }
        if line.hasFailed { throw .unplugged(path: path) }
        if readyCount == 0 { throw .writeTimeout(path: path, milliseconds: timeoutMilliseconds) }
      }
    }
  }

  /// `systemCall` with the errno turned into what it means for a serial device.
  @discardableResult
  private static func attempt<Result: FixedWidthInteger>(
    _ call: StaticString, _ path: String, _ body: () -> Result
  ) throws(SerialPortError) -> Result {
    do {
      return try systemCall(call, on: path, body)
    } catch {
      switch (error.call, error.errorNumber) {
      case ("open", ENOENT), ("open", ENXIO), ("open", ENODEV): throw .absent(path: path)
      case ("open", EACCES), ("open", EPERM): throw .forbidden(path: path)
      case (_, EBUSY), ("flock", EWOULDBLOCK): throw .busy(path: path)
      case (_, ENOTTY): throw .notATerminal(path: path)
      // What Linux reports when a USB adapter is pulled out under an open descriptor.
      case (_, EIO), (_, ENXIO), (_, ENODEV): throw .unplugged(path: path)
      default: throw .failed(error)
      }
    }
  }
}

extension pollfd {
  /// The device hung up or failed, whatever else was asked.
  fileprivate var hasFailed: Bool { Int32(revents) & (POLLHUP | POLLERR | POLLNVAL) != 0 }
}

/// A moment on the monotonic clock by which a wait must end.
struct Deadline {
  private let nanoseconds: UInt64

  /// `milliseconds` from now; less than nothing is now, more than a day is a day.
  init(milliseconds: Int) {
    nanoseconds = SystemClock.monotonicNanoseconds() + UInt64(min(max(milliseconds, 0), 86_400_000)) * 1_000_000
  }

  /// Rounded up, so that a wait of this long is not followed by one of no length.
  var remainingMilliseconds: Int32 {
    let now = SystemClock.monotonicNanoseconds()
    return now >= nanoseconds ? 0 : Int32((nanoseconds - now + 999_999) / 1_000_000)
  }
}
