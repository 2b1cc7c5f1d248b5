import Audit
import Forwarding
import Identification
import Provenance
import Screening
import Storage
import Thermography

/// Makes a stored capture of what the session attributes, the camera took and the assessor concluded.
struct CaptureRecorder: Sendable {
  /// What every record of this run has in common.
  struct Constants: Sendable {
    var site: String
    var device: String
    var lens: String
    var distanceCentimetres: Double
    var framesAveraged: Int
    var firmware: String
    var configurationSHA256: String
    /// The view, the mask and the standard error are kept and sent; else the record promises them, and who wants them draws
    /// them from the master.
    var sendsRenderings = true
  }

  var constants: Constants
  let digests: any MessageDigests
  /// Where the audit log stands: asked when the record gets its number, so that both rise together.
  var audit: @Sendable () -> AuditHead? = { nil }

  /// - Parameters:
  ///   - outboxID: of the store that the capture goes to; its sequence is filled in there.
  ///   - assessed: when the verdict was known.
  ///   - occlusion: what the doctor gets beside it, where the technician asked for it.
  ///   - change: the comparison with the patient's earlier sessions; nil where none is made.
  ///   - standing: what the device thought of itself when the picture was assessed.
  func capture(
    _ attribution: CaptureAttribution, of captured: CapturedThermogram, _ assessment: Assessment, assessed: Timestamp,
    occlusion: OcclusionMap? = nil, change: ChangeReport? = nil, standing: CaptureStanding = CaptureStanding(),
    outboxID: RandomIdentifier
  ) throws -> NewCapture {
    let manifest = MasterManifest(
      captureID: attribution.captureID, capturedAt: captured.ended, view: attribution.view,
      thermogram: captured.thermogram, firmware: constants.firmware, assessment: assessment.basis)
    let images = try CaptureImages(
      of: captured.thermogram, captureID: attribution.captureID, capturedAt: captured.ended,
      view: attribution.view, manifest: manifest.json(), occlusion: occlusion, change: change?.findings,
      digests: digests, sendsRenderings: constants.sendsRenderings)
    let thermogram = captured.thermogram
    var record = CaptureRecord(
      captureID: attribution.captureID, outboxID: outboxID, sequence: 0, sessionID: attribution.sessionID,
      site: constants.site, device: constants.device, capturedAt: .init(captured.ended), redatedAt: nil,
      patientRef: attribution.patient.text, tagKind: .patient, view: attribution.view, attempt: attribution.attempt,
      acquisition: .init(
        camera: captured.cameraModel, cameraSerial: captured.cameraSerial, lens: constants.lens,
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
        modelSHA256: assessment.verdict.modelSHA256, unitSHA256: assessment.screeningUnitSHA256),
      signedBy: attribution.signedBy?.text, answers: attribution.answers.isEmpty ? nil : attribution.answers,
      consent: attribution.consent.map { consent in Roster.Consent.allCases.filter { consent.contains($0) } })
    record.patientRefVersion = attribution.patientVersion?.rawValue
    record.formerPatientRef = attribution.formerPatient?.text
    record.change = change?.record
    record.sentinel = standing.sentinel
    record.power = standing.power
    record.renderings = images.renderings.isEmpty ? nil : images.renderings
    var new = NewCapture(
      captureID: attribution.captureID, created: captured.ended,
      images: images.files.map {
        CaptureImage(name: $0.reference.name, contentType: $0.reference.mediaType, bytes: $0.bytes)
      },
      record: { [record, audit] number in
        var numbered = record
        numbered.audit = audit()
        numbered.sequence = number.sequence
        return try CanonicalJSON.bytes(of: numbered)
      })
    new.belonging = .init(sessionID: attribution.sessionID, patientRef: attribution.patient.text)
    return new
  }

  private func milliseconds(from start: Timestamp, to end: Timestamp) -> Double {
    let nanoseconds = end.monotonicNanoseconds &- start.monotonicNanoseconds
    return (Double(nanoseconds) / 1000).rounded() / 1000
  }

  private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

extension AcquisitionConditions {
  /// What is known of a capture beside its picture.
  init(_ captured: CapturedThermogram, restMissingSeconds: Int) {
    self.init()
    let thermogram = captured.thermogram
    settling = thermogram.settling
    motionCelsius = thermogram.motionCelsius
    ambientDriftCelsiusPerMinute = captured.ambientDriftCelsiusPerMinute
    deadPixels = thermogram.states.count { $0 != .measured }
    let errors = zip(thermogram.standardErrorCelsius, thermogram.states).filter { $0.1 == .measured }
    noiseCelsius = errors.reduce(0.0) { $0 + Double($1.0) } / Double(max(1, errors.count))
    clockSynchronised = captured.ended.synchronised
    acclimatisationMissingSeconds = Double(restMissingSeconds)
  }

  /// What is known of a live picture: too little to judge noise or the rest by.
  init(_ live: LivePicture) {
    self.init()
    settling = live.settling
    motionCelsius = live.motionCelsius
    deadPixels = live.image.valid.count { !$0 }
  }
}
