import Foundation
import Glibc
import LinuxIO
import LocalFiles
import Synchronization
import TestSupport
import Testing

@Suite struct ControlSocketTests {
  /// Answers each request with itself, twice.
  private func echo(_ path: String, limits: ControlLimits = ControlLimits()) throws -> ControlListener {
    try ControlListener(path: path, limits: limits) { request, _, answer in
      answer.send(line: request)
      answer.send(line: request)
      answer.finish()
    }
  }

  private func ask(_ path: String, _ text: String) throws -> [String] {
    var lines: [String] = []
    try ControlClient(path: path).ask(Array(text.utf8), silenceMilliseconds: 20_000) {
      lines.append(String(decoding: $0, as: UTF8.self))
      return true
    }
    return lines
  }

  @Test func aRequestHasItsAnswer() throws {
    let folder = try ScratchFolder()
    let listener = try echo(folder.file("control"))
    defer { listener.stop() }
    #expect(try ask(folder.file("control"), "hello") == ["hello", "hello"])
    var status = stat()
    #expect(stat(folder.file("control"), &status) == 0 && status.st_mode & 0o7777 == 0o660)
  }

  @Test func theSocketOfAServiceThatWasKilledIsReplacedAndNoOtherFile() throws {
    let folder = try ScratchFolder()
    let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try bindUnix(left, folder.file("control"))
    close(left)
    #expect(throws: ControlClientError.notRunning(path: folder.file("control"))) {
      try ask(folder.file("control"), "x")
    }
    try echo(folder.file("control")).stop()
    try "precious".write(toFile: folder.file("file"), atomically: true, encoding: .utf8)
    #expect(throws: SystemCallError.self) { try echo(folder.file("file")) }
    #expect(try String(contentsOfFile: folder.file("file"), encoding: .utf8) == "precious")
  }

  @Test func withoutAServiceTheMessageSaysSo() throws {
    let folder = try ScratchFolder()
    do {
      _ = try ask(folder.file("control"), "x")
      Issue.record("expected an error")
    } catch {
      #expect("\(error)".hasPrefix("the service is not running (nobody answers at \(folder.file("control")))"))
    }
  }

  @Test func onlyRootTheServiceAndItsGroupMayControl() {
    #expect(ControlPeer(user: 0, groups: [0]).mayControl(serviceOf: 990, group: 991))
    #expect(ControlPeer(user: 990, groups: [5]).mayControl(serviceOf: 990, group: 991))
    #expect(ControlPeer(user: 1000, groups: [1000, 27, 991]).mayControl(serviceOf: 990, group: 991))
    #expect(!ControlPeer(user: 1000, groups: [1000, 27]).mayControl(serviceOf: 990, group: 991))
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to become another user"))
  func anotherUserIsCutOffBeforeAByteIsRead() throws {
    let folder = try ScratchFolder()
    let wasCalled = Atomic(false)
    let listener = try ControlListener(path: folder.file("control")) { _, _, answer in
      wasCalled.store(true, ordering: .relaxed)
      answer.finish()
    }
    defer { listener.stop() }
    // The folder and the socket would let anybody connect; the peer's credentials must not.
    chmod(folder.file(""), 0o755)
    chmod(folder.file("control"), 0o666)
    // A Python child, since a process with threads cannot change its user for a moment.
    let script = """
      import os, socket, sys
      os.setgroups([]); os.setgid(65534); os.setuid(65534)
      s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
      try: s.send(b'{}\\n')
      except OSError: pass
      print(s.recv(4096).decode())
      """
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = ["-c", script, folder.file("control")]
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(text.contains("you may not control this service"))
    let called = wasCalled.load(ordering: .relaxed)
    #expect(!called)
  }

  // MARK: - Hostile clients

  @Test func aClientThatSendsNothingIsCutOffAndKeepsNobodyWaiting() async throws {
    let folder = try ScratchFolder()
    var limits = ControlLimits()
    limits.requestMilliseconds = 200
    let listener = try echo(folder.file("control"), limits: limits)
    defer { listener.stop() }
    let silent = try (0..<limits.connectionsPerUser).map { _ in try connectUnix(folder.file("control")) }
    defer { silent.forEach { close($0) } }
    try await eventually("the silent ones are cut off") {
      (try? self.ask(folder.file("control"), "hello")) == ["hello", "hello"]
    }
    for descriptor in silent { #expect(try endsWithin(descriptor, milliseconds: 20_000)) }
  }

  @Test func aRequestWithoutAnEndIsCutOffAtItsLimit() throws {
    let folder = try ScratchFolder()
    let listener = try echo(folder.file("control"))
    defer { listener.stop() }
    let descriptor = try connectUnix(folder.file("control"))
    defer { close(descriptor) }
    let flood = [UInt8](repeating: UInt8(ascii: "x"), count: 65_536)
    var sent = 0
    // The kernel's buffers take some; then the end of the connection shows.
    for _ in 0..<64 {
      let count = send(descriptor, flood, flood.count, Int32(MSG_NOSIGNAL))
      if count < 0 { break }
      sent += count
    }
    #expect(sent < 64 * 65_536)
    #expect(try ask(folder.file("control"), "hello") == ["hello", "hello"])
  }

  @Test func aClientThatDoesNotReadIsCutOffAndItsAnswerIsBounded() async throws {
    let folder = try ScratchFolder()
    var limits = ControlLimits()
    limits.answerMilliseconds = 200
    let answers = Mutex<[ControlAnswer]>([])
    let listener = try ControlListener(path: folder.file("control"), limits: limits) { request, _, answer in
      answers.withLock { $0.append(answer) }
    }
    defer { listener.stop() }
    let descriptor = try connectUnix(folder.file("control"))
    defer { close(descriptor) }
    #expect(send(descriptor, "{}\n", 3, 0) == 3)
    try await eventually("the request is there") { answers.withLock { !$0.isEmpty } }
    let answer = try #require(answers.withLock { $0.first })
    let line = [UInt8](repeating: UInt8(ascii: "y"), count: 16_384)
    var taken = 0
    // Never read: after the kernel's buffer and ours are full no more is taken.
    for _ in 0..<1000 where answer.send(line: line) { taken += 1 }
    #expect(taken * line.count < 2 << 20)
    try await eventually("it is gone") { answer.isGone }
  }

  @Test func aFloodOfConnectionsNeitherGrowsNorBlocksTheService() async throws {
    let folder = try ScratchFolder()
    var limits = ControlLimits()
    limits.requestMilliseconds = 200
    let listener = try echo(folder.file("control"), limits: limits)
    defer { listener.stop() }
    var flood: [Int32] = []
    for _ in 0..<200 {
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      // An overrun listener answers EAGAIN, which is its way of staying small.
      _ = withUnixAddress(folder.file("control")) { connect(descriptor, $0, $1) }
      flood.append(descriptor)
    }
    // The listener, those it has accepted, and one more than the queue holds in the kernel (listen(2)).
    #expect(try sockets(at: folder.file("control")) <= 1 + limits.connections + Int(ControlLimits.backlog) + 1)
    flood.forEach { close($0) }
    try await eventually("it answers again") {
      (try? self.ask(folder.file("control"), "hello")) == ["hello", "hello"]
    }
    try await eventually("nothing is left open") { try self.sockets(at: folder.file("control")) == 1 }
  }

  /// One member of the service's group connects as fast as it can and holds what it gets; root's questions are answered.
  @Test(.enabled(if: geteuid() == 0, "needs root to become another user"))
  func oneUsersFloodStarvesNobodyElse() throws {
    let folder = try ScratchFolder()
    let listener = try echo(folder.file("control"))
    defer { listener.stop() }
    chmod(folder.path, 0o755)
    chmod(folder.file("control"), 0o666)
    let script = """
      import os, socket, sys
      os.setgroups([]); os.setgid(0); os.setuid(65534)
      held = []
      print('flooding', flush=True)
      while True:
          s = socket.socket(socket.AF_UNIX); s.setblocking(False)
          try: s.connect(sys.argv[1]); held.append(s)
          except OSError: s.close()
          if len(held) > 500: held.pop(0).close()
      """
    let flood = Process()
    let output = Pipe()
    flood.executableURL = URL(filePath: "/usr/bin/python3")
    flood.arguments = ["-c", script, folder.file("control")]
    flood.standardOutput = output
    try flood.run()
    defer {
      // Whoever runs the tests may have SIGTERM ignored, and a child inherits that.
      kill(flood.processIdentifier, SIGKILL)
      flood.waitUntilExit()
    }
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).contains("flooding"))
    let answered = (0..<86).count { number in (try? ask(folder.file("control"), "\(number)"))?.first == "\(number)" }
    #expect(answered >= 82, "\(answered) of 86 questions were answered")
  }

  @Test func aStopCutsEverybodyOff() throws {
    let folder = try ScratchFolder()
    let listener = try ControlListener(path: folder.file("control")) { _, _, _ in }
    let descriptor = try connectUnix(folder.file("control"))
    defer { close(descriptor) }
    _ = send(descriptor, "{}\n", 3, 0)
    listener.stop()
    #expect(try endsWithin(descriptor, milliseconds: 20_000))
    #expect(access(folder.file("control"), F_OK) != 0)
  }

  // MARK: - Helpers

  /// The listener and every connection that it has accepted.
  private func sockets(at path: String) throws -> Int {
    let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/net/unix"))
    let text = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    return text.split(separator: "\n").count { $0.hasSuffix(" " + path) }
  }

  private func connectUnix(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let result = withUnixAddress(path) { connect(descriptor, $0, $1) }
    try #require(descriptor >= 0 && result == 0)
    return descriptor
  }

  private func bindUnix(_ descriptor: Int32, _ path: String) throws {
    let result = withUnixAddress(path) { bind(descriptor, $0, $1) }
    try #require(result == 0)
  }

  private func withUnixAddress<R>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  /// The other side hangs up.
  private func endsWithin(_ descriptor: Int32, milliseconds: Int32) throws -> Bool {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, milliseconds) == 1 else { return false }
      if recv(descriptor, &buffer, buffer.count, 0) <= 0 { return true }
    }
  }
}

/// Polls until `condition` holds. The limit only guards against a hang.
private func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(60)
  while try !condition() {
    try #require(ContinuousClock.now < deadline, "waited in vain until \(what)")
    try await Task.sleep(for: .milliseconds(10))
  }
}
