import CLinux
import Glibc
import LocalFiles

/// Why a part of the simulation could not be set up.
package struct SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }

  /// The failed call on `subject` with the system's words for errno.
  static func failed(_ call: String, on subject: String) -> SimulationError {
    SimulationError("\(subject): \(call) failed: \(String(cString: strerror(errno)))")
  }
}

/// A real pseudo-terminal: the device opens `path` as any serial port, the simulation holds the other end.
///
/// What it does not show: line speed and parity (the kernel keeps the speed and ignores it), and framing errors.
package struct PseudoTerminal: ~Copyable, Sendable {
  /// The device's side, `/dev/pts/N`.
  package let path: String
  private let controller: Int32

  package init() throws(SimulationError) {
    (controller, path) = try Self.open()
  }

  private static func open() throws(SimulationError) -> (controller: Int32, path: String) {
    var name = [CChar](repeating: 0, count: 64)
    let controller = clinux_open_pseudo_terminal(&name, name.count)
    guard controller >= 0 else { throw .failed("posix_openpt", on: "pseudo-terminal") }
    let path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // Raw from the start: else the kernel would echo and edit what arrives before the device has set its own mode.
    guard clinux_terminal_make_raw(controller, 9600) == 0 else {
      let failure = SimulationError.failed("tcsetattr", on: path)
      close(controller)
      throw failure
    }
    return (controller, path)
  }

  /// The device's side then sees a hang-up, as from an adapter that is pulled out.
  deinit {
    close(controller)
  }

  /// Sends `bytes` to the device; answers how many the line took. A device that does not read overruns after about
  /// 4 KiB, and like on a UART the rest is lost.
  @discardableResult
  package func send(_ bytes: [UInt8]) -> Int {
    var sent = 0
    while sent < bytes.count {
      do throws(SystemCallError) {
        sent += try systemCall("write", on: path) {
          bytes[sent...].withUnsafeBytes { write(controller, $0.baseAddress, $0.count) }
        }
      } catch {
        // Full, or nobody is at the other end: what is left is lost, as the comment above says.
        break
      }
    }
    return sent
  }

  /// What the device has sent since the last call, at most 4096 bytes; empty when it sent nothing or is not there.
  package func receive() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = bytes.withUnsafeMutableBytes { read(controller, $0.baseAddress, $0.count) }
    return count > 0 ? Array(bytes.prefix(count)) : []
  }
}
