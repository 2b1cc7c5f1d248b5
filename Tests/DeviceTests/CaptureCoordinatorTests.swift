import Forwarding
import Foundation
import Identification
import Logging
import Provenance
import Screening
import Storage
import Testing
import Thermography

@testable import Device

/// The coordinator between made-up events and a real outbox.
@Suite struct CaptureCoordinatorTests {
  private struct Clock: TimeSource {
    func now() -> Timestamp {
      Timestamp(utcNanoseconds: 1_700_000_000_000_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true)
    }
  }

  private final class Bench {
    let folder = NSTemporaryDirectory() + "thermograph-coordinator-\(UUID().uuidString)"
    let outbox: Outbox
    let events: DeviceEvents
    let camera = Mailbox<CameraCommand>(capacity: 8)
    private var running: Task<Void, any Error>?

    init() throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      var generator = SystemRandomNumberGenerator()
      let key = try KeyFile.create(path: folder + "/key", digests: OpenSSLDigests(), using: &generator)
      outbox = try Outbox(
        OutboxConfiguration(path: folder + "/outbox.sqlite", keys: KeyRing(current: key)), time: Clock())
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      events = DeviceEvents(logger: logger)
      let coordinator = CaptureCoordinator(
        constants: .init(
          site: "s", device: "d", lens: "55x35", distanceCentimetres: 50, framesAveraged: 16, firmware: "0",
          configurationSHA256: String(repeating: "0", count: 64)),
        events: events.stream, camera: camera, outbox: outbox,
        patientReference: { PatientReference(tag: $0, siteKey: [1, 2, 3], digests: OpenSSLDigests()) },
        assessor: Assessor(network: nil), digests: OpenSSLDigests(), time: Clock(),
        generator: SystemRandomNumberGenerator(), logger: logger)
      running = Task { try await coordinator.run() }
    }

    deinit {
      running?.cancel()
      try? FileManager.default.removeItem(atPath: folder)
    }

    func rows(_ deliveryClass: DeliveryClass) async throws -> Int {
      try await outbox.accounts().total(deliveryClass).rows
    }

    func wait(until condition: () async throws -> Bool) async throws {
      let deadline = ContinuousClock.now + .seconds(30)
      while try await !condition() {
        try #require(ContinuousClock.now < deadline, "waited in vain")
        try await Task.sleep(for: .milliseconds(5))
      }
    }

    func nextCommand() async throws -> CameraCommand {
      var command: CameraCommand?
      try await wait {
        command = camera.take()
        return command != nil
      }
      return try #require(command)
    }
  }

  private func reading(_ last: UInt8) throws -> TagReading {
    TagReading(uid: try #require(TagUID(bytes: [0x0D, 0xE0, 0, 0, last])), technology: .em4100)
  }

  private func thermogram() -> CapturedThermogram {
    CapturedThermogram(
      thermogram: Thermogram(celsius: [Float](repeating: 30, count: 768), ambientCelsius: 25),
      cameraSerial: "000000000000", ambientDriftCelsiusPerMinute: nil, began: Clock().now(), ended: Clock().now())
  }

  private func isCapture(_ command: CameraCommand) -> Bool {
    if case .capture(frames: 16) = command { true } else { false }
  }

  private func isCancel(_ command: CameraCommand) -> Bool {
    if case .cancel = command { true } else { false }
  }

  @Test func aTagStartsACaptureAndItsThermogramIsStored() async throws {
    let bench = try Bench()
    bench.events.send(.presented(try reading(1)))
    #expect(isCapture(try await bench.nextCommand()))
    bench.events.send(.thermogram(thermogram()))
    try await bench.wait { try await bench.rows(.capture) == 1 }
    #expect(try await bench.rows(.image) == 4)
  }

  @Test func anotherTagInMidCaptureEndsItAndNothingIsStored() async throws {
    let bench = try Bench()
    bench.events.send(.presented(try reading(1)))
    #expect(isCapture(try await bench.nextCommand()))
    bench.events.send(.presented(try reading(2)))
    #expect(isCancel(try await bench.nextCommand()))
    // The camera had finished in the same moment: its thermogram belongs to nobody now.
    bench.events.send(.thermogram(thermogram()))
    bench.events.send(.presented(try reading(3)))
    #expect(isCapture(try await bench.nextCommand()))
    #expect(try await bench.rows(.capture) == 0)
  }

  @Test func theSameTagAgainChangesNothing() async throws {
    let bench = try Bench()
    bench.events.send(.presented(try reading(1)))
    #expect(isCapture(try await bench.nextCommand()))
    bench.events.send(.presented(try reading(1)))
    bench.events.send(.thermogram(thermogram()))
    try await bench.wait { try await bench.rows(.capture) == 1 }
    #expect(bench.camera.take() == nil)
  }

  @Test func aLostCameraEndsTheCaptureAndRaisesAnAlert() async throws {
    let bench = try Bench()
    bench.events.send(.presented(try reading(1)))
    #expect(isCapture(try await bench.nextCommand()))
    bench.events.send(.cameraLost(reason: "the bus failed"))
    #expect(isCancel(try await bench.nextCommand()))
    try await bench.wait { try await bench.rows(.alert) == 1 }
    let item = try #require(try await bench.outbox.pending(.alert, after: 0, limit: 1).first)
    let alert = try JSONDecoder().decode(AlertMessage.self, from: Data(try await bench.outbox.payload(of: item.id)))
    #expect(alert.code == "camera-lost" && alert.severity == .critical && alert.detail == "the bus failed")
    #expect(try await bench.rows(.capture) == 0)
  }

  @Test func aCalibrationFromTheBackupRaisesAnAlert() async throws {
    let bench = try Bench()
    bench.events.send(.camera(.calibrationFromBackup(differingWords: 3)))
    try await bench.wait { try await bench.rows(.alert) == 1 }
  }
}
