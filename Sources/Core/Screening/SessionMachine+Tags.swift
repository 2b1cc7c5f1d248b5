import Identification
import Provenance

// Who it is: tags, operators, technicians, and everything that casts doubt.
extension SessionMachine {
  mutating func present(
    _ tag: KnownTag, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    switch tag.role {
    case .patient: presentPatient(tag, &step, using: &generator)
    case .operator: presentOperator(tag, &step, using: &generator)
    case .technician: presentTechnician(tag, &step)
    }
  }

  private mutating func presentPatient(
    _ tag: KnownTag, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    if isTakenByStaff { return step.refuse(.maintenance) }
    guard let session else {
      let wasAwaited = isAwaited
      awaitedUntilNanoseconds = nil
      mayCall(tag, &step)
      open(tag, &step, using: &generator)
      if wasAwaited, self.session == nil { step.show(.ready) }
      return
    }
    guard tag.isBearer(of: session.patient) else { return anotherPatient(&step) }
    if session.patient != tag.reference { self.session?.rename(to: tag) }
    if case .awaitingPatient = phase {
      mayCall(tag, &step)
      if lacksConsent(tag) {
        step.refuse(.noConsent)
        return close(.incomplete(.cancelled), &step)
      }
      self.session?.consent = tag.consent
      self.session?.wasInterrupted = false
      self.session?.needsOwnTagBeforeView = false
      // After an interruption nobody knows how long the patient was dressed: the rest begins anew.
      return session.wasInterrupted ? rest(&step, using: &generator) : takePosition(&step, using: &generator)
    }
    signGiven(yes: true, &step, using: &generator)
  }

  /// Waits for a patient's tag. Whatever would refuse that tag refuses this, without a light: nobody may be there to see it.
  /// Who comes first is served, the one that was asked for or another.
  mutating func awaitTag(_ tag: KnownTag, _ step: inout SessionStep) {
    if let refusal = refusalOfRequest(tag) { return step.actions.append(.refuse(refusal)) }
    awaitedUntilNanoseconds = step.now.after(seconds: rules.idleTimeoutSeconds)
    step.show(.presentOwnTag)
  }

  private func refusalOfRequest(_ tag: KnownTag) -> SessionRefusal? {
    if isTakenByStaff { return .maintenance }
    if session != nil { return .sessionUnderWay }
    return refusalToOpen(tag)
  }

  mutating func stopAwaiting(_ step: inout SessionStep) {
    guard isAwaited else { return }
    awaitedUntilNanoseconds = nil
    step.show(.ready)
  }

  private func refusalToOpen(_ tag: KnownTag) -> SessionRefusal? {
    if cameraIsLost { return .cameraLost }
    if storageIsFull { return .storageFull }
    if !tag.isEnrolled, rules.unknownTags == .refuse { return .unknownTag }
    return lacksConsent(tag) ? .noConsent : nil
  }

  private mutating func open(
    _ tag: KnownTag, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    if let refusal = refusalToOpen(tag) { return step.refuse(refusal) }
    var opened = OpenSession(id: RandomIdentifier(using: &generator), patient: tag.reference, rules: rules)
    opened.rename(to: tag)
    opened.consent = tag.consent
    if let waiting = waitingOperator, waiting.untilNanoseconds >= step.now { opened.signedBy = waiting.reference }
    waitingOperator = nil
    session = opened
    step.actions.append(.checkpoint(opened.checkpoint))
    if !tag.isEnrolled, rules.unknownTags == .ask, opened.signedBy == nil {
      phase = .confirming(until: idleDeadline(step))
      step.show(.confirmUnknownTag)
    } else {
      admit(&step, using: &generator)
    }
  }

  /// Whether a roster names the tag and not all that the rules ask for. What nobody wrote down is the policy for unknown
  /// tags' to judge.
  private func lacksConsent(_ tag: KnownTag) -> Bool {
    guard let consent = tag.consent else { return false }
    return !rules.requiredConsent.isSubset(of: consent)
  }

  /// The patient is accepted; now the operator, if one has to sign, then the questions.
  mutating func admit(_ step: inout SessionStep, using generator: inout some RandomNumberGenerator) {
    guard let session else { return }
    if session.rules.requiresOperator, session.signedBy == nil {
      phase = .awaitingOperator(until: idleDeadline(step))
      step.show(.presentOperatorTag)
    } else {
      ask(0, &step, using: &generator)
    }
  }

  /// Another patient's tag while a session is open. What was measured before it came is still the first patient's;
  /// what is being measured is nobody's. The newcomer taps again once the first session is closed.
  private mutating func anotherPatient(_ step: inout SessionStep) {
    caller = nil
    step.refuse(.sessionOfAnotherPatient)
    end(.anotherPatient, &step)
  }

