import Foundation
import Synchronization
import TestSupport

/// A `DeliveryDriver`: a device in a process of its own.
final class DriverProcess {
  private let process = Process()
  private let output: URL

  /// - Parameters:
  ///   - folder: holds the database; `keyFile` may lie elsewhere, so that a power cut does not take it.
  ///   - namespace: where its line begins; nil for this process's own.
  init(
    folder: URL, keyFile: URL, host: String = "127.0.0.1", port: UInt16, first: Int, count: Int,
    options: [String] = [], namespace: NetworkNamespace? = nil
  ) throws {
    output = FileManager.default.temporaryDirectory.appending(path: "driver-\(UUID().uuidString).txt")
    try Data().write(to: output)
    let arguments = [folder.path, keyFile.path, host, "\(port)", "\(first)", "\(count)"] + options
    let program = Self.executable.path
    if let namespace {
      process.executableURL = URL(filePath: "/usr/bin/env")
      // `ip netns exec` becomes the program, so the process id stays its own.
      process.arguments = ["ip", "netns", "exec", namespace.name, program] + arguments
    } else {
      process.executableURL = URL(filePath: program)
      process.arguments = arguments
    }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
  }

  deinit {
    kill()
    try? FileManager.default.removeItem(at: output)
  }

  private static var executable: URL { builtProgram("DeliveryDriver") }

  /// A new key that only this test knows.
  static func makeKey(in folder: URL) throws -> URL {
    let file = folder.appending(path: "outbox.key")
    let bytes = (0..<32).map { _ in UInt8.random(in: 0...255) }
    try Data(bytes).write(to: file)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
    return file
  }

  /// Whole lines that it said so far.
  func lines() throws -> [String] {
    let text = try String(contentsOf: output, encoding: .utf8)
    let end = text.lastIndex(of: "\n") ?? text.startIndex
    return text[..<end].split(separator: "\n").map(String.init)
  }

  /// The numbers behind `word` at the beginning of a line.
  func numbers(_ word: String) throws -> [Int] {
    try lines().compactMap { line in
      let parts = line.split(separator: " ")
      return parts.count >= 2 && parts[0] == word ? Int(parts[1]) : nil
    }
  }

  func says(_ beginning: String) throws -> Bool { try lines().contains { $0.hasPrefix(beginning) } }

  /// The most memory that it ever held, in bytes (proc(5), VmHWM).
  func peakMemoryBytes() throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0.filter(\.isNumber)) }) else {
      throw TestFault(description: "no VmHWM")
    }
    return kilobytes * 1024
  }

  var isRunning: Bool { process.isRunning }

  /// SIGKILL, and waits for the end.
  func kill() {
    if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  /// SIGTERM; returns how long the end took.
  func terminate() async throws -> Duration {
    let clock = ContinuousClock()
    let start = clock.now
    Foundation.kill(process.processIdentifier, SIGTERM)
    try await eventually("the device ends") { !self.process.isRunning }
    guard process.terminationStatus == 0 else {
      throw TestFault(
        description: "the device ended with \(process.terminationStatus): \(try lines().suffix(3))")
    }
    return clock.now - start
  }

  /// The capture id that stands for a number.
  static func captureID(_ number: Int) -> String {
    "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - String(number).count) + String(number)
  }
}

/// A device's place on a network of its own: a namespace, and a pair of virtual interfaces to this process's. Its
/// addresses are of a block for documentation (RFC 5737) and reach nothing else.
final class NetworkNamespace {
  let name: String
  private let outside: String
  private let inside: String
  /// Of this side, where a broker listens.
  let gateway: String
  private let address: String

  /// Two at a time never have the same addresses.
  private static let next = Mutex(Int.random(in: 0..<64))

