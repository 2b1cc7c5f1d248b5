import Forwarding
import FoundationEssentials
import Identification
import Logging
import Provenance
import Screening
import ServiceLifecycle
import Storage
import Synchronization
import Thermography

/// Turns a presented tag into a stored capture: tag, averaging, gates, verdict, outbox, and only then "saved".
///
/// One capture at a time, and each belongs to exactly the tag that began it: another tag in mid-capture ends the
/// capture without a record.
actor CaptureCoordinator: Service {
  /// What happened to the one capture that there can be.
  enum CaptureChange: Sendable {
    case started
    /// Saved, or given up.
    case ended
  }

  /// What every record of this run has in common.
  struct Constants: Sendable {
    var site: String
    var device: String
    var lens: String
    var distanceCentimetres: Double
    var framesAveraged: Int
    var firmware: String
    var configurationSHA256: String
  }

  private struct CaptureUnderWay {
    var captureID: RandomIdentifier
    var sessionID: RandomIdentifier
    var patient: TagUID
    var patientRef: String
    var view: CaptureView
    var attempt: Int
  }

  private let constants: Constants
  private let events: AsyncStream<DeviceEvent>
  private let camera: Mailbox<CameraCommand>
  private let outbox: Outbox
  private let patientReference: @Sendable (TagUID) -> PatientReference
  private let digests: any MessageDigests
  private let time: any TimeSource
  private let logger: Logger
  private let captureChanged: @Sendable (CaptureChange) -> Void
  private var assessor: Assessor
  private var generator: any RandomNumberGenerator & Sendable
  private var underWay: CaptureUnderWay?

  init(
    constants: Constants, events: AsyncStream<DeviceEvent>, camera: Mailbox<CameraCommand>, outbox: Outbox,
    patientReference: @escaping @Sendable (TagUID) -> PatientReference, assessor: Assessor, digests: any MessageDigests,
    time: any TimeSource,
    generator: any RandomNumberGenerator & Sendable, logger: Logger,
    captureChanged: @escaping @Sendable (CaptureChange) -> Void = { _ in }
  ) {
    self.constants = constants
    self.events = events
    self.camera = camera
    self.outbox = outbox
    self.patientReference = patientReference
    self.assessor = assessor
    self.digests = digests
    self.time = time
    self.generator = generator
    self.logger = logger
    self.captureChanged = captureChanged
  }

  nonisolated func run() async throws {
    for await event in events.cancelOnGracefulShutdown() {
      await handle(event)
    }
  }

  private func handle(_ event: DeviceEvent) async {
    switch event {
    case .presented(let reading): present(reading)
    case .removed: break
    case .ambiguousTags: abandon(because: "two tags at the reader; hold one only")
    case .averaging(let frames, let of):
      if underWay != nil { logger.info("averaging", metadata: ["frames": "\(frames)/\(of)"]) }
    case .thermogram(let captured): await finish(captured)
    case .cameraLost(let reason):
      logger.error("camera lost", metadata: ["reason": "\(reason)"])
      abandon(because: "the camera was lost")
      await alert("camera-lost", .critical, reason)
    case .cameraReturned: logger.notice("camera returned")
    case .camera(let event): await report(event)
    case .readerLost(let reason): logger.error("reader lost", metadata: ["reason": "\(reason)"])
    case .readerReturned: logger.notice("reader returned")
    case .question(let answer): answer()
    }
  }

  private func report(_ event: MLX90640.Event) async {
    switch event {
    case .lost, .returned:
      break  // told as cameraLost and cameraReturned, with the reason
    case .derated(let from, let to):
      logger.warning(
        "camera: sub-pages were missed; the rate is lowered",
        metadata: ["from_hz": "\(from.subPagesPerSecond)", "to_hz": "\(to.subPagesPerSecond)"])
    case .brownOut(let control):
      logger.warning(
        "camera: the sensor lost its settings (brown-out) and was configured again; check its supply",
        metadata: ["control": "\(control)"])
    case .calibrationFromBackup(let words):
      let detail =
        "the sensor's EEPROM differs from its backup in \(words) words; the backup is used; "
        + "have the sensor examined"
      logger.error("camera: calibration from the backup", metadata: ["reason": "\(detail)"])
      await alert("calibration-from-backup", .critical, detail)
    case .archiveFailed(let reason):
      logger.error("camera: the sensor's archive cannot be used", metadata: ["reason": "\(reason)"])
      await alert("sensor-archive-failed", .warning, reason)
    }
  }

  /// Puts an alert into the outbox's first class.
  private func alert(_ code: String, _ severity: AlertMessage.Severity, _ detail: String) async {
    let now = time.now()
    do {
      let message = AlertMessage(code: code, severity: severity, detail: detail, at: now)
      try await outbox.enqueue(.alert(message.encoded(), created: now))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "\(code)", "reason": "\(error)"])
    }
  }

  private func present(_ reading: TagReading) {
    if let underWay {
      guard underWay.patient != reading.uid else { return }
      abandon(because: "another tag was presented in mid-capture")
      return
    }
    let capture = CaptureUnderWay(
      captureID: newIdentifier(), sessionID: newIdentifier(), patient: reading.uid,
      patientRef: patientReference(reading.uid).text, view: .frontal, attempt: 1)
    guard camera.put(.capture(frames: constants.framesAveraged)) else {
      logger.error("capture refused: the camera does not answer")
      return
    }
    underWay = capture
    captureChanged(.started)
    logger.notice(
      "capture started", metadata: ["capture": "\(capture.captureID)", "view": "\(capture.view.rawValue)"])
  }

  private func abandon(because reason: String) {
    guard let capture = underWay else { return }
    underWay = nil
    defer { captureChanged(.ended) }
    if !camera.put(.cancel) { logger.error("the camera does not take a cancellation") }
    logger.warning("capture abandoned", metadata: ["capture": "\(capture.captureID)", "reason": "\(reason)"])
  }

  private func finish(_ captured: CapturedThermogram) async {
    // Without a capture under way the thermogram belongs to one that was abandoned.
    guard let capture = underWay else { return }
    underWay = nil
    defer { captureChanged(.ended) }
    let assessment = assessor.assess(captured.thermogram, conditions: conditions(of: captured))
    let edge = time.now()
    announce(assessment)
    do {
      let stored = try await store(capture, captured, assessment, assessed: edge)
      logger.notice(
        "capture saved",
        metadata: ["capture": "\(capture.captureID)", "sequence": "\(stored.number.sequence)"])
    } catch {
      logger.critical("capture NOT saved", metadata: ["capture": "\(capture.captureID)", "reason": "\(error)"])
    }
  }

  private func conditions(of captured: CapturedThermogram) -> AcquisitionConditions {
    let thermogram = captured.thermogram
    var conditions = AcquisitionConditions()
    conditions.settling = thermogram.settling
    conditions.motionCelsius = thermogram.motionCelsius
    conditions.ambientDriftCelsiusPerMinute = captured.ambientDriftCelsiusPerMinute
    conditions.deadPixels = thermogram.states.count { $0 != .measured }
    let errors = zip(thermogram.standardErrorCelsius, thermogram.states).filter { $0.1 == .measured }
    conditions.noiseCelsius = errors.reduce(0.0) { $0 + Double($1.0) } / Double(max(1, errors.count))
    conditions.clockSynchronised = captured.ended.synchronised
    return conditions
  }

  private func announce(_ assessment: Assessment) {
    for gate in assessment.gates where !gate.passed {
      logger.info("gate failed", metadata: ["gate": "\(gate.code.rawValue)", "sentence": "\(gate.sentence)"])
    }
    let verdict = assessment.verdict
    logger.info(
      "verdict",
      metadata: [
        // A demonstration model's outcome is shown to nobody who could take it for more.
        "outcome": verdict.demonstration ? "withheld (demonstration model)" : "\(verdict.outcome.rawValue)",
        "model": "\(verdict.modelID)",
      ])
  }

  private func store(
    _ capture: CaptureUnderWay, _ captured: CapturedThermogram, _ assessment: Assessment, assessed: Timestamp
  ) async throws -> StoredCapture {
    let manifest = MasterManifest(
      captureID: capture.captureID, capturedAt: captured.ended, view: capture.view,
      thermogram: captured.thermogram)
    let images = try CaptureImages(
      of: captured.thermogram, captureID: capture.captureID, capturedAt: captured.ended,
      manifest: manifest.json(), digests: digests)
    let thermogram = captured.thermogram
    let record = CaptureRecord(
      captureID: capture.captureID, outboxID: outbox.outboxID, sequence: 0, sessionID: capture.sessionID,
      site: constants.site, device: constants.device, capturedAt: .init(captured.ended), redatedAt: nil,
      patientRef: capture.patientRef, tagKind: .patient, view: capture.view, attempt: capture.attempt,
      acquisition: .init(
        camera: "MLX90640", cameraSerial: captured.cameraSerial, lens: constants.lens,
        distanceCentimetres: constants.distanceCentimetres, emissivity: thermogram.emissivity,
        reflectedTemperatureCelsius: rounded(thermogram.reflectedCelsius),
        refreshRateHz: thermogram.refreshRateHertz, framesAveraged: thermogram.framesAveraged,
        sensorTemperatureCelsius: rounded(thermogram.ambientCelsius), supplyVolts: rounded(thermogram.supplyVolts),
        settling: thermogram.settling, interpolatedPixels: thermogram.states.count { $0 == .interpolated }),
      gates: assessment.gates, verdict: assessment.verdict, images: images.files.map(\.reference),
      durations: .init(
        acquisitionMilliseconds: milliseconds(from: captured.began, to: captured.ended),
        edgeMilliseconds: milliseconds(from: captured.ended, to: assessed)),
      versions: .init(
        firmware: constants.firmware, configurationSHA256: constants.configurationSHA256,
        modelSHA256: assessment.verdict.modelSHA256))
    let stored = NewCapture(
      captureID: capture.captureID, created: captured.ended,
      images: images.files.map {
        CaptureImage(name: $0.reference.name, contentType: $0.reference.mediaType, bytes: $0.bytes)
      },
      record: { number in
        var numbered = record
        numbered.sequence = number.sequence
        return try [UInt8](CanonicalJSON.encoder().encode(numbered))
      })
    return try await outbox.enqueue(stored)
  }

  private func newIdentifier() -> RandomIdentifier {
    RandomIdentifier(using: &generator)
  }

  private func milliseconds(from start: Timestamp, to end: Timestamp) -> Double {
    let nanoseconds = end.monotonicNanoseconds &- start.monotonicNanoseconds
    return (Double(nanoseconds) / 1000).rounded() / 1000
  }

  private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}