  private mutating func presentOperator(
    _ tag: KnownTag, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    if isTakenByStaff { return step.refuse(.maintenance) }
    guard session != nil else {
      waitingOperator = (tag.reference, step.now.after(seconds: rules.idleTimeoutSeconds))
      return
    }
    session?.signedBy = tag.reference
    switch phase {
    case .awaitingOperator: ask(0, &step, using: &generator)
    case .confirming: admit(&step, using: &generator)
    default: break
    }
  }

  private mutating func presentTechnician(_ tag: KnownTag, _ step: inout SessionStep) {
    if case .maintenance = phase { return endMaintenance(&step) }
    if isHeld { return step.refuse(.maintenance) }
    guard session == nil else { return step.refuse(.sessionUnderWay) }
    awaitedUntilNanoseconds = nil
    caller = nil
    phase = .maintenance(until: step.now.after(seconds: rules.maintenanceSeconds))
    step.actions.append(.openMaintenance(technician: tag.reference))
    step.show(.maintenance)
  }

  mutating func endMaintenance(_ step: inout SessionStep) {
    phase = .idle
    step.actions.append(.closeMaintenance)
    step.show(.ready)
  }

  /// Takes the device out of service for an update, between sessions only; a longer hold takes the place of a shorter one.
  mutating func hold(seconds: Int, _ step: inout SessionStep) {
    let until = step.now.after(seconds: seconds)
    if case .held(let present) = phase { return phase = .held(until: max(present, until)) }
    guard isIdle else { return }
    waitingOperator = nil
    phase = .held(until: until)
    step.show(.maintenance)
  }

  mutating func endHold(_ step: inout SessionStep) {
    guard isHeld else { return }
    phase = .idle
    step.show(.ready)
  }

  private var isTakenByStaff: Bool {
    switch phase {
    case .maintenance, .held: true
    default: false
    }
  }

  mutating func tagRemoved(_ step: inout SessionStep) {
    guard let session, session.rules.tagMustStay else { return }
    doubtThePatient(&step)
  }

  /// With two tags in the field the device cannot tell who stands before it.
  mutating func tagsAmbiguous(_ step: inout SessionStep) {
    step.refuse(.ambiguousTags)
    caller = nil
    if session != nil { doubtThePatient(&step) }
  }

  /// Stops measuring until the session's own tag is presented again. A thermogram that is already complete is the
  /// patient's, and is saved first.
  private mutating func doubtThePatient(_ step: inout SessionStep) {
    switch phase {
    case .averaging(let captureID, _):
      step.actions.append(.cancelAveraging(captureID: captureID))
      session?.forgivenAttempts += 1
      awaitPatient(&step)
    case .positioning, .awaitingCamera:
      awaitPatient(&step)
    case .idle, .maintenance, .held, .awaitingOperator, .confirming, .asking, .acclimatising, .awaitingPatient,
      .assessing, .saving:
      // Nothing is being measured. Before the next view begins, the session waits for its own tag all the same.
      session?.needsOwnTagBeforeView = true
    }
  }

  mutating func awaitPatient(_ step: inout SessionStep) {
    phase = .awaitingPatient(until: idleDeadline(step))
    step.show(.presentOwnTag)
  }

  /// More attempts at one view than any session has.
  private static let mostAttempts = 10_000

  /// Takes up a session that a restart interrupted: it waits for its own patient's tag, and for no longer than the
  /// rules say.
  mutating func resume(_ checkpoint: SessionCheckpoint, ageSeconds: Int?, _ step: inout SessionStep) {
    guard session == nil, phase == .idle else { return }
    guard let patient = PatientReference(checkpoint.patient) else { return }
    var resumed = OpenSession(id: checkpoint.sessionID, patient: patient, rules: rules)
    resumed.rules.views = checkpoint.views
    resumed.signedBy = checkpoint.signedBy.flatMap { PatientReference($0) }
    resumed.savedViews = checkpoint.savedViews
    resumed.notAssessableViews = checkpoint.notAssessableViews ?? []
    resumed.answers = checkpoint.answers
    // Numbers from the disk: no session has more views or attempts.
    resumed.viewIndex = min(max(checkpoint.viewIndex, 0), checkpoint.views.count)
    resumed.attempt = min(max(checkpoint.attempt, 0), Self.mostAttempts)
    resumed.forgivenAttempts = resumed.attempt
    resumed.wasInterrupted = true
    session = resumed
    let remaining = rules.resumeSeconds - min(max(ageSeconds ?? 0, 0), Int(Int32.max))
    guard remaining > 0, resumed.view != nil else {
      return close(resumed.view == nil ? .complete : .incomplete(.interrupted), &step)
    }
    phase = .awaitingPatient(until: step.now.after(seconds: remaining))
    step.show(.presentOwnTag)
  }

  func idleDeadline(_ step: SessionStep) -> UInt64 {
    step.now.after(seconds: (session?.rules ?? rules).idleTimeoutSeconds)
  }
}
