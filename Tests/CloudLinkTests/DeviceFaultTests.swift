import Forwarding
import Foundation
import Testing

/// The fault matrix as far as it needs a device in a process of its own: kills, power cuts, real networks.
///
/// The counts are small here and grow with the environment: THERMOGRAPH_KILLS, THERMOGRAPH_POWER_CUTS,
/// THERMOGRAPH_FAULT_CAPTURES. Each capture is four messages: a record, and images of 6 KB, 60 KB and 140 KB.
@Suite(.serialized) struct DeviceFaultTests {
  private static func count(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }

  private static let kills = count("THERMOGRAPH_KILLS", 8)
  private static let powerCuts = count("THERMOGRAPH_POWER_CUTS", 3)
  private static let captures = count("THERMOGRAPH_FAULT_CAPTURES", 24)
  private static let names = [OutboxItem.recordName, "image0.png", "image1.png", "image2.png"]

  /// A broker with a receiver, and a device's folder with its key.
  private final class Scene {
    let broker: MosquittoBroker
    let receiver: ReceiverEnd
    let folder: URL
    let keyFile: URL

    init(gateway: String? = nil) async throws {
      // A second listener for the device behind its virtual interface; the receiver stays on loopback.
      broker = try MosquittoBroker(
        extra: ["allow_anonymous true"] + (gateway.map { ["listener 1883 \($0)"] } ?? []), logsEverything: false)
      try await broker.start()
      receiver = try await ReceiverEnd(broker.port)
      folder = FileManager.default.temporaryDirectory.appending(path: "scene-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      keyFile = try DriverProcess.makeKey(in: folder)
    }

    deinit {
      try? FileManager.default.removeItem(at: folder)
    }

    /// Everything that was announced as saved is there once, in its order, and nothing is there twice.
    func verify(saved: [Int], attempted: Set<Int>, hangGuardSeconds: Double = 240) async throws {
      let expected = Set(
        saved.flatMap { number in
          DeviceFaultTests.names.map { "\(DriverProcess.captureID(number))/\($0)" }
        })
      try await eventually("all saved captures are there", withinSeconds: hangGuardSeconds) {
        guard receiver.completed >= saved.count else { return false }
        return expected.isSubset(of: try receiver.ledger().stored.keys)
      }
      let (stored, order) = try receiver.ledger()
      #expect(stored.values.allSatisfy { $0 == 1 }, "stored twice: \(stored.filter { $0.value > 1 })")
      // A capture whose commit was whole when the device died may be there without having been announced.
      let known = Set(attempted.map { DriverProcess.captureID($0) })
      #expect(stored.keys.allSatisfy { known.contains(String($0.prefix(36))) })
      #expect(order == order.sorted(), "records out of order")
      #expect(receiver.notes.isEmpty, "\(receiver.notes)")
    }
  }

  private func report(_ line: String) { print("FAULT MATRIX: \(line)") }

  // MARK: - Kills and power

