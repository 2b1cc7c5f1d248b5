import DeviceSimulation
import Foundation
import Testing

/// A broker's address that takes connections and never answers.
final class BlackHole {
  let port: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0 && listen(descriptor, 16) == 0
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    try #require(bound, "no loopback port could be bound")
  }

  deinit { close(descriptor) }

  /// Somebody has connected and waits.
  var hasVisitor: Bool {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&waiting, 1, 0) == 1
  }
}

/// A board's interfaces without a board: the preloaded bus with a recorded sensor, and a reader on a pseudo-terminal.
struct FieldBoard {
  let reader: SimulatedRFIDReader
  let environment: [String: String]

  init(_ workspace: Workspace) async throws {
    environment = try await SensorShim(in: workspace.folder).environment
    reader = try SimulatedRFIDReader(kind: .rdm6300, path: workspace.folder + "/run/tty-reader")
  }

  /// For `Workspace.configure`.
  var readerTable: String { "kind = \"rdm6300\"\ndevice = \"\(reader.path)\"" }
}
