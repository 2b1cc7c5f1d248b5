import Identification
import Provenance

// What it does: questions, rest, position, averaging, assessment, saving.
extension SessionMachine {
  /// The patient's own tag (yes) or a short press (no): it answers, or begins what waits to begin.
  mutating func signGiven(
    yes: Bool, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    if yes { session?.needsOwnTagBeforeView = false }
    switch phase {
    case .asking:
      // A tap that came before the question could be seen was meant for something else.
      guard let session, step.now >= session.answersCountFrom else { return }
      answer(yes, &step, using: &generator)
    case .confirming:
      // The patient's own tag is no go-ahead for itself; somebody presses the button.
      if !yes { admit(&step, using: &generator) }
    case .positioning:
      startView(&step, using: &generator)
    case .idle, .maintenance, .held, .acclimatising, .awaitingOperator, .awaitingPatient, .awaitingCamera, .averaging,
      .assessing, .saving:
      break
    }
  }

  mutating func answer(
    _ yes: Bool, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    switch phase {
    case .asking(let question, _):
      guard let session, session.rules.questions.indices.contains(question) else { return }
      self.session?.answers.append(SessionAnswer(code: session.rules.questions[question].code, yes: yes))
      ask(question + 1, &step, using: &generator)
    case .confirming:
      if yes {
        admit(&step, using: &generator)
      } else {
        step.refuse(.unknownTag)
        close(.incomplete(.cancelled), &step)
      }
    default:
      break
    }
  }

  mutating func ask(
    _ question: Int, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    guard let session else { return }
    guard session.rules.questions.indices.contains(question) else { return rest(&step, using: &generator) }
    phase = .asking(question: question, until: idleDeadline(step))
    self.session?.answersCountFrom = step.now.after(seconds: SessionRules.questionShownSeconds)
    step.show(.question(session.rules.questions[question]))
  }

  mutating func rest(_ step: inout SessionStep, using generator: inout some RandomNumberGenerator) {
    guard let session else { return }
    guard session.rules.acclimatisationSeconds > 0 else { return takePosition(&step, using: &generator) }
    phase = .acclimatising(SessionRest(rules: session.rules, now: step.now))
    step.show(.rest(seconds: session.rules.acclimatisationSeconds))
  }

  mutating func skinDrift(
    _ celsiusPerMinute: Double, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    guard let session, case .acclimatising(let rest) = phase else { return }
    self.session?.skinIsSettled = abs(celsiusPerMinute) <= session.rules.skinDriftMaximumCelsiusPerMinute
    if rest.deadline(isSettled: self.session?.skinIsSettled) <= step.now { endRest(rest, &step, using: &generator) }
  }

  /// Ends the rest, and notes what is missing: the seconds that were skipped, or one where the time was up and the skin
  /// still drifted.
  mutating func endRest(
    _ rest: SessionRest, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    guard let session else { return }
    let missing: UInt64
    switch session.skinIsSettled {
    case true where step.now >= rest.earliest: missing = 0
    case false where step.now >= rest.nominal: missing = 1_000_000_000
    default: missing = rest.nominal > step.now ? rest.nominal - step.now : 0
    }
    self.session?.restMissingSeconds = Int((missing + 999_999_999) / 1_000_000_000)
    takePosition(&step, using: &generator)
  }

  /// Asks for the position of the view under way; a retake says why.
  mutating func takePosition(
    reasons: [String] = [], _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    guard let session, let view = session.view else { return close(.complete, &step) }
    if session.needsOwnTagBeforeView { return awaitPatient(&step) }
    step.show(reasons.isEmpty ? .takePosition(view) : .retake(view, reasons: reasons))
    switch session.rules.viewStart {
    case .sign:
      phase = .positioning(until: idleDeadline(step))
    case .timer:
      phase = .positioning(until: step.now.after(seconds: session.rules.positionSeconds))
      if session.rules.positionSeconds == 0 { startView(&step, using: &generator) }
    }
  }

  mutating func startView(_ step: inout SessionStep, using generator: inout some RandomNumberGenerator) {
    guard let session, let view = session.view else { return }
    if storageIsFull { return close(.incomplete(.storageFull), &step) }
    if cameraIsLost { return awaitCamera(&step) }
    let captureID = RandomIdentifier(using: &generator)
    self.session?.attempt += 1
    phase = .averaging(captureID: captureID, until: step.now.after(seconds: session.rules.captureTimeoutSeconds))
    if let checkpoint = self.session?.checkpoint { step.actions.append(.checkpoint(checkpoint)) }
    step.show(.holdStill(view))
    step.actions.append(.startAveraging(captureID: captureID, view: view, attempt: session.attempt + 1))
  }

