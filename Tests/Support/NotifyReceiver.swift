import Foundation

/// systemd's end of the notify socket: keeps every line of every datagram.
package final class NotifyReceiver {
  private let descriptor: Int32
  private var lines: [String] = []

  package init(at path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard descriptor >= 0, result == 0 else { throw TestFault(description: "no socket at \(path): \(errno)") }
  }

  deinit { close(descriptor) }

  /// All lines so far.
  package var messages: [String] {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)), count > 0 {
      lines += String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: "\n").map(String.init)
    }
    return lines
  }

  package func holds(_ prefix: String) -> Bool { messages.contains { $0.hasPrefix(prefix) } }
}
