import Audit
import Forwarding
import Identification
import Logging
import Panel
import Provenance
import Screening
import Storage
import Thermography

// What the session does: light and sound, captures, records, alerts.
extension SessionService {
  func perform(_ action: SessionAction, leadingTo pending: inout [SessionEvent]) async {
    switch action {
    case .show(let instruction): show(instruction)
    case .checkpoint(let checkpoint):
      do {
        try parts.journal.write(checkpoint, at: time.now())
      } catch {
        // The capture goes on: it is the journal that a restart would miss, not the image.
        logger.error("the session's journal could not be written", metadata: ["reason": "\(error)"])
      }
    case .startAveraging(let captureID, let view, let attempt):
      capture = nil
      comparison.begin(
        view, sessionID: machine.sessionID, patient: machine.patient, former: machine.formerPatient, past: parts.past)
      earlier = lookUpEarlierSessions(view)
      if !parts.camera.put(.capture(captureID, frames: parts.recorder.constants.framesAveraged)) {
        logger.error("the camera does not take a capture; it is stuck")
      }
      logger.notice(
        "capture started",
        metadata: ["capture": "\(captureID)", "view": "\(view.rawValue)", "attempt": "\(attempt)"])
    case .cancelAveraging(let captureID):
      capture = nil
      if !parts.camera.put(.cancel) { logger.error("the camera does not take a cancellation; it is stuck") }
      logger.warning("capture abandoned", metadata: ["capture": "\(captureID)"])
    case .assess(let captureID, let restMissingSeconds):
      if let gates = await assess(captureID, restMissingSeconds: restMissingSeconds) {
        pending.append(.assessed(captureID: captureID, gates: gates))
      }
    case .save(let attribution): save(attribution)
    case .close(let summary):
      parts.audit.post(AuditEvent(endOf: summary))
      clearJournal()
      capture = nil
      log(summary)
      control.closed(
        .init(summary: summary, sentence: SessionInstruction(endOf: summary).sentence(in: assessor.sentences)))
      await store(event: SessionMessage(summary, at: time.now()))
      parts.changed(.closed(summary))
    case .refuse(let refusal):
      lastRefusal = refusal
      parts.refused(refusal)
      logger.notice("refused", metadata: ["reason": "\(refusal.rawValue)"])
      await store(event: SessionMessage(refusal, at: time.now()))
    case .openMaintenance(let technician):
      logger.notice("maintenance opened")
      await store(event: SessionMessage(maintenanceBy: technician.text, at: time.now()))
    case .closeMaintenance:
      logger.notice("maintenance closed")
      await store(event: SessionMessage(maintenanceBy: nil, at: time.now()))
    case .requestCall(let patient, let session):
      let message = SessionMessage(callOf: patient, session: session, at: time.now())
      show(await store(event: message) ? .callNoted : .callFailed)
    }
  }

  func show(_ instruction: SessionInstruction) {
    for signal in instruction == .ready ? [idleSignal] : instruction.signals { parts.show(signal) }
    let sentence = (instruction == .ready ? idleInstruction : instruction).sentence(in: assessor.sentences)
    control.change { $0.sentence = sentence }
    logger.info("told", metadata: ["sentence": "\(sentence)"])
  }

  /// What the panel shows while nobody is being captured: whether a tag would be of any use.
  var idleSignal: PanelSignal {
    guard idleInstruction == .ready else { return idleInstruction.signals.last ?? .unable }
    return control.snapshot.readerIsLost || parts.needsTechnician() ? .degraded : .ready
  }

  /// Light and sentence say the same: where a tag would be refused, nobody is asked for one.
  private var idleInstruction: SessionInstruction {
    if machine.isHeld { return .maintenance }
    if machine.isCameraLost { return .refused(.cameraLost) }
    return machine.isStorageFull ? .refused(.storageFull) : .ready
  }

  func clearJournal() {
    do {
      try parts.journal.clear()
    } catch {
      logger.error("the session's journal could not be removed", metadata: ["reason": "\(error)"])
    }
  }

  private func log(_ summary: SessionSummary) {
    var metadata: Logger.Metadata = [
      "session": "\(summary.sessionID)", "views": "\(summary.savedViews.map(\.rawValue).joined(separator: ","))",
    ]
    if case .incomplete(let reason) = summary.outcome {
      metadata["reason"] = "\(reason.rawValue)"
      logger.warning("session incomplete", metadata: metadata)
    } else {
      logger.notice("session complete", metadata: metadata)
    }
  }

  // MARK: - Pictures

