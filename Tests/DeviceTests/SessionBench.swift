import Forwarding
import Foundation
import Identification
import Logging
import Panel
import Provenance
import Screening
import Storage
import Synchronization
import Testing
import Thermography

@testable import Device

/// Time as the machine has it; UTC does not matter here.
struct UptimeClock: TimeSource {
  var synchronised = true

  func now() -> Timestamp {
    Timestamp(
      utcNanoseconds: 1_700_000_000_000_000_000, bootID: "b",
      monotonicNanoseconds: UInt64(ProcessInfo.processInfo.systemUptime * 1e9), synchronised: synchronised)
  }
}

/// A store that keeps everything in memory and can be told to fail or to wait.
final class MemoryStore: CaptureStore {
  struct Content: Sendable {
    var records: [CaptureRecord] = []
    var alerts: [AlertMessage] = []
    var events: [SessionMessage] = []
    var failure: CaptureStoring?
    var isFull = false
    var isHeld = false
  }

  let outboxID: RandomIdentifier
  private let content = Mutex(Content())

  init() {
    var generator = SystemRandomNumberGenerator()
    outboxID = RandomIdentifier(using: &generator)
  }

  var now: Content { content.withLock { $0 } }

  func change(_ body: (inout Content) -> Void) { content.withLock { body(&$0) } }

  func store(_ capture: NewCapture) async -> CaptureStoring {
    while now.isHeld { try? await Task.sleep(for: .milliseconds(5)) }
    if let failure = now.failure { return failure }
    do {
      let sequence = Int64(now.records.count + 1)
      let bytes = try capture.record(CaptureNumber(outboxID: outboxID, sequence: sequence))
      let record = try JSONDecoder().decode(CaptureRecord.self, from: Data(bytes))
      change { $0.records.append(record) }
      return .saved(sequence: sequence)
    } catch {
      return .failed(isFull: false, reason: "\(error)")
    }
  }

  func store(_ message: NewMessage) async throws {
    let data = Data(message.payload)
    if message.deliveryClass == .alert {
      let alert = try JSONDecoder().decode(AlertMessage.self, from: data)
      change { $0.alerts.append(alert) }
    } else {
      let event = try JSONDecoder().decode(SessionMessage.self, from: data)
      change { $0.events.append(event) }
    }
  }

  func isFull(captures: Int) async -> Bool { now.isFull }
}

/// What the panel was told, in order.
final class PanelMemory: Sendable {
  private let content = Mutex<[PanelSignal]>([])

  var signals: [PanelSignal] { content.withLock { $0 } }

  func add(_ signal: PanelSignal) { content.withLock { $0.append(signal) } }
}

/// The session between made-up events and a store, in real time.
final class SessionBench {
  let folder = NSTemporaryDirectory() + "thermograph-session-\(UUID().uuidString)"
  let events: DeviceEvents
  let camera = Mailbox<CameraRequest>(capacity: 32)
  let store: any CaptureStore
  let memory: MemoryStore
  let session: SessionService
  let panel = PanelMemory()
  private var running: Task<Void, any Error>?

  static let siteKey: [UInt8] = [1, 2, 3]

  /// - Parameters:
  ///   - other: the store, where it is not one in memory.
  ///   - folder: of an earlier bench, whose journal is read.
  init(
    _ change: (inout SessionRules) -> Void = { _ in }, roster: Roster? = nil, alerts: [AlertRule] = [],
    store other: (any CaptureStore)? = nil, journal: String? = nil, synchronised: Bool = true,
    needsTechnician: @escaping @Sendable () -> Bool = { false },
    past: @escaping @Sendable (PatientReference, PatientReference?) async -> PatientPast = { _, _ in PatientPast() },
    change tracking: ChangeTracking? = nil, clinic: ClinicShelf = .empty,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    memory = MemoryStore()
    store = other ?? memory
    events = DeviceEvents(logger: logger)
    var rules = SessionRules()
    rules.acclimatisationSeconds = 0
    rules.positionSeconds = 0
    rules.retakesPerView = 0
    change(&rules)
    let panel = self.panel
    session = SessionService(
      policy: .init(rules: rules, limits: GateLimits(), alerts: AlertTable(rules: alerts), roster: roster),
      parts: .init(
        camera: camera, store: store,
        fingerprints: Fingerprinter(siteKey: Self.siteKey, digests: OpenSSLDigests()).fingerprints,
        journal: SessionJournal(path: journal ?? folder + "/session.json"),
        recorder: CaptureRecorder(
          constants: .init(
            site: "s", device: "d", lens: "55x35", distanceCentimetres: 50, framesAveraged: 16, firmware: "0",
            configurationSHA256: String(repeating: "0", count: 64)), digests: OpenSSLDigests()),
        show: { panel.add($0) }, needsTechnician: needsTechnician, past: past, change: tracking, clinic: clinic),
      assessor: Assessor(network: nil), events: events, time: UptimeClock(synchronised: synchronised),
      generator: SystemRandomNumberGenerator(), logger: logger)
    let session = self.session
    running = Task { try await session.run() }
  }

  deinit {
    running?.cancel()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Ends the session's service in order, as a stop of the device does.
  func stop() async throws {
    events.finish()
    try await running?.value
    running = nil
  }

  /// Polls until `condition` holds; the limit guards against a hang.
  func wait(
    _ what: String, _ location: SourceLocation = #_sourceLocation, until condition: () async throws -> Bool
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(300)
    while try await !condition() {
      try #require(
        ContinuousClock.now < deadline, "waited in vain until \(what); \(session.control.snapshot)",
        sourceLocation: location)
      try await Task.sleep(for: .milliseconds(3))
    }
  }

  /// The next command to the camera that is not about live pictures.
  func nextCommand(_ location: SourceLocation = #_sourceLocation) async throws -> CameraRequest {
    var found: CameraRequest?
    try await wait("the camera is told something", location) {
      while let command = camera.take() {
        if case .watch = command { continue }
        found = command
        return true
      }
      return false
    }
    return try #require(found)
  }

  /// Waits for a capture to be asked for, and answers its id.
  func captureAsked(_ location: SourceLocation = #_sourceLocation) async throws -> RandomIdentifier {
    guard case .capture(let id, frames: 16) = try await nextCommand(location) else {
      Issue.record("expected a capture", sourceLocation: location)
      throw CancellationError()
    }
    return id
  }

  func present(_ last: UInt8) throws { events.send(.presented(try Self.reading(last))) }

  static func reading(_ last: UInt8) throws -> TagReading {
    TagReading(uid: try #require(TagUID(bytes: [0x0D, 0xE0, 0, 0, last])), technology: .em4100)
  }

  static func reference(_ last: UInt8) throws -> String {
    PatientReference(tag: try reading(last).uid, siteKey: siteKey, digests: OpenSSLDigests()).text
  }

  /// The same under the version before.
  static func formerReference(_ last: UInt8) throws -> String {
    PatientReference(tag: try reading(last).uid, siteKey: siteKey, version: .hmac, digests: OpenSSLDigests()).text
  }

  static func thermogram(
    _ id: RandomIdentifier, celsius: [Float] = [Float](repeating: 30, count: 768)
  ) -> CapturedThermogram {
    CapturedThermogram(
      captureID: id, thermogram: Thermogram(celsius: celsius, ambientCelsius: 25),
      cameraSerial: "000000000000", ambientDriftCelsiusPerMinute: nil, began: UptimeClock().now(),
      ended: UptimeClock().now())
  }
}
