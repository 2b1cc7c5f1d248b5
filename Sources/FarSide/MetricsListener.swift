import Glibc
import LocalFiles
import Synchronization
import Threads

/// Answers `GET /metrics` on 127.0.0.1, one request at a time; whoever dawdles is left after two seconds.
final class MetricsListener: Sendable {
  private static let requestBytesMaximum = 4096
  private static let patienceMilliseconds: Int32 = 2000

  let port: UInt16
  private let descriptor: Int32
  private let isStopped = Atomic<Bool>(false)
  private let thread = Mutex<NamedThread?>(nil)

  /// - Parameter port: 0 for any that is free.
  init(port: UInt16, text: @escaping @Sendable () -> String) throws(SystemCallError) {
    let place = "127.0.0.1:\(port)"
    let made = try systemCall("socket", on: place) {
      socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }
    do throws(SystemCallError) {
      var yes: Int32 = 1
      try systemCall("setsockopt", on: place) {
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
      }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      try withUnsafeMutablePointer(to: &address) { pointer throws(SystemCallError) in
        let generic = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: sockaddr.self)
        try systemCall("bind", on: place) { bind(made, generic, length) }
        try systemCall("listen", on: place) { listen(made, 8) }
        try systemCall("getsockname", on: place) { getsockname(made, generic, &length) }
      }
      self.port = UInt16(bigEndian: address.sin_port)
    } catch {
      close(made)
      throw error
    }
    descriptor = made
    let started = try NamedThread("metrics") { [weak self] in
      while let self, !self.isStopped.load(ordering: .relaxed) { self.answerOne(text) }
    }
    thread.withLock { $0 = started }
  }

  func stop() {
    isStopped.store(true, ordering: .relaxed)
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
    close(descriptor)
  }

  private func answerOne(_ text: () -> String) {
    guard waits(descriptor, for: POLLIN, 500) else { return }
    let client = accept(descriptor, nil, nil)
    guard client >= 0 else { return }
    defer { close(client) }
    var request: [UInt8] = []
    let end = monotonicMilliseconds() + Int64(Self.patienceMilliseconds)
    while !request.suffix(4).elementsEqual([13, 10, 13, 10]) {
      var buffer = [UInt8](repeating: 0, count: 1024)
      guard monotonicMilliseconds() < end, waits(client, for: POLLIN, Self.patienceMilliseconds) else { return }
      let count = recv(client, &buffer, buffer.count, 0)
      guard count > 0 else { return }
      request += buffer.prefix(count)
      guard request.count <= Self.requestBytesMaximum else { return }
    }
    let isAsked = request.starts(with: Array("GET /metrics ".utf8))
    let body = Array((isAsked ? text() : "GET /metrics is all there is\n").utf8)
    let head =
      "HTTP/1.1 \(isAsked ? "200 OK" : "404 Not Found")\r\nContent-Type: text/plain; version=0.0.4\r\n"
      + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    var answer = Array(head.utf8)[...] + body
    while !answer.isEmpty, monotonicMilliseconds() < end, waits(client, for: POLLOUT, Self.patienceMilliseconds) {
      let sent = answer.withUnsafeBytes { send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }
      guard sent > 0 else { return }
      answer = answer.dropFirst(sent)
    }
  }

  private func waits(_ descriptor: Int32, for events: Int32, _ milliseconds: Int32) -> Bool {
    var asked = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return poll(&asked, 1, milliseconds) > 0
  }
}
