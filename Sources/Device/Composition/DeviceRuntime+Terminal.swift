import Audit
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
    let common = try CommonParts(logger: logger)
    let (camera, frames) = try cameraService(for: terminal.source, common)
    let policy = policy(for: terminal.source)
    let outbox = terminal.output == nil ? try openOutbox(common.time) : nil
    // Without a reader nobody's tag has to be made a pseudonym, and the key may stay where it is.
    let siteKey = terminal.patient == nil ? try secrets.bytes(of: settings.patients.siteKeyFile) : []
    // What goes into the outbox stands in the log as the service's captures do.
    let audit = try outbox.map { try openAudit($0, common, board: nil) }
    await audit?.begin(auditStart(.terminal, common.digests))
    let (changes, changed) = AsyncStream.makeStream(
      of: SessionService.Change.self, bufferingPolicy: .bufferingOldest(256))
    let assessor = try loadAssessor(
      network: loadScreeningNetwork(digests: common.digests), limits: policy.limits, digests: common.digests)
    let sentences = assessor.sentences
    let session = sessionService(
      common, policy: policy, assessor: assessor, store: try store(outbox, folder: terminal.output), siteKey: siteKey,
      outbox: outbox, audit: audit ?? NoAuditTrail()
    ) { parts in
      parts.recorder.constants.framesAveraged = min(parts.recorder.constants.framesAveraged, frames)
      // Whoever looks into a folder wants to see the picture.
      if terminal.output != nil { parts.recorder.constants.sendsRenderings = true }
      parts.picture = terminal.picture
      parts.changed = { changed.yield($0) }
      parts.livePeriodMilliseconds = terminal.livePeriodMilliseconds
    }
    terminal.began(session.control)

    let driver = TerminalDriver(
      control: session.control, patient: terminal.patient, skipsRest: terminal.skipsRest, changes: changes)
    var services: [any Service] = [camera]
    if terminal.patient == nil {
      let reader = try readerSettings(path: settings.reader.device)
      services.append(ReaderService(settings: reader, events: common.events, time: common.time, board: nil))
    }
    services += [session, driver]
    do {
      try await ServiceGroup(inOrder: services).run()
    } catch {
      await audit?.end(reason: "\(error)")
      await outbox?.close()
      throw error
    }
    await audit?.end()
    await outbox?.close()
    changed.finish()
    // What the session said while it was ended by a signal.
    for await change in changes { await driver.note(change) }
    var outcome = await driver.outcome
    outcome.sentence = outcome.summary.map { SessionInstruction(endOf: $0).sentence(in: sentences) }
    return outcome
  }

  private func policy(for source: TerminalSession.Source) -> SessionService.Policy {
    var policy = SessionService.Policy(settings, logger: logger)
    if case .sensor = source { return policy }
    // The clinic's list says nothing of a drawn torso.
    policy.roster = nil
    // Nobody is there who could rest, or do better the second time.
    policy.rules.acclimatisationSeconds = 0
    policy.rules.retakesPerView = 0
    policy.rules.viewStart = .timer
    policy.rules.positionSeconds = 0
    return policy
  }

  private func store(_ outbox: Outbox?, folder: String?) throws -> any CaptureStore {
    if let outbox { return OutboxStore(outbox: outbox) }
    var generator = SystemRandomNumberGenerator()
    return try FolderStore(folder: folder ?? "", outboxID: RandomIdentifier(using: &generator))
  }

  /// The camera's thread, and how many frames a capture may average.
  private func cameraService(
    for source: TerminalSession.Source, _ common: CommonParts
  ) throws -> (service: ThreadService, frames: Int) {
    switch source {
    case .sensor:
      return (cameraService(try startCamera(on: openBus(), archive: sensorArchive), common), .max)
    case .simulated:
      return (cameraService(try startCamera(on: Simulation.bus(settings), archive: nil), common), .max)
    case .recorded(let folder):
      let camera = try RecordedCamera(folder: folder, clock: SystemSensorClock())
      return (cameraService(camera, common), camera.frameCount)
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
