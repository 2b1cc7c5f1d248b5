import Forwarding
import Foundation
import TestSupport
import Testing

/// The fault matrix as far as it needs a device in a process of its own: kills, power cuts, real networks.
///
/// The counts are small here and grow with the environment: THERMOGRAPH_KILLS, THERMOGRAPH_POWER_CUTS,
/// THERMOGRAPH_FAULT_CAPTURES, THERMOGRAPH_FAULT_SLOW_CAPTURES. Each capture is four messages: a record, and images of 6 KB, 60 KB and 140 KB.
@Suite(.serialized) struct DeviceFaultTests {
  private static let kills = FaultMatrix.count("THERMOGRAPH_KILLS", 8)
  private static let powerCuts = FaultMatrix.count("THERMOGRAPH_POWER_CUTS", 3)
  private static let captures = FaultMatrix.captures
  /// Of the lines that take minutes for a thousand messages.
  private static let slowCaptures = FaultMatrix.count("THERMOGRAPH_FAULT_SLOW_CAPTURES", 2)

  // MARK: - Kills and power

  @Test func killedAtAnyMomentWhileStoringAndDelivering() async throws {
    let row = FaultRow("SIGKILL \(Self.kills) times")
    let scene = try await DriverScene()
    var saved: [Int] = []
    var attempted: Set<Int> = []
    var next = 1
    for round in 0...Self.kills {
      let isLast = round == Self.kills
      let device = try DriverProcess(
        folder: scene.folder, keyFile: scene.keyFile, port: scene.broker.port, first: next,
        count: isLast ? 5 : 1_000_000, options: ["pause=5", "receipt=\(FaultMatrix.receiptTimeoutSeconds)"])
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
      try await scene.verify(row, saved: saved, attempted: attempted)
      _ = try await device.terminate()
    }
    await scene.receiver.stop()
  }

  @Test(.enabled(if: LoopDisk.isPossible, "needs root, a loop device and ext4's shutdown ioctl"))
  func powerCutsLoseNothingThatWasSaved() async throws {
    let row = FaultRow("power cut \(Self.powerCuts) times")
    let scene = try await DriverScene()
    // Room for all that waits when the receiver falls behind.
    let disk = try LoopDisk(megabytes: 1024)
    var saved: [Int] = []
    var attempted: Set<Int> = []
    var refused = 0
    var next = 1
    for round in 0...Self.powerCuts {
      let isLast = round == Self.powerCuts
      let device = try DriverProcess(
        folder: disk.mount, keyFile: scene.keyFile, port: scene.broker.port, first: next,
        count: isLast ? 5 : 1_000_000, options: ["pause=10", "receipt=\(FaultMatrix.receiptTimeoutSeconds)"])
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
      try await scene.verify(row, saved: saved, attempted: attempted, note: "\(refused) refused with EIO")
      _ = try await device.terminate()
    }
    await scene.receiver.stop()
  }

