import Foundation
import Glibc
import LinuxIO
import Provenance
import TestSupport
import Testing

@Suite("The kernel's services")
struct SystemTests {
  @Test func theClockIsTheKernels() throws {
    let clock = try SystemClock()
    #expect(RandomIdentifier(clock.bootID) != nil)
    let first = clock.now()
    let second = clock.now()
    #expect(first.bootID == clock.bootID)
    #expect(second.monotonicNanoseconds >= first.monotonicNanoseconds)
    #expect(abs(Double(first.utcNanoseconds) / 1e9 - Date().timeIntervalSince1970) < 60)
  }

  @Test(arguments: [false, true]) func theNotifierSendsOneDatagram(isAbstract: Bool) throws {
    let folder = try ScratchFolder()
    let address = isAbstract ? "@thermograph-test-\(UUID().uuidString)" : folder.file("notify")
    let socket = try NotifySocket(address: address)
    let notifier = try #require(
      ServiceNotifier(environment: ["NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"], processID: 42))
    #expect(notifier.watchdogMicroseconds == 3_000_000)
    try notifier.notify(.ready, status: "two\nlines")
    #expect(socket.receive() == "READY=1\nSTATUS=two lines")
    try notifier.notify(.watchdog)
    #expect(socket.receive() == "WATCHDOG=1")
    try notifier.notify(.stopping)
    #expect(socket.receive() == "STOPPING=1")
    try notifier.notify(.reloading)
    #expect(socket.receive().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
  }

  /// A service manager that reads nothing: its queue fills up, and then nobody waits for it for ever.
  @Test func aStuckServiceManagerHoldsNobodyUp() throws {
    let folder = try ScratchFolder()
    let address = folder.file("notify")
    let socket = try NotifySocket(address: address)
    let notifier = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": address], processID: 42))
    var refused = 0
    // The kernel's limit is some ten datagrams; a machine may have another.
    for _ in 0..<2000 where refused < 2 {
      do { try notifier.notify(nil, status: "fine") } catch {
        refused += 1
        #expect(error.errorNumber == EAGAIN)
      }
    }
    #expect(refused == 2)
    #expect(socket.receive() == "STATUS=fine")
    try notifier.notify(.stopping)
  }

  @Test func withoutSystemdThereIsNobodyToNotify() throws {
    #expect(ServiceNotifier(environment: [:], processID: 42) == nil)
    #expect(ServiceNotifier(environment: ["NOTIFY_SOCKET": ""], processID: 42) == nil)
    let environment = ["NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "41"]
    let notifier = try #require(ServiceNotifier(environment: environment, processID: 42))
    #expect(notifier.watchdogMicroseconds == nil)
    do {
      try notifier.notify(.ready)
      Issue.record("expected an error")
    } catch {
      #expect(error.description == "NOTIFY_SOCKET /no/such/socket: file not found (sendto)")
    }
  }
}

/// A datagram socket as systemd holds it.
private final class NotifySocket {
  private let descriptor: Int32

  init(address: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(address.utf8)
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (bytes[0] == 0 ? 0 : 1))
    let result = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
    }
    try #require(descriptor >= 0 && result == 0)
  }

  /// One datagram, which is already there: sendto on a unix socket is done when it returns.
  func receive() -> String {
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
  }

  deinit {
    close(descriptor)
  }
}
