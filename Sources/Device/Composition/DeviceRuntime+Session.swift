import Audit
import Configuration
import Forwarding
import Identification
import LinuxIO
import Logging
import Provenance
import Remote
import Screening
import ServiceLifecycle
import Storage
import Thermography

/// What the parts of a running device, or of a session at a terminal, have in common.
struct CommonParts: Sendable {
  let time: SystemClock
  let digests = OpenSSLDigests()
  let events: DeviceEvents
  let cameraRequests = Mailbox<CameraRequest>(capacity: 8)

  init(logger: Logger) throws {
    time = try SystemClock()
    events = DeviceEvents(logger: logger)
  }
}

// The capture side, put together once for the service and for a terminal: camera, assessor, session.
extension DeviceRuntime {
  // MARK: - Camera

  /// - Parameter archive: nil keeps nothing of the sensor.
  func startCamera(on bus: any I2CBus, archive: (any SensorArchive)?) throws -> ThermalCamera {
    var camera = ThermalCamera(settings.camera, bus: bus)
    do {
      try camera.start(archive: archive)
    } catch {
      throw DeviceStartError("camera at \(settings.camera.bus): \(error)")
    }
    return camera
  }

  var sensorArchive: SensorFolder {
    get throws { try SensorFolder(path: settings.paths.stateDirectory + "/" + StateFiles.sensors) }
  }

  func openBus() throws -> any I2CBus {
    try LinuxI2CBus(path: settings.camera.bus)
  }

  /// The camera's thread.
  ///
  /// - Parameters:
  ///   - board: where `status` looks; nil at a terminal.
  ///   - counters: of the sentinel; nil where nobody counts.
  ///   - progress: for the watchdog.
  func cameraService(
    _ camera: some CameraSource, _ common: CommonParts, board: StatusBoard? = nil, counters: CounterBoard? = nil,
    performance: PerformanceBoard? = nil,
    progress: @escaping @Sendable () -> Void = {}
  ) -> ThreadService {
    let loop = CameraLoop(
      acquisition: .init(settings), commands: common.cameraRequests, events: common.events, time: common.time,
      clock: SystemSensorClock(),
      logger: logger, board: board, counters: counters, performance: performance, progress: progress)
    let box = Handover(camera)
    return ThreadService(name: "camera") { stop in
      guard let camera = box.take() else { return }
      try loop.run(camera, until: stop)
    }
  }

  // MARK: - Assessor

  /// - Parameter book: which models decide; nil: what is written down of it.
  func loadScreeningNetwork(_ book: UpdateBook? = nil, digests: OpenSSLDigests) throws -> ScreeningNetwork? {
    try modelFolder(.screening, book ?? readableBook, digests)?.networkForPatients()
  }

  /// The models as far as they can be used: one that is missing or damaged withholds the verdict and is told, and keeps no
  /// picture from being taken. Without its quality network the screening network gives no verdict either: it would judge
  /// pictures that should not be judged.
  func loadModels(
    _ book: UpdateBook, limits: GateLimits, digests: OpenSSLDigests, board: StatusBoard
  ) throws -> (ScreeningNetwork?, Assessor) {
    func problem(_ file: StatusBoard.NamedFile, _ error: any Error) {
      board.note(file, "no verdicts: \(error)")
      logger.error("a model cannot be used; captures carry no verdict", metadata: ["reason": "\(error)"])
    }
    var network: ScreeningNetwork?
    do {
      network = try loadScreeningNetwork(book, digests: digests)
    } catch {
      problem(.model, error)
    }
    do {
      return (network, try loadAssessor(network: network, book, limits: limits, digests: digests, board: board))
    } catch {
      problem(.quality, error)
    }
    return (
      nil, try loadAssessor(network: nil, book, limits: limits, digests: digests, board: board, asksQuality: false)
    )
  }