  // MARK: - Real networks

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aBlackHoleInMidPublishIsNoticedAndOvercome() async throws {
    let row = FaultRow("black hole in mid-publish")
    let network = try NetworkNamespace()
    let scene = try await DriverScene(gateway: network.gateway)
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
    try await scene.verify(
      row, saved: saved, attempted: Set(saved), note: "noticed after \(noticed) at a keep-alive of \(keepAlive) s")
    // Once more, and the device is told to stop in the middle of it.
    try network.blackHole(true)
    let end = try await device.terminate()
    await scene.receiver.stop()
    // The contract is twice the keep-alive and 2 s; a test machine that stands still must not fail the test.
    #expect(noticed < .seconds(6 * keepAlive))
    #expect(end < .seconds(20))
    row.report("SIGTERM to exit \(end) while the hole is there")
  }

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aLineThatLosesAThirdDelivers() async throws {
    let row = FaultRow("30 % loss in both directions")
    let network = try NetworkNamespace()
    let scene = try await DriverScene(gateway: network.gateway)
    try network.lose(percent: 30)
    let count = Self.slowCaptures
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 1, count: count,
      options: ["keepalive=30", "stall=120", "connect=20000", "receipt=120"], namespace: network)
    try await eventually("all are stored", withinSeconds: 120) { try device.says("all stored") }
    let saved = try device.numbers("saved")
    try await scene.verify(row, saved: saved, attempted: Set(saved), hangGuardSeconds: Double(300 + 60 * count))
    let counts = try network.counts()
    // Each packet is lost by a dice of its own: few packets may lose far fewer than 30 %, beyond six deviations never.
    let packets = Double(counts.passed + counts.dropped)
    #expect(
      Double(counts.dropped) > 0.3 * packets - 6 * (0.3 * 0.7 * packets).squareRoot(),
      "\(counts.dropped) of \(packets) packets lost: fewer than the line should")
    #expect(counts.dropped > 0, "the line lost nothing")
    row.report("\(counts.dropped) packets thrown away, \(counts.passed) let through")
    _ = try await device.terminate()
    await scene.receiver.stop()
  }

  /// A line that carries little, and a router before it that holds seconds of it. Each keep-alive has a line of its own,
  /// at the same time.
  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aSlowLineDelivers() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for keepAlive in [5, 30] {
        group.addTask {
          let row = FaultRow("256 kbit/s, keep-alive \(keepAlive) s")
          let network = try NetworkNamespace()
          let scene = try await DriverScene(gateway: network.gateway)
          try network.narrow(kilobitsPerSecond: 256)
          let device = try DriverProcess(
            folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 1,
            count: Self.slowCaptures, options: ["keepalive=\(keepAlive)", "receipt=600"], namespace: network)
          try await Self.deliversWithoutALoss(device, scene, row)
        }
      }
      try await group.waitForAll()
    }
  }

  /// A peer that takes 32 KB a second and keeps its TCP window closed in between, which the kernel holds against it
  /// when TCP_USER_TIMEOUT is set.
  @Test func aSlowReceiverDelivers() async throws {
    let row = FaultRow("receiver of 256 kbit/s, keep-alive 5 s")
    let scene = try await DriverScene()
    let line = try FaultProxy(to: scene.broker.port)
    line.change(FaultProxy.Plan(bytesPerSecond: 256_000 / 8))
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, port: line.port, first: 1, count: Self.slowCaptures,
      options: ["keepalive=5", "receipt=600"])
    try await Self.deliversWithoutALoss(device, scene, row)
  }

  /// With an acknowledgement time-out of 10 s, far less than a full window takes.
  private static func deliversWithoutALoss(_ device: DriverProcess, _ scene: DriverScene, _ row: FaultRow) async throws
  {
    let count = slowCaptures
    try await eventually("all are stored", withinSeconds: 120) { try device.says("all stored") }
    let saved = try device.numbers("saved")
    try await scene.verify(row, saved: saved, attempted: Set(saved), hangGuardSeconds: Double(300 + 20 * count))
    let losses = try device.lines().count { $0.hasPrefix("log disconnected") }
    #expect(losses == 0, "a slow line was taken for a dead one \(losses) times")
    row.report("\(losses) connections lost")
    _ = try await device.terminate()
    await scene.receiver.stop()
  }

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aNetworkThatComesUpIsUsedAtOnce() async throws {
    let row = FaultRow("a network that comes up")
    let network = try NetworkNamespace(isUp: false)
    let scene = try await DriverScene(gateway: network.gateway)
    // The pause between attempts is an hour: only the news of the interface can bring it about.
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: 1, count: 2,
      options: ["retry=3600000", "network=watch"], namespace: network)
    try await eventually("no connection") { try device.says("log no connection") }
    try network.bringUp()
    let saved = [1, 2]
    try await scene.verify(row, saved: saved, attempted: Set(saved), hangGuardSeconds: 60)
    _ = try await device.terminate()
    await scene.receiver.stop()
  }

  @Test(.enabled(if: NetworkNamespace.isPossible, "needs root, network namespaces and iptables"))
  func aNameServerThatHangsHoldsNothingUp() async throws {
    let row = FaultRow("DNS that hangs")
    let network = try NetworkNamespace()
    let scene = try await DriverScene(gateway: network.gateway)
    try network.hangLookUps()
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: "broker.example.invalid", port: 1883, first: 1,
      count: Self.captures, options: ["connect=1000"], namespace: network)
    try await eventually("captures are saved all the same", withinSeconds: 120) { try device.says("all stored") }
    try await eventually("the attempt is bounded") {
      try device.lines().count { $0.hasPrefix("log no connection") } >= 2
    }
    #expect(try device.numbers("saved").count == Self.captures)
    let end = try await device.terminate()
    #expect(end < .seconds(20))
    // With a name that resolves, what waited arrives.
    let again = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, host: network.gateway, port: 1883, first: Self.captures + 1,
      count: 1, namespace: network)
    let saved = Array(1...(Self.captures + 1))
    try await scene.verify(row, saved: saved, attempted: Set(saved), note: "SIGTERM to exit \(end)")
    _ = try await again.terminate()
    await scene.receiver.stop()
  }
}
