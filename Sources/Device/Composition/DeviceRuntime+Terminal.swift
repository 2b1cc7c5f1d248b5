import Configuration
import DeviceSimulation
import Forwarding
import Identification
import LinuxIO
import Logging
import Provenance
import Screening
import ServiceLifecycle
import Storage
import Thermography

/// One guided session at a terminal: the same session, gates, verdict and records as the service's, without the service.
package struct TerminalSession: Sendable {
  /// What the pictures come from.
  package enum Source: Sendable {
    case sensor
    /// A drawn torso before a simulated sensor.
    case simulated
    /// A folder as `camera dump` writes it.
    case recorded(folder: String)
  }

  package var source: Source
  /// nil: whoever holds a tag to the reader.
  package var patient: PatientReference?
  /// Where captures go in the clear; nil: into the outbox.
  package var output: String?
  package var skipsRest: Bool
  /// How often the picture is shown.
  package var livePeriodMilliseconds: Int
  /// Called with every live picture and its gates.
  package var picture: @Sendable (LivePicture, [QualityGate]) -> Void
  /// Called once, with the session's snapshot and requests.
  package var began: @Sendable (SessionControl) -> Void

  package init(
    source: Source, patient: PatientReference?, output: String?, skipsRest: Bool, livePeriodMilliseconds: Int,
    picture: @escaping @Sendable (LivePicture, [QualityGate]) -> Void,
    began: @escaping @Sendable (SessionControl) -> Void
  ) {
    self.source = source
    self.patient = patient
    self.output = output
    self.skipsRest = skipsRest
    self.livePeriodMilliseconds = livePeriodMilliseconds
    self.picture = picture
    self.began = began
  }
}

/// What came of it.
package struct TerminalOutcome: Sendable {
  package struct Saved: Sendable {
    package var captureID: RandomIdentifier
    package var assessment: Assessment
  }

  package var saved: [Saved] = []
  package var summary: SessionSummary?
  /// How it ended, for the person before the device; nil when no session was open.
  package var sentence: String?
}

