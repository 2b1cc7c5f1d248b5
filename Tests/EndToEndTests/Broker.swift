import Foundation
import Testing

/// A mosquitto of the test's own on a loopback port.
final class Broker {
  let port: Int
  private let folder: String
  private var program: Program?

  /// Reserves a port; nothing listens yet.
  init(in folder: String) throws {
    self.folder = folder
    let reservation = try PortReservation()
    port = reservation.port
    self.reservation = reservation
  }

  private var reservation: PortReservation?

  /// - Parameter authority: signs the broker's certificate `server` and asks each client for one; nil for plain MQTT.
  func start(authority: Authority? = nil) async throws {
    let configuration = folder + "/mosquitto.conf"
    var text = """
      listener \(port) 127.0.0.1
      allow_anonymous \(authority == nil)
      persistence false
      user root
      log_dest stderr
      log_type all

      """
    if let authority {
      text += """
        cafile \(authority.certificate("ca"))
        certfile \(authority.certificate("server"))
        keyfile \(authority.key("server"))
        require_certificate true
        use_identity_as_username true

        """
    }
    try text.write(toFile: configuration, atomically: true, encoding: .utf8)
    reservation = nil
    let program = try Program("/usr/sbin/mosquitto", ["-c", configuration], in: folder)
    self.program = program
    try await program.waitForErrors(containing: "running", seconds: 30)
  }

  func stop() async throws {
    program?.send(SIGTERM)
    try await program?.waitForExit()
    program = nil
  }
}

/// A loopback port that is bound but does not listen: connections are refused, and nobody else gets it.
final class PortReservation {
  let port: Int
  private let descriptor: Int32

  init() throws {
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
    port = Int(UInt16(bigEndian: address.sin_port))
    try #require(bound, "no loopback port could be bound")
  }

  deinit { close(descriptor) }
}
