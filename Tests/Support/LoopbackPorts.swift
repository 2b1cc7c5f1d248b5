import Foundation
import Synchronization

/// A loopback port that is bound but does not listen: connections are refused, and nobody else gets it.
package final class PortReservation: Sendable {
  package let port: UInt16
  private let descriptor: Int32

  package init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    self.descriptor = descriptor
    var reuse: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    guard bound else { throw TestFault(description: "no loopback port could be bound: \(errno)") }
  }

  deinit { close(descriptor) }
}

/// Ports of 127.0.0.1 for programs that a test starts.
package enum FreePort {
  /// Held until this process ends, so that a program which begins a moment later still finds its port free. It takes it all
  /// the same: what does not listen stands in nobody's way who binds with SO_REUSEADDR, as servers do.
  private static let held = Mutex<[PortReservation]>([])

  /// A port of 127.0.0.1 that nobody else is given.
  package static func take() throws -> UInt16 {
    let reservation = try PortReservation()
    held.withLock { $0.append(reservation) }
    return reservation.port
  }

  /// Whether somebody accepts a connection there.
  package static func answers(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = loopback(port)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    } == 0
  }

  package static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return address
  }
}
