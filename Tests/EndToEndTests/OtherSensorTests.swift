import DeviceSimulation
import Forwarding
import Foundation
import Identification
import LinuxIO
import Logging
import Provenance
import Storage
import TestSupport
import Testing
import Thermography

@testable import Device
@testable import Screening

/// A sensor that no driver is written for yet, 160 x 120 pixels, through the services of the device: camera loop, session,
/// gates, outbox; then the real binary delivers what is stored and the real receiver takes it.
@Suite(.serialized) struct OtherSensorTests {
  /// Whole frames of a torso with noise.
  private struct SyntheticCamera: CameraSource {
    let geometry: SensorGeometry
    private let scene: [Double]
    private let part: PixelPart
    private var assembly: FrameAssembly
    private var generator = SeededGenerator(seed: 3)
    private var now: UInt64 = 0
    private(set) var live: TemperatureImage

    init(_ geometry: SensorGeometry) {
      self.geometry = geometry
      scene = TorsoScene(TorsoScene.Shape(), geometry: geometry).celsius(atMicroseconds: 0)
      part = .whole(geometry)
      assembly = FrameAssembly(geometry: geometry, partCount: 1, settlingSeconds: 0)
      live = TemperatureImage(geometry: geometry)
    }

    var modelName: String { "synthetic" }
    var serialNumber: String { "0123456789ab" }
    var subPagesPerSecond: Double { 8 }
    var busFailures: UInt64 { 0 }
    var missedSubPages: UInt64 { 0 }

    func describe(in report: inout DeviceReport.Camera) {}

    mutating func step() -> CameraStep {
      now += 125_000
      for pixel in scene.indices {
        live.celsius[pixel] = Float(scene[pixel] + 0.1 * generator.normal())
        live.valid[pixel] = true
      }
      return assembly.add(
        live, part, motionCelsius: assembly.motionCelsius(of: live, part), ambientCelsius: 30, supplyVolts: 3.3,
        partsPerSecond: 8, nowMicroseconds: now, defects: DefectivePixels())
    }

    mutating func begin(_ request: CaptureRequest) { assembly.begin(request) }
    mutating func cancel() { assembly.cancel() }
    mutating func takeThermogram() -> Thermogram? { assembly.takeThermogram() }
    mutating func takeEvents() -> [MLX90640.Event] { [] }
    mutating func restart() {}
  }

  @Test(arguments: [(160, 120, "55"), (80, 62, "45")])
  func anotherSensorsCaptureIsGatedDeliveredAndReceived(columns: Int, rows: Int, lens: String) async throws {
    let geometry = try #require(SensorGeometry(columns: columns, rows: rows))
    let workspace = try Workspace()
    let verdict = try await capture(geometry, lens: lens, in: workspace)
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try workspace.startReceiver(port: broker.port, until: 1)
    let configuration = try workspace.configure(port: broker.port, captures: 0)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    #expect(try await receiver.waitForExit(seconds: 120) == 0, "\(receiver.errors)\n\(device.errors)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")

    let record = try #require(try workspace.receivedRecords().first)
    try await workspace.validateAgainstSchema(recordNamed: "record.json")
    try await workspace.expectImagesMatch(record)
    // Every gate was measured and passed: only the model, which was made for another size, says nothing.
    let gates = try #require(record["gates"] as? [[String: Any]])
    let hard = gates.filter { $0["severity"] as? String == "hard" }
    #expect(hard.count >= 12 && hard.allSatisfy { $0["passed"] as? Bool == true }, "\(hard)")
    let reason = "the sensor's pictures are of \(geometry) pixels and the model was made for 32 x 24"
    #expect(verdict.outcome == .notAssessable && verdict.reasons.contains { $0.contains(reason) }, "\(verdict.reasons)")
    #expect(verdict.regions?.count == 6 && verdict.leftRightDifference != nil)
    // The master is that sensor's, and its verdict is made again from it.
    let master = try workspace.receivedFile(named: "master.png")
    let decoded = try await Program.run(["-plain", master], executable: "/usr/bin/pngtopnm", in: workspace.folder)
    #expect(decoded.output.split(whereSeparator: \.isWhitespace).dropFirst().prefix(2) == ["\(columns)", "\(rows)"])
    let again = try await Program.run(
      ["assess", "--json", "--models", Workspace.repository + "/Models", "--master", master], in: workspace.folder)
    struct Remade: Decodable { var verdict: Verdict }
    #expect(try JSONDecoder().decode(Remade.self, from: Data(again.output.utf8)).verdict == verdict)
  }

  /// One session at that sensor, stored in the workspace's outbox.
  private func capture(_ geometry: SensorGeometry, lens: String, in workspace: Workspace) async throws -> Verdict {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let events = DeviceEvents(logger: logger)
    let camera = Mailbox<CameraRequest>(capacity: 32)
    let time = try SystemClock()
    let key = try KeyFile.load(path: workspace.folder + "/state/keys/outbox.key", digests: OpenSSLDigests())
    let outbox = try Outbox(
      OutboxConfiguration(path: workspace.folder + "/state/outbox.sqlite", keys: KeyRing(current: key)), time: time)
    let models = Workspace.repository + "/Models/"
    let network = try ModelFolder(path: models + "screening-fold", digests: OpenSSLDigests()).screeningNetwork()
    var rules = SessionRules()
    rules.acclimatisationSeconds = 0
    rules.positionSeconds = 0
    rules.retakesPerView = 0
    let (saved, save) = AsyncStream.makeStream(of: Verdict.self)
    let session = SessionService(
      policy: .init(rules: rules, limits: GateLimits(), alerts: AlertTable(rules: []), roster: nil),
      parts: .init(
        camera: camera, store: OutboxStore(outbox: outbox),
        fingerprints: Fingerprinter(siteKey: [1, 2, 3], digests: OpenSSLDigests()).fingerprints,
        journal: SessionJournal(path: workspace.folder + "/state/session.json"),
        recorder: CaptureRecorder(
          constants: .init(
            site: "test-site", device: "test-device", lens: lens, distanceCentimetres: 50, framesAveraged: 8,
            firmware: DeviceRuntime.firmware, configurationSHA256: String(repeating: "0", count: 64)),
          digests: OpenSSLDigests()),
        changed: { if case .saved(_, let assessment) = $0 { save.yield(assessment.verdict) } }),
      assessor: Assessor(network: network), events: events, time: time, generator: SystemRandomNumberGenerator(),
      logger: logger)
    let running = Task { try await session.run() }
    let stop = StopFlag()
    let loop = CameraLoop(
      acquisition: .init(emissivity: 0.98, reflectedCelsius: nil, motionLimitCelsius: 5), commands: camera,
      events: events,
      time: time, clock: SystemSensorClock(), logger: logger, board: nil, progress: {})
    let thread = Thread { try? loop.run(SyntheticCamera(geometry), until: stop) }
    thread.start()
    let uid = try #require(TagUID(bytes: [0x0D, 0xE0, 0, 0, 9]))
    events.send(.presented(TagReading(uid: uid, technology: .em4100)))
    var verdict: Verdict?
    for await found in saved {
      verdict = found
      break
    }
    stop.raise()
    events.finish()
    try await running.value
    await outbox.close()
    return try #require(verdict)
  }
}
