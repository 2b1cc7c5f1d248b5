import Foundation
import TestSupport
import Testing

/// The real binary, from a tag at a pseudo-terminal to a receiver behind a real broker.
@Suite(.serialized) struct DeliveryTests {
  @Test func oneCaptureArrivesWholeAndTrue() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try workspace.startReceiver(port: broker.port, until: 1)
    let configuration = try workspace.configure(port: broker.port, captures: 1)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    #expect(try await receiver.waitForExit(seconds: 90) == 0, "\(receiver.errors)\n\(device.errors)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")

    let records = try workspace.receivedRecords()
    #expect(records.count == 1)
    let record = try #require(records.first)
    #expect(record["sequence"] as? Int == 1)
    #expect(record["device"] as? String == "test-device")
    try await workspace.validateAgainstSchema(recordNamed: "record.json")
    try await workspace.expectMasterShowsTheScene()
    try await workspace.expectImagesMatch(record)
    let arrivals = try workspace.arrivals().filter { $0["capture_id"] != nil }
    #expect(arrivals.count == 5, "a record and four images, once each: \(arrivals)")
    #expect(arrivals.allSatisfy { $0["replayed"] as? Bool == false })
    try workspace.expectNoTraceOfTheTag([0x0D, 0xE0, 0, 0, 1])
  }

  @Test func theBrokerTellsOnlineOfflineAndStopped() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try workspace.startReceiver(port: broker.port, until: 1)
    let configuration = try workspace.configure(port: broker.port, captures: 0)
    func status() throws -> [String: Any]? {
      guard let data = FileManager.default.contents(atPath: workspace.received + "/test-site/test-device/status.json")
      else { return nil }
      return try JSONSerialization.jsonObject(with: data) as? [String: Any]
    }
    func runUntilOnline() async throws -> Program {
      let device = try Program(
        Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
      try await eventually("the status is online", context: { device.errors }) {
        try status()?["state"] as? String == "online"
      }
      return device
    }

    let killed = try await runUntilOnline()
    killed.send(SIGKILL)
    try await killed.waitForExit()
    try await eventually("the will says offline") { try status()?["state"] as? String == "offline" }

    let stopped = try await runUntilOnline()
    stopped.send(SIGTERM)
    #expect(try await stopped.waitForExit(seconds: 20) == 0)
    try await eventually("the farewell says stopped") { try status()?["state"] as? String == "stopped" }
    receiver.send(SIGTERM)
    #expect(try await receiver.waitForExit(seconds: 20) == 0, "\(receiver.errors)")
  }

  @Test func threeCapturesTakenOfflineSurviveAKillAndArriveOnceInOrder() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    let configuration = try workspace.configure(port: broker.port, captures: 3)
    let first = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await first.waitForErrors(containing: "capture saved", count: 3, seconds: 120)
    first.send(SIGKILL)
    #expect(try await first.waitForExit() == 128 + SIGKILL)

    try workspace.configure(port: broker.port, captures: 0)
    let second = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await second.waitForErrors(containing: "ready")
    try await broker.start()
    let receiver = try workspace.startReceiver(port: broker.port, until: 3)
    #expect(try await receiver.waitForExit(seconds: 90) == 0, "\(receiver.errors)\n\(second.errors)")
    second.send(SIGTERM)
    #expect(try await second.waitForExit(seconds: 20) == 0, "\(second.errors)")

    let records = try workspace.receivedRecords()
    #expect(records.map { $0["sequence"] as? Int } == [1, 2, 3])
    #expect(Set(records.compactMap { $0["capture_id"] as? String }).count == 3)
    let arrivals = try workspace.arrivals().filter { $0["name"] as? String == "record.json" }
    #expect(arrivals.map { $0["sequence"] as? Int } == [1, 2, 3], "once each, in order")
    #expect(arrivals.allSatisfy { $0["replayed"] as? Bool == true })
  }

  @Test func aTerminationInMidCaptureIsCleanAndLeavesNothingHalfWritten() async throws {
    let workspace = try Workspace()
    let reservation = try PortReservation()
    // 128 frames at 4 sub-pages a second take a minute: the signal always comes in mid-capture.
    let configuration = try workspace.configure(
      port: reservation.port, captures: 1, more: ["camera": "refresh_rate_hz = 4\nframes_averaged = 128"])
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "averaging")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(!device.errors.contains("capture saved"))

    let listing = try await Program.run(["outbox", "list", "--config", configuration, "--json"], in: workspace.folder)
    #expect(listing.status == 0, "\(listing.errors)")
    // The session that was ended is told in a line before the totals.
    let last = try #require(listing.output.split(separator: "\n").last)
    let totals = try #require(
      (JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])?["totals"]
        as? [String: [String: [String: Int]]], "\(listing.output)")
    #expect(totals["capture"]?.values.allSatisfy { $0["rows"] == 0 } == true, "\(listing.output)")
    #expect(totals["image"]?.values.allSatisfy { $0["rows"] == 0 } == true, "\(listing.output)")
    let left = try FileManager.default.subpathsOfDirectory(atPath: workspace.folder + "/state")
    #expect(!left.contains { $0.hasSuffix(".tmp") || $0.hasSuffix(".png") }, "\(left)")
  }
}
