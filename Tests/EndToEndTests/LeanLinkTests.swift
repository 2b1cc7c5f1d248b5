import Foundation
import Synchronization
import TestSupport
import Testing

/// A device on a thin line sends record and master alone; the far side makes the other pictures again, byte for byte, and
/// says that it did.
@Suite(.serialized) struct LeanLinkTests {
  private static let lean = [
    "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
    "delivery": "send_view = false",
  ]

  @Test func aLeanCaptureIsSmallAndItsPicturesAreMadeAgain() async throws {
    // One connection of eight captures: two sessions of four views.
    let captures = 8
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let line = try CountingRelay(to: broker.port)
    let receiver = try workspace.startReceiver(port: broker.port, until: captures)
    try await receiver.waitForErrors(containing: "receiving")
    let configuration = try workspace.configure(port: line.port, captures: captures, more: Self.lean)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    #expect(try await receiver.waitForExit(seconds: 180) == 0, "\(receiver.errors)\n\(device.errors)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(!receiver.errors.contains("was not sent"), "\(receiver.errors)")

    // Connection, status, health, events, receipts and all: what the socket carried, both ways.
    let each = line.bytes / captures
    #expect(each > 4000 && each <= 12_000, "\(each) bytes a capture")
    print("thin line: \(each) bytes a capture, both ways, over \(captures) captures")

    let records = try workspace.receivedRecords()
    #expect(records.count == captures)
    try await workspace.validateAgainstSchema(recordNamed: "record.json")
    for record in records {
      let id = try #require(record["capture_id"] as? String)
      let folder = "\(workspace.received)/test-site/test-device/\(id)/"
      let promised = try #require(record["renderings"] as? [[String: Any]])
      let images = try #require(record["images"] as? [[String: Any]])
      let names = promised.compactMap { $0["name"] as? String }
      #expect(names == ["view.png", "mask.png", "standard-error.png"])
      #expect(images.compactMap { $0["name"] as? String } == ["master.png"])
      let said = try String(contentsOfFile: folder + "rendered.json", encoding: .utf8)
      let receipt = try String(contentsOfFile: folder + "receipt.json", encoding: .utf8)
      for promise in promised {
        let name = try #require(promise["name"] as? String)
        let drawn = try Data(contentsOf: URL(filePath: folder + name))
        #expect(drawn.count == promise["bytes"] as? Int, "\(name)")
        #expect(try await Self.sha256(folder + name) == promise["sha256"] as? String, "\(name)")
        #expect(said.contains("\"from\":\"master.png\",\"name\":\"\(name)\""), "\(said)")
        #expect(!receipt.contains(name), "a receipt vouches for what came, not for what was drawn")
      }
    }
    // At the device nothing of them is kept either.
    let list = try await Program.run(["outbox", "list", "--config", configuration], in: workspace.folder)
    #expect(list.output.contains("master.png"), "\(list.output)")
    for name in ["view.png", "mask.png", "standard-error.png"] {
      #expect(!list.output.contains(name), "\(list.output)")
    }
  }

  /// Debian's own sum, not ours.
  private static func sha256(_ path: String) async throws -> String {
    let sum = try await Program.run([path], executable: "/usr/bin/sha256sum", in: "/")
    return String(sum.output.prefix(64))
  }

  private static let isLinePossible: Bool = {
    guard geteuid() == 0 else { return false }
    let paths = ["/usr/sbin/iptables", "/sbin/iptables"].filter { FileManager.default.isExecutableFile(atPath: $0) }
    return !paths.isEmpty
  }()

  /// The script of the long measurement, with two captures.
  @Test(.enabled(if: isLinePossible, "needs root, network namespaces and iptables"))
  func capturesComeThroughAThinAndLossyLine() async throws {
    let workspace = try Workspace()
    let measured = try await Program.run(
      [Workspace.repository + "/Scripts/lean-link"], executable: "/bin/bash", in: workspace.folder,
      environment: ["PROGRAM": Program.thermograph, "CAPTURES": "2", "LIMIT": "240"], seconds: 400)
    #expect(measured.status == 0, "\(measured.errors)")
    #expect(measured.output.contains("2 captures in "), "\(measured.output)")
  }
}

/// Forwards connections on loopback and counts every byte.
private final class CountingRelay: Sendable {
  let port: UInt16
  private let listener: Int32
  private let count: Counter

  private final class Counter: Sendable {
    let value = Atomic<Int>(0)
  }

  init(to target: UInt16) throws {
    let count = Counter()
    self.count = count
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isReady = withUnsafeMutablePointer(to: &address) { [listener] pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &size) == 0
      }
    }
    try #require(isReady)
    port = UInt16(bigEndian: address.sin_port)
    let listener = listener
    Thread.detachNewThread {
      while case let client = accept(listener, nil, nil), client >= 0 {
        let broker = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(target)
        let isConnected =
          withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
              connect(broker, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
          } == 0
        guard isConnected else { return }
        for (from, to) in [(client, broker), (broker, client)] {
          Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let got = recv(from, &buffer, buffer.count, 0), got > 0 {
              count.value.add(got, ordering: .relaxed)
              guard send(to, buffer, got, Int32(MSG_NOSIGNAL)) == got else { break }
            }
            shutdown(to, Int32(SHUT_WR))
          }
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  var bytes: Int { count.value.load(ordering: .relaxed) }

  private static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = port.bigEndian
    return address
  }
}