  /// The models, limits and sentences that the configuration names. What is amiss with a translation is told here.
  func loadAssessor(
    network: ScreeningNetwork?, _ book: UpdateBook? = nil, limits: GateLimits, digests: OpenSSLDigests,
    board: StatusBoard? = nil, asksQuality: Bool = true
  ) throws -> Assessor {
    let (sentences, warnings) = SentenceFolder(path: settings.paths.languagesDirectory)
      .book(language: settings.language)
    for warning in warnings { logger.warning("language", metadata: ["reason": "\(warning)"]) }
    board?.note(.language, warnings.first)
    let quality =
      asksQuality ? try modelFolder(.quality, book ?? readableBook, digests)?.qualityNetwork() : nil
    return Assessor(network: network, quality: quality, limits: limits, sentences: sentences)
  }

  // MARK: - Session

  /// The guided session.
  ///
  /// - Parameters:
  ///   - siteKey: makes the pseudonyms; empty where no tag is read.
  ///   - outbox: where the patients' earlier captures are looked up; nil for nowhere.
  ///   - change: what this session has beside the configuration's.
  func sessionService(
    _ common: CommonParts, policy: SessionService.Policy, assessor: sending Assessor, store: any CaptureStore,
    siteKey: [UInt8],
    outbox: Outbox?, audit: any AuditTrail = NoAuditTrail(), change: (inout SessionService.Parts) -> Void
  ) -> SessionService {
    var parts = SessionService.Parts(
      camera: common.cameraRequests, store: store,
      fingerprints: Fingerprinter(siteKey: siteKey, digests: common.digests).fingerprints,
      journal: SessionJournal(path: nil),
      recorder: CaptureRecorder(
        constants: .init(settings, configurationSHA256: configurationSHA256(common.digests)), digests: common.digests,
        audit: { audit.head }),
      past: past(in: outbox), change: outbox == nil ? nil : changeTracking(),
      drawsOcclusionMap: settings.screening.occlusionMap)
    parts.audit = audit
    change(&parts)
    return SessionService(
      policy: policy, parts: parts, assessor: assessor, events: common.events, time: common.time,
      generator: SystemRandomNumberGenerator(), logger: logger)
  }

  /// The comparison with earlier sessions; nil where it is switched off, or its store cannot be used: then captures are
  /// taken and assessed without it, and the log says why.
  private func changeTracking() -> ChangeTracking? {
    do {
      return try BaselineConfiguration(settings, secrets: secrets).map {
        ChangeTracking(store: try BaselineStore($0), logger: logger)
      }
    } catch {
      logger.error("captures are not compared with earlier sessions", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  /// Looks up a patient's earlier captures. Without them a capture is assessed all the same.
  private func past(in outbox: Outbox?) -> @Sendable (PatientReference, PatientReference?) async -> PatientPast {
    guard let outbox else { return { _, _ in PatientPast() } }
    let logger = logger
    return { patient, former in
      do throws(OutboxError) {
        let history = try await outbox.history(ofPatient: [patient.text] + (former.map { [$0.text] } ?? []))
        if history.unreadable > 0 {
          logger.warning("history: records cannot be read", metadata: ["records": "\(history.unreadable)"])
        }
        return PatientPast(
          captures: history.records.compactMap { EarlierCapture($0) },
          isUnderFormerReferenceOnly: !history.records.isEmpty
            && !history.records.contains { $0.patientRef == patient.text })
      } catch {
        logger.error("the patient's earlier captures could not be looked up", metadata: ["reason": "\(error)"])
        return PatientPast()
      }
    }
  }
}

extension CaptureRecorder.Constants {
  init(_ settings: Settings, configurationSHA256: String) {
    self.init(
      site: settings.device.site, device: settings.device.id, lens: settings.camera.lens.rawValue,
      distanceCentimetres: settings.camera.distanceCentimetres, framesAveraged: settings.camera.framesAveraged,
      firmware: DeviceRuntime.firmware, configurationSHA256: configurationSHA256,
      sendsRenderings: settings.pictures.sendView)
  }
}