  mutating func averaged(_ captureID: RandomIdentifier, _ step: inout SessionStep) {
    guard let session, case .averaging(captureID, _) = phase else { return }
    phase = .assessing(captureID: captureID, until: step.now.after(seconds: session.rules.saveTimeoutSeconds))
    step.show(.working)
    step.actions.append(.assess(captureID: captureID, restMissingSeconds: session.restMissingSeconds))
  }

  mutating func averagingTimedOut(_ captureID: RandomIdentifier, _ step: inout SessionStep) {
    // One try more with the same view; a camera that twice delivers no frames in time will not the third time.
    guard let session, session.forgivenAttempts == 0, !cameraIsLost else {
      return close(.incomplete(.captureTimeout), &step)
    }
    step.actions.append(.cancelAveraging(captureID: captureID))
    self.session?.forgivenAttempts += 1
    phase = .positioning(until: retryDeadline(session, step))
    if let view = session.view { step.show(.takePosition(view)) }
  }

  /// Every thermogram is saved, whatever its gates say; they decide on the verdict and on another attempt.
  mutating func assessed(_ captureID: RandomIdentifier, _ gates: [QualityGate], _ step: inout SessionStep) {
    guard let session, let view = session.view, case .assessing(captureID, _) = phase else { return }
    self.session?.retakeReasons =
      gates
      .filter { !$0.passed && $0.severity == .hard && SessionRules.correctableGates.contains($0.code) }
      .map(\.sentence)
    self.session?.isAssessable = !gates.contains { !$0.passed && $0.severity == .hard }
    phase = .saving(captureID: captureID, until: step.now.after(seconds: session.rules.saveTimeoutSeconds))
    step.actions.append(
      .save(
        CaptureAttribution(
          captureID: captureID, sessionID: session.id, patient: session.patient, patientVersion: session.patientVersion,
          formerPatient: session.formerPatient, signedBy: session.signedBy,
          view: view, attempt: session.attempt, answers: session.answers, consent: session.consent)))
  }

  mutating func saved(
    _ captureID: RandomIdentifier, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    guard var session, let view = session.view, case .saving(captureID, _) = phase else { return }
    let wantsRetake = !session.retakeReasons.isEmpty && session.hasRetakesLeft
    if session.savedViews.last != view { session.savedViews.append(view) }
    let isAssessable = session.isAssessable
    if !wantsRetake {
      if !isAssessable { session.notAssessableViews.append(view) }
      session.viewIndex += 1
      session.attempt = 0
      session.forgivenAttempts = 0
    }
    let reasons = wantsRetake ? session.retakeReasons : []
    session.retakeReasons = []
    self.session = session
    step.actions.append(.checkpoint(session.checkpoint))
    if let reason = session.endsAfterSave {
      return close(session.view == nil ? .complete : .incomplete(reason), &step)
    }
    if !wantsRetake { step.show(isAssessable ? .saved(view) : .savedNotAssessable(view)) }
    takePosition(reasons: reasons, &step, using: &generator)
  }

  mutating func saveFailed(_ captureID: RandomIdentifier, storageFull: Bool, _ step: inout SessionStep) {
    guard case .saving(captureID, _) = phase else { return }
    if storageFull { storageIsFull = true }
    close(.incomplete(storageFull ? .storageFull : .saveFailed), &step)
  }

  mutating func lost(_ step: inout SessionStep) {
    cameraIsLost = true
    guard case .averaging(let captureID, _) = phase else { return }
    step.actions.append(.cancelAveraging(captureID: captureID))
    session?.forgivenAttempts += 1
    awaitCamera(&step)
  }

  private mutating func awaitCamera(_ step: inout SessionStep) {
    guard let session else { return }
    phase = .awaitingCamera(until: step.now.after(seconds: session.rules.captureTimeoutSeconds))
    step.show(.waitForCamera)
  }

  mutating func returned(_ step: inout SessionStep, using generator: inout some RandomNumberGenerator) {
    cameraIsLost = false
    if case .awaitingCamera = phase { takePosition(&step, using: &generator) }
  }

  private func retryDeadline(_ session: OpenSession, _ step: SessionStep) -> UInt64 {
    switch session.rules.viewStart {
    case .sign: step.now.after(seconds: session.rules.idleTimeoutSeconds)
    case .timer: step.now.after(seconds: max(session.rules.positionSeconds, 1))
    }
  }
}
