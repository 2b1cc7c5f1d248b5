import CLinux
import Glibc
import LocalFiles

/// Why the running service could not be asked.
package enum ControlClientError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Nobody listens at the socket.
  case notRunning(path: String)
  case forbidden(path: String)
  case busy(path: String)
  /// The connection ended, or nothing came in time.
  case silent(path: String)
  case system(SystemCallError)

  package var description: String {
    switch self {
    case .notRunning(let path):
      "the service is not running (nobody answers at \(path)); start it with: systemctl start thermograph"
    case .forbidden(let path):
      "\(path): this user may not ask the service; run as root or as a member of the group thermograph"
    case .busy(let path): "\(path): the service answers others; try again"
    case .silent(let path): "\(path): the service did not answer; see: systemctl status thermograph"
    case .system(let error): error.description
    }
  }
}

/// One question to the running service.
package struct ControlClient: Sendable {
  /// The longest answer that is read.
  package static let maximumBytes = 1 << 20

  package let path: String

  package init(path: String) {
    self.path = path
  }

  /// Sends `request`, which is one line without its end, and hands over each line of the answer until the service ends it.
  ///
  /// - Parameters:
  ///   - silenceMilliseconds: the longest pause that is waited for.
  ///   - line: returns false to end the conversation.
  /// - Returns: the number of lines.
  @discardableResult
  package func ask(
    _ request: [UInt8], silenceMilliseconds: Int, line: ([UInt8]) -> Bool
  ) throws(ControlClientError) -> Int {
    // Root and the service's user have a door of their own, which nobody else can crowd.
    let own = clinux_connect_unix(path + ControlListener.ownerSuffix)
    let number = own >= 0 ? own : clinux_connect_unix(path)
    guard number >= 0 else {
      switch errno {
      case ENOENT, ECONNREFUSED, ENOTDIR: throw .notRunning(path: path)
      case EACCES, EPERM: throw .forbidden(path: path)
      case EAGAIN: throw .busy(path: path)
      default: throw .system(SystemCallError(call: "connect", subject: path, errorNumber: errno))
      }
    }
    let descriptor = OwnedDescriptor(takingOver: number)
    let bytes = request + [UInt8(ascii: "\n")]
    // A fresh socket's buffer takes a request whole. A service that refuses us may have closed already: read why.
    let sent = bytes.withUnsafeBytes {
      send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard sent == bytes.count || errno == EPIPE || errno == ECONNRESET else { throw .silent(path: path) }
    return try readLines(descriptor.number, silenceMilliseconds, line)
  }

  private func readLines(
    _ descriptor: Int32, _ silenceMilliseconds: Int, _ line: ([UInt8]) -> Bool
  ) throws(ControlClientError) -> Int {
    var pending: [UInt8] = []
    var lines = 0
    var total = 0
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while total <= Self.maximumBytes {
      let deadline = Deadline(milliseconds: silenceMilliseconds)
      let count: Int
      do throws(SystemCallError) {
        var descriptors = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        let found = try systemCall("poll", on: path) { poll(&descriptors, 1, deadline.remainingMilliseconds) }
        guard found > 0 else { throw SystemCallError(call: "poll", subject: path, errorNumber: ETIMEDOUT) }
        count = try systemCall("recv", on: path) { recv(descriptor, &buffer, buffer.count, 0) }
      } catch {
        switch error.errorNumber {
        case EAGAIN: continue
        case ECONNRESET: count = 0
        default: throw .silent(path: path)
        }
      }
      guard count > 0 else { break }
      total += count
      pending += buffer[..<count]
      while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        lines += 1
        let wantsMore = line(Array(pending[..<end]))
        pending.removeSubrange(...end)
        if !wantsMore { return lines }
      }
    }
    guard lines > 0, pending.isEmpty else { throw .silent(path: path) }
    return lines
  }
}
