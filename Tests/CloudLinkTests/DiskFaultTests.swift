import Forwarding
import Foundation
import TestSupport
import Testing

/// The fault matrix as far as it concerns the disk of a device that stores and delivers at the same time.
@Suite(.serialized) struct DiskFaultTests {
  /// Times that the disk fills up, and times that it turns read-only.
  private static let fills = FaultMatrix.count("THERMOGRAPH_FAULT_FILLS", 2)
  private static let errors = FaultMatrix.count("THERMOGRAPH_FAULT_DISK_ERRORS", 0)

  /// The line is down and captures come until the disk is full; then the line comes up, and delivery alone must make
  /// room for captures to be saved again.
  @Test(.enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
  func aDiskThatIsFullAgainAndAgain() async throws {
    let row = FaultRow("disk full \(Self.fills) times")
    let scene = try await DriverScene()
    let disk = try SmallDisk(megabytes: 32)
    let line = try FaultProxy(to: scene.broker.port)
    let down = FaultProxy.Plan(fault: .reset, afterBytesToClient: 0)
    line.change(down)
    let device = try DriverProcess(
      folder: disk.mount, keyFile: scene.keyFile, port: line.port, first: 1, count: 1_000_000,
      options: ["pause=5", "ballast=\(8 << 20)", "receipt=\(FaultMatrix.receiptTimeoutSeconds)"])
    for fill in 1...Self.fills {
      let refusals = try device.numbers("refused").count
      try await eventually("the disk is full", withinSeconds: 120) {
        try device.numbers("refused").count >= refusals + 5
      }
      let saved = try device.numbers("saved").count
      line.change(FaultProxy.Plan())
      try await eventually("fill \(fill): captures are saved again", withinSeconds: 120) {
        try device.numbers("saved").count >= saved + 5
      }
      line.change(down)
      line.breakConnections()
    }
    line.change(FaultProxy.Plan())
    _ = try await device.terminate()
    let last = try DriverProcess(
      folder: disk.mount, keyFile: scene.keyFile, port: line.port, first: 1_000_001, count: 2,
      options: ["ballast=\(8 << 20)", "receipt=\(FaultMatrix.receiptTimeoutSeconds)"])
    try await eventually("the last captures are stored", withinSeconds: 120) { try last.says("all stored") }
    let saved = try device.numbers("saved") + last.numbers("saved")
    let attempted = try Set(device.numbers("storing") + last.numbers("storing"))
    let refused = try device.numbers("refused")
    #expect(Set(saved).isDisjoint(with: refused))
    #expect(try last.numbers("saved").count == 2)
    try await scene.verify(row, saved: saved, attempted: attempted, note: "\(refused.count) refused")
    _ = try await last.terminate()
    await scene.receiver.stop()
  }

  /// What ext4 does by itself after an error of the disk (`errors=remount-ro`), under open files: every write fails.
  /// Only in the long form: about one time in forty the file system reports a sync as done that it did not do, see
  /// Docs/delivery-proof.md.
  @Test(.enabled(if: errors > 0 && LoopDisk.isPossible, "THERMOGRAPH_FAULT_DISK_ERRORS is not set, or no root"))
  func aDiskThatTurnsReadOnly() async throws {
    let row = FaultRow("file system read-only after an error, \(Self.errors) times")
    let scene = try await DriverScene()
    let disk = try LoopDisk()
    var saved: [Int] = []
    var attempted: Set<Int> = []
    var refused = 0
    for round in 0...Self.errors {
      let isLast = round == Self.errors
      let device = try DriverProcess(
        folder: disk.mount, keyFile: scene.keyFile, port: scene.broker.port, first: (attempted.max() ?? 0) + 1,
        count: isLast ? 5 : 1_000_000, options: ["pause=5", "receipt=\(FaultMatrix.receiptTimeoutSeconds)"])
      if isLast {
        try await eventually("the last captures are stored") { try device.says("all stored") }
      } else {
        let before = FaultMatrix.captures / Self.errors + Int.random(in: 1...5)
        try await eventually("some captures are saved", withinSeconds: 120) {
          try device.numbers("saved").count >= before
        }
        try disk.turnReadOnly()
        try await eventually("captures are refused") { try device.numbers("refused").count >= 3 }
        let savedBefore = try device.numbers("saved").count
        try await Task.sleep(for: .milliseconds(50))
        #expect(try device.numbers("saved").count == savedBefore, "a capture was called saved on a read-only disk")
        // It goes on refusing and ends in order, although it can write nothing down.
        _ = try await device.terminate()
        refused += try device.numbers("refused").count
        try disk.detach()
        try disk.check()
        try disk.attach()
      }
      saved += try device.numbers("saved")
      attempted.formUnion(try device.numbers("storing"))
      guard isLast else { continue }
      try await scene.verify(row, saved: saved, attempted: attempted, note: "\(refused) refused")
      _ = try await device.terminate()
    }
    await scene.receiver.stop()
  }
}