  /// - Parameter isUp: whether the device's side has its address from the start.
  init(isUp: Bool = true) throws {
    let number = Self.next.withLock { next in
      defer { next = (next + 1) % 64 }
      return next
    }
    let tag = String(UInt32.random(in: 0...0xFFFFFF), radix: 16)
    name = "tg-\(tag)"
    outside = "tgo\(tag)"
    inside = "tgi\(tag)"
    gateway = "198.51.100.\(number * 4 + 1)"
    address = "198.51.100.\(number * 4 + 2)"
    try run("ip", "netns", "add", name)
    try run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
    try run("ip", "addr", "add", "\(gateway)/30", "dev", outside)
    try run("ip", "link", "set", outside, "up")
    try run("ip", "-n", name, "link", "set", "lo", "up")
    if isUp { try bringUp() }
  }

  deinit {
    try? run("ip", "link", "del", outside)
    try? run("ip", "netns", "del", name)
    try? FileManager.default.removeItem(atPath: "/etc/netns/\(name)")
  }

  /// Gives the device's side its address, as a router's answer does.
  func bringUp() throws {
    try run("ip", "-n", name, "link", "set", inside, "up")
    try run("ip", "-n", name, "addr", "add", "\(address)/30", "dev", inside)
  }

  /// Throws every packet away from now on, or lets them pass again. Nobody is told: no RST, no ICMP.
  func blackHole(_ isOn: Bool) throws {
    for chain in ["INPUT", "OUTPUT"] {
      try run("ip", "netns", "exec", name, "iptables", "-w", isOn ? "-I" : "-D", chain, "-j", "DROP")
    }
  }

  /// Throws a share of the packets away, in both directions.
  func lose(percent: Int) throws {
    for chain in ["INPUT", "OUTPUT"] {
      try run(
        "ip", "netns", "exec", name, "iptables", "-w", "-I", chain, "-m", "statistic", "--mode", "random",
        "--probability", "0.\(percent)", "-j", "DROP")
      // Only rules count packets, a chain's policy need not.
      try run("ip", "netns", "exec", name, "iptables", "-w", "-A", chain, "-j", "ACCEPT")
    }
  }

  /// Makes the line narrow in both directions, with a router that holds what waits for it: 64 KB, two seconds at
  /// 256 kbit/s.
  func narrow(kilobitsPerSecond rate: Int) throws {
    let filter = ["root", "tbf", "rate", "\(rate)kbit", "burst", "2000", "limit", "65536"]
    try run("tc", ["qdisc", "add", "dev", outside] + filter)
    try run("tc", ["-n", name, "qdisc", "add", "dev", inside] + filter)
  }

  /// Packets that `lose` let through and those that it threw away, as the kernel counted them.
  func counts() throws -> (passed: Int, dropped: Int) {
    var (passed, dropped) = (0, 0)
    for chain in ["INPUT", "OUTPUT"] {
      let report = FileManager.default.temporaryDirectory.appending(path: "counts-\(UUID().uuidString)")
      defer { try? FileManager.default.removeItem(at: report) }
      try run("sh", "-c", "ip netns exec $1 iptables -w -nvxL $2 > $3", "sh", name, chain, report.path)
      for line in try String(contentsOf: report, encoding: .utf8).split(separator: "\n") {
        let words = line.split(separator: " ")
        guard words.count > 2, let packets = Int(words[0]) else { continue }
        if words[2] == "ACCEPT" { passed += packets }
        if words[2] == "DROP" { dropped += packets }
      }
    }
    return (passed, dropped)
  }

  /// A name server that never answers.
  func hangLookUps() throws {
    let folder = URL(filePath: "/etc/netns/\(name)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data("nameserver \(gateway)\noptions timeout:30 attempts:5\n".utf8)
      .write(to: folder.appending(path: "resolv.conf"))
    try run("ip", "netns", "exec", name, "iptables", "-w", "-I", "OUTPUT", "-p", "udp", "-j", "DROP")
  }

  static let isPossible: Bool = {
    guard geteuid() == 0, let probe = try? NetworkNamespace() else { return false }
    return (try? probe.lose(percent: 1)) != nil
  }()
}