  /// A live picture: its gates for whoever watches, and the skin's drift for the rest.
  func observe(_ picture: LivePicture) async {
    // A pixel without a value must look like the room, not like ice.
    let coldest = picture.image.extremes?.minimum ?? 0
    let subject = SubjectMeasurements(
      geometry: picture.image.geometry,
      celsius: zip(picture.image.celsius, picture.image.valid).map { $1 ? $0 : coldest },
      measured: picture.image.valid)
    // A single picture is four times as noisy as the average of sixteen: its noise says nothing of the capture's.
    let gates = QualityGate.evaluate(
      subject: subject, conditions: AcquisitionConditions(picture), limits: limits, sentences: assessor.sentences
    ).filter { $0.code != .noise && $0.code != .checkerboard }
    control.change { $0.gates = gates }
    parts.picture(picture, gates)
    guard case .acclimatising = machine.phase, let subject, subject.isPresent else { return }
    skinDrift.add(subject.subjectCelsius, at: picture.at)
    if let drift = skinDrift.celsiusPerMinute { await feed(.skinDrift(celsiusPerMinute: drift)) }
  }

  /// Gates and verdict of the picture that was taken under this id; nil when there is none.
  private func assess(_ captureID: RandomIdentifier, restMissingSeconds: Int) async -> [QualityGate]? {
    guard let captured = capture?.captured, captured.captureID == captureID else { return nil }
    var conditions = AcquisitionConditions(captured, restMissingSeconds: restMissingSeconds)
    let standing = parts.standing()
    if standing.isSensingIll { conditions.sensingIsIll = true }
    let assessment = assessor.assess(captured.thermogram, conditions: conditions, context: await comparison.context())
    comparison.add(assessment.verdict)
    // Once: in the first record under the new reference, of the first session after the change.
    capture?.namesFormerReference = machine.savedViews.isEmpty ? await comparison.formerReferenceIsNews() : false
    capture?.assessment = assessment
    let assessed = time.now()
    capture?.assessed = assessed
    func nanoseconds(_ start: Timestamp, _ end: Timestamp) -> UInt64 {
      max(end.monotonicNanoseconds, start.monotonicNanoseconds) - start.monotonicNanoseconds
    }
    parts.timed(nanoseconds(captured.began, captured.ended), nanoseconds(captured.ended, assessed))
    capture?.standing = standing
    control.change { $0.gates = assessment.gates }
    announce(assessment)
    return assessment.gates
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

  // MARK: - Storing

  /// Stores the capture beside the session; `stored` hears of it.
  private func save(_ attribution: CaptureAttribution) {
    let captureID = attribution.captureID
    guard let capture, capture.captured.captureID == captureID, let assessment = capture.assessment,
      let assessed = capture.assessed
    else {
      events.send(.stored(captureID: captureID, .failed(isFull: false, reason: "the picture is gone")))
      return
    }
    var attribution = attribution
    if !capture.namesFormerReference { attribution.formerPatient = nil }
    let (recorder, store, events) = (parts.recorder, parts.store, self.events)
    let occlusion = parts.drawsOcclusionMap ? occlusionMap(of: capture, assessment.verdict) : nil
    let (tracking, earlier, kept) = (parts.change, self.earlier, parts.kept)
    storing = Task { [attribution] in
      // The earlier sessions were looked up while the frames were averaged; what is left takes a bounded time.
      var change: ChangeReport?
      if let tracking, let earlier = await earlier?.value {
        change = await tracking.report(
          of: capture.captured, view: attribution.view, gates: assessment.gates, against: earlier)
      }
      let outcome: CaptureStoring
      do {
        let new = try recorder.capture(
          attribution, of: capture.captured, assessment, assessed: assessed, occlusion: occlusion, change: change,
          standing: capture.standing, outboxID: store.outboxID)
        outcome = await store.store(new)
        if case .saved = outcome { kept(KeptCapture(new, assessment)) }
      } catch {
        outcome = .failed(isFull: false, reason: "\(error)")
      }
      events.send(.stored(captureID: captureID, outcome))
      // Whoever waits for the capture has been told by now.
      if case .saved = outcome { await tracking?.keep(capture.captured, attribution, gates: assessment.gates) }
      await self.tellDamagedBaselines()
      return outcome
    }
  }

  private func lookUpEarlierSessions(_ view: CaptureView) -> Task<EarlierSessions, Never>? {
    guard let tracking = parts.change, let patient = machine.patient else { return nil }
    let (former, session) = (machine.formerPatient, machine.sessionID)
    return Task { await tracking.earlier(of: patient, former: former, view: view, before: session) }
  }

  /// nil without a verdict. A capture is not lost for want of its map.
  private func occlusionMap(of capture: Capture, _ verdict: Verdict) -> OcclusionMap? {
    do throws(ScreeningError) {
      return try assessor.occlusionMap(of: capture.captured.thermogram, for: verdict)
    } catch {
      logger.error("no occlusion map could be made", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  func stored(_ captureID: RandomIdentifier, _ outcome: CaptureStoring) async {
    let finished = capture?.captured.captureID == captureID ? capture : nil
    if finished != nil { capture = nil }
    switch outcome {
    case .saved(let sequence):
      logger.notice("capture saved", metadata: ["capture": "\(captureID)", "sequence": "\(sequence)"])
      await feed(.saved(captureID: captureID))
      if let finished {
        if let assessment = finished.assessment { parts.changed(.saved(captureID: captureID, assessment)) }
        await alert(about: finished)
      }
    case .failed(let isFull, let reason):
      parts.audit.post(.storageRefusal(.capture, reason: reason))
      logger.critical("capture NOT saved", metadata: ["capture": "\(captureID)", "reason": "\(reason)"])
      await feed(.saveFailed(captureID: captureID, storageFull: isFull))
    }
  }

  /// - Returns: whether it is on disk.
  @discardableResult
  private func store(event message: SessionMessage) async -> Bool {
    do {
      try await parts.store.store(.event(message.encoded(), created: time.now()))
      return true
    } catch {
      logger.error("an event could not be stored", metadata: ["kind": "\(message.kind)", "reason": "\(error)"])
      return false
    }
  }

  // MARK: - Alerts

  private func alert(about capture: Capture) async {
    guard let assessment = capture.assessment else { return }
    let verdict = assessment.verdict
    let captureID = capture.captured.captureID
    if let outcome = verdict.outcomeToTell {
      await alert(.outcome(outcome), "capture \(captureID): \(outcome.rawValue)")
    }
    for gate in assessment.gates where !gate.passed {
      await alert(.gateFailed(gate.code), "capture \(captureID): \(gate.sentence)")
    }
    if let change = verdict.changeSinceBaseline, change.isUnlikeEarlier {
      let sentence = "unlike this person's earlier pictures (\(change.sessions) sessions): was it the right tag?"
      logger.warning("another person?", metadata: ["capture": "\(captureID)", "reason": "\(sentence)"])
      await alert(.unlikeEarlier, "capture \(captureID): \(sentence)")
    }
    if !capture.captured.ended.synchronised {
      await alert(.clockUnsynchronised, "capture \(captureID) was dated by a clock that is not set")
    }
  }

  /// Whose earlier sessions were lost nobody can read any more: somebody is to know that they were, and what to do.
  func tellDamagedBaselines() async {
    guard let lost = await parts.change?.takeDamaged(), lost > 0 else { return }
    await alert(
      .baselineDamaged,
      "\(lost) \(lost == 1 ? "patient's" : "patients'") earlier sessions were damaged and set aside; the comparison begins "
        + "anew; 'thermograph patient import' brings them back from an export; examine the card")
  }

  /// Puts an alert into the store's first class where the table asks for one.
  func alert(_ occasion: AlertOccasion, _ detail: String) async {
    let now = time.now()
    guard let severity = alerts.severity(of: occasion, atNanoseconds: now.monotonicNanoseconds) else { return }
    await store(AlertMessage(code: occasion.code, severity: severity, detail: detail, at: now), now)
  }

  private func store(_ message: AlertMessage, _ now: Timestamp) async {
    do {
      try await parts.store.store(.alert(message.encoded(), created: now))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "\(message.code)", "reason": "\(error)"])
    }
  }

  /// What the camera's driver found worth telling. Two of these need a technician whatever the table says.
  func report(_ event: MLX90640.Event) async {
    let now = time.now()
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
      await store(AlertMessage(code: "calibration-from-backup", severity: .critical, detail: detail, at: now), now)
    case .archiveFailed(let reason):
      logger.error("camera: the sensor's archive cannot be used", metadata: ["reason": "\(reason)"])
      await store(AlertMessage(code: "sensor-archive-failed", severity: .warning, detail: reason, at: now), now)
    }
  }
}

extension AuditEvent {
  init(endOf summary: SessionSummary) {
    var reason: String?
    if case .incomplete(let why) = summary.outcome { reason = why.rawValue }
    self = .sessionEnd(
      summary.sessionID, patient: summary.patient.text, isComplete: summary.outcome == .complete, reason: reason,
      views: summary.savedViews.map(\.rawValue))
  }
}

extension Verdict {
  /// The outcome that an alert may tell. What a demonstration model makes of a picture alarms nobody; that a picture cannot
  /// be assessed is the gates' word.
  var outcomeToTell: Outcome? { demonstration && outcome != .notAssessable ? nil : outcome }
}