  @Test func killedAtAnyMomentWhileStoringAndDelivering() async throws {
    let scene = try await Scene()
    var saved: [Int] = []
    var attempted: Set<Int> = []
    var next = 1
    for round in 0...Self.kills {
      let isLast = round == Self.kills
      let device = try DriverProcess(
        folder: scene.folder, keyFile: scene.keyFile, port: scene.broker.port, first: next,
        count: isLast ? 5 : 1_000_000, options: ["pause=5"])
      if isLast {
        try await eventually("the last captures are stored") { try device.says("all stored") }
      } else {
        // Anywhere from before the database is open to deep in the delivery.
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...400)))
        device.kill()
      }
      saved += try device.numbers("saved")
      attempted.formUnion(try device.numbers("storing"))
      next = (attempted.max() ?? 0) + 1
      guard isLast else { continue }
      try await scene.verify(saved: saved, attempted: attempted)
      _ = try await device.terminate()
    }
    await scene.receiver.stop()
    report(
      "SIGKILL \(Self.kills) times, \(saved.count) captures (\(4 * saved.count) messages) saved, all there once, in order"
    )
  }

  @Test(.enabled(if: LoopDisk.isPossible, "needs root, a loop device and ext4's shutdown ioctl"))
  func powerCutsLoseNothingThatWasSaved() async throws {
    let scene = try await Scene()
    let disk = try LoopDisk()
    var saved: [Int] = []
    var attempted: Set<Int> = []
    var refused = 0
    var next = 1
    for round in 0...Self.powerCuts {
      let isLast = round == Self.powerCuts
      let device = try DriverProcess(
        folder: disk.mount, keyFile: scene.keyFile, port: scene.broker.port, first: next,
        count: isLast ? 5 : 1_000_000, options: ["pause=10"])
      if isLast {
        try await eventually("the last captures are stored") { try device.says("all stored") }
      } else {
        let before = Int.random(in: 0...12)
        try await eventually("some captures are saved") { try device.numbers("saved").count >= before }
        try disk.cutPower()
        // The device lives on for a moment on a disk that only gives EIO: it must not say "saved" again.
        let savedBefore = try device.numbers("saved").count
        try await Task.sleep(for: .milliseconds(100))
        #expect(try device.numbers("saved").count <= savedBefore + 1)
        device.kill()
        refused += try device.numbers("refused").count
        try disk.detach()
        try disk.attach()
      }
      saved += try device.numbers("saved")
      attempted.formUnion(try device.numbers("storing"))
      next = (attempted.max() ?? 0) + 1
      guard isLast else { continue }
      try await scene.verify(saved: saved, attempted: attempted)
      _ = try await device.terminate()
    }
    await scene.receiver.stop()
    report(
      "power cut \(Self.powerCuts) times, \(saved.count) captures (\(4 * saved.count) messages) saved, all there once; "
        + "\(refused) refused with EIO")
  }

  // MARK: - Real networks

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aBlackHoleInMidPublishIsNoticedAndOvercome() async throws {
    let network = try NetworkNamespace()
    let scene = try await Scene(gateway: network.gateway)
    let keepAlive = 5
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 1, count: Self.captures,
      options: ["keepalive=\(keepAlive)", "pause=20", "stall=60"], namespace: network)
    try await eventually("under way") { scene.receiver.completed >= 2 }
    try network.blackHole(true)
    let clock = ContinuousClock()
    let start = clock.now
    try await eventually("noticed", withinSeconds: 60) { try device.says("log disconnected") }
    let noticed = clock.now - start
    try network.blackHole(false)
    try await eventually("all are stored", withinSeconds: 120) { try device.says("all stored") }
    let saved = try device.numbers("saved")
    try await scene.verify(saved: saved, attempted: Set(saved))
    // Once more, and the device is told to stop in the middle of it.
    try network.blackHole(true)
    let end = try await device.terminate()
    await scene.receiver.stop()
    // The contract is twice the keep-alive and 2 s; a test machine that stands still must not fail the test.
    #expect(noticed < .seconds(6 * keepAlive))
    #expect(end < .seconds(20))
    report(
      "black hole in mid-publish: noticed after \(noticed) (keep-alive \(keepAlive) s), SIGTERM to exit \(end); "
        + "\(saved.count) captures, all there once, in order")
  }

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aLineThatLosesAThirdDelivers() async throws {
    let network = try NetworkNamespace()
    let scene = try await Scene(gateway: network.gateway)
    try network.lose(percent: 30)
    let count = max(2, Self.captures / 8)
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 1, count: count,
      options: ["keepalive=30", "stall=120", "connect=20000", "receipt=120"], namespace: network)
    try await eventually("all are stored", withinSeconds: 120) { try device.says("all stored") }
    let saved = try device.numbers("saved")
    try await scene.verify(saved: saved, attempted: Set(saved), hangGuardSeconds: Double(300 + 60 * count))
    _ = try await device.terminate()
    await scene.receiver.stop()
    report("30 % loss in both directions: \(saved.count) captures, all there once, in order")
  }

  @Test func aSlowLineDelivers() async throws {
    let scene = try await Scene()
    let line = try FaultProxy(to: scene.broker.port)
    line.change(FaultProxy.Plan(bytesPerSecond: 256_000 / 8))
    let count = max(2, Self.captures / 12)
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, port: line.port, first: 1, count: count,
      options: ["keepalive=5", "stall=120", "receipt=600"])
    try await eventually("all are stored", withinSeconds: 120) { try device.says("all stored") }
    let saved = try device.numbers("saved")
    try await scene.verify(saved: saved, attempted: Set(saved), hangGuardSeconds: Double(60 + 20 * count))
    let losses = try device.lines().count { $0.hasPrefix("log disconnected") }
    #expect(losses == 0, "a slow line was taken for a dead one \(losses) times")
    _ = try await device.terminate()
    await scene.receiver.stop()
    report("256 kbit/s: \(saved.count) captures, all there once, in order, the connection held")
  }

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aNetworkThatComesUpIsUsedAtOnce() async throws {
    let network = try NetworkNamespace(isUp: false)
    let scene = try await Scene(gateway: network.gateway)
    // The pause between attempts is an hour: only the news of the interface can bring it about.
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 1, count: 2,
      options: ["retry=3600000", "network=watch"], namespace: network)
    try await eventually("no connection") { try device.says("log no connection") }
    try network.bringUp()
    let saved = [1, 2]
    try await scene.verify(saved: saved, attempted: Set(saved), hangGuardSeconds: 60)
    _ = try await device.terminate()
    await scene.receiver.stop()
  }

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aNameServerThatHangsHoldsNothingUp() async throws {
    let network = try NetworkNamespace()
    let scene = try await Scene(gateway: network.gateway)
    try network.hangLookUps()
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: "broker.example.invalid", port: 1883, first: 1, count: 10,
      options: ["connect=1000"], namespace: network)
    try await eventually("captures are saved all the same") { try device.says("all stored") }
    try await eventually("the attempt is bounded") {
      try device.lines().count { $0.hasPrefix("log no connection") } >= 2
    }
    #expect(try device.numbers("saved").count == 10)
    let end = try await device.terminate()
    #expect(end < .seconds(20))
    // With a name that resolves, what waited arrives.
    let again = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 11, count: 1,
      namespace: network)
    try await scene.verify(saved: Array(1...11), attempted: Set(1...11))
    _ = try await again.terminate()
    await scene.receiver.stop()
    report("DNS that hangs: 10 captures saved meanwhile, SIGTERM to exit \(end), all there once afterwards")
  }
}