extension DeviceRuntime {
  /// Runs one session to its end; SIGINT ends it as incomplete.
  package func run(_ terminal: TerminalSession) async throws -> TerminalOutcome {
    let (time, digests) = (try SystemClock(), OpenSSLDigests())
    let events = DeviceEvents(logger: logger)
    let commands = Mailbox<CameraRequest>(capacity: 8)
    let (camera, frames) = try cameraService(for: terminal.source, commands: commands, events: events, time: time)
    var policy = try SessionService.Policy(settings, logger: logger)
    if case .sensor = terminal.source {
    } else {
      // Nobody is there who could rest, or do better the second time.
      policy.rules.acclimatisationSeconds = 0
      policy.rules.retakesPerView = 0
      policy.rules.viewStart = .timer
      policy.rules.positionSeconds = 0
    }
    var generator = SystemRandomNumberGenerator()
    var outbox: Outbox?
    let store: any CaptureStore
    if let output = terminal.output {
      store = try FolderStore(folder: output, outboxID: RandomIdentifier(using: &generator))
    } else {
      let opened = try openOutbox(time: time, digests: digests)
      outbox = opened
      store = OutboxStore(outbox: opened)
    }
    // Without a reader nobody's tag has to be made a pseudonym, and the key may stay where it is.
    let siteKey = terminal.patient == nil ? try secretBytes(settings.patients.siteKeyFile) : []
    let (changes, changed) = AsyncStream.makeStream(
      of: SessionService.Change.self, bufferingPolicy: .bufferingOldest(256))
    var constants = CaptureRecorder.Constants(
      settings, configurationSHA256: Hexadecimal.text(of: digests.sha256(Array(configurationText.utf8))))
    constants.framesAveraged = min(constants.framesAveraged, frames)
    let assessor = try loadAssessor(
      network: loadScreeningNetwork(digests: digests), limits: policy.limits, digests: digests)
    let sentences = assessor.sentences
    let session = SessionService(
      policy: policy,
      parts: .init(
        camera: commands, store: store,
        reference: { PatientReference(tag: $0, siteKey: siteKey, digests: digests) },
        journal: SessionJournal(path: nil),
        recorder: CaptureRecorder(constants: constants, digests: digests),
        picture: terminal.picture, changed: { changed.yield($0) }, past: past(in: outbox),
        drawsOcclusionMap: settings.screening.occlusionMap, livePeriodMilliseconds: terminal.livePeriodMilliseconds),
      assessor: assessor, events: events, time: time, generator: generator, logger: logger)
    terminal.began(session.control)

    let driver = TerminalDriver(
      control: session.control, patient: terminal.patient, skipsRest: terminal.skipsRest, changes: changes)
    var services: [any Service] = [camera]
    if terminal.patient == nil {
      services.append(
        ReaderService(
          settings: try readerSettings(path: settings.reader.device), events: events, time: time, board: nil))
    }
    services += [session, driver]
    let group = ServiceGroup(
      configuration: .init(
        services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
        gracefulShutdownSignals: [.sigterm, .sigint],
        logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() }))
    do {
      try await group.run()
    } catch {
      await outbox?.close()
      throw error
    }
    await outbox?.close()
    changed.finish()
    // What the session said while it was ended by a signal.
    for await change in changes { await driver.note(change) }
    var outcome = await driver.outcome
    outcome.sentence = outcome.summary.map { SessionInstruction(endOf: $0).sentence(in: sentences) }
    return outcome
  }

  /// The camera's thread, and how many frames a capture may average.
  private func cameraService(
    for source: TerminalSession.Source, commands: Mailbox<CameraRequest>, events: DeviceEvents, time: SystemClock
  ) throws -> (service: ThreadService, frames: Int) {
    let loop = CameraLoop(
      acquisition: .init(settings), commands: commands, events: events, time: time, clock: SystemSensorClock(),
      logger: logger, board: nil,
      progress: {})
    switch source {
    case .sensor:
      return (Self.thread(loop, try startCamera(on: openBus(), archive: sensorArchive)), .max)
    case .simulated:
      return (Self.thread(loop, try startCamera(on: Simulation.bus(settings), archive: nil)), .max)
    case .recorded(let folder):
      let camera = try RecordedCamera(folder: folder, clock: SystemSensorClock())
      return (Self.thread(loop, camera), camera.frameCount)
    }
  }

  static func thread(_ loop: CameraLoop, _ camera: some CameraSource) -> ThreadService {
    let box = Handover(camera)
    return ThreadService(name: "camera") { stop in
      guard let camera = box.take() else { return }
      try loop.run(camera, until: stop)
    }
  }
}

/// Begins the session, and ends when it is closed.
private actor TerminalDriver: Service {
  private(set) var outcome = TerminalOutcome()
  private let control: SessionControl
  private let patient: PatientReference?
  private let skipsRest: Bool
  private let changes: AsyncStream<SessionService.Change>

  init(
    control: SessionControl, patient: PatientReference?, skipsRest: Bool, changes: AsyncStream<SessionService.Change>
  ) {
    self.control = control
    self.patient = patient
    self.skipsRest = skipsRest
    self.changes = changes
  }

  func run() async throws {
    if let patient, case .refused(let reason) = await control.requestCapture(of: patient) {
      throw DeviceStartError(reason)
    }
    await cancelWhenGracefulShutdown {
      for await change in self.changes {
        await self.note(change)
        if await self.outcome.summary != nil { return }
      }
    }
  }

  func note(_ change: SessionService.Change) async {
    switch change {
    case .opened:
      // Harmless where the session has no rest, or has not come to it: an operator may have to sign first.
      if skipsRest { _ = await control.skipRest() }
    case .saved(let captureID, let assessment):
      outcome.saved.append(.init(captureID: captureID, assessment: assessment))
    case .closed(let summary): outcome.summary = summary
    }
  }
}
