import Audit
import Forwarding
import Identification
import Logging
import Panel
import Provenance
import Screening
import ServiceLifecycle
import Storage
import Thermography

/// Runs the guided session: tags, button, camera, time and requests become events of `SessionMachine`, and what the
/// machine answers becomes light, sound, captures, records and alerts.
///
///     reader, panel, camera, outbox, requests --DeviceEvents--> SessionService --> SessionMachine
///     panel, camera, journal, store <----------- actions in their order -------------'
///
/// Events are handled one at a time, each to its end. A capture is stored beside that, so that a slow disk never keeps
/// a tag or the button waiting; its outcome comes back as an event.
actor SessionService: Service {
  /// What happened to the one session that there can be.
  enum Change: Sendable {
    /// A session began, or goes on after its own patient's tag.
    case opened
    /// A capture is on disk.
    case saved(captureID: RandomIdentifier, Assessment)
    case closed(SessionSummary)
  }

  /// Everything the session acts on.
  struct Parts: Sendable {
    var camera: Mailbox<CameraRequest>
    var store: any CaptureStore
    /// By the site's key; slow, so never on the session's own turn.
    var fingerprints: @Sendable (TagUID) async -> TagFingerprints
    var journal: SessionJournal
    var recorder: CaptureRecorder
    /// Lights and sound; does nothing where there is no panel.
    var show: @Sendable (PanelSignal) -> Void = { _ in }
    /// Every live picture with its gates, for a terminal.
    var picture: @Sendable (LivePicture, [QualityGate]) -> Void = { _, _ in }
    var changed: @Sendable (Change) -> Void = { _ in }
    var refused: @Sendable (SessionRefusal) -> Void = { _ in }
    /// How long a capture and its verdict took, in nanoseconds.
    var timed: @Sendable (_ capture: UInt64, _ verdict: UInt64) -> Void = { _, _ in }
    /// What the device thinks of itself, asked when a picture is assessed.
    var standing: @Sendable () -> CaptureStanding = { CaptureStanding() }
    /// Whether something is wrong that keeps no picture from being taken, and that a technician should see to.
    var needsTechnician: @Sendable () -> Bool = { false }
    /// The patient's own earlier captures, as far as they are still there.
    var past: @Sendable (PatientReference, _ former: PatientReference?) async -> PatientPast = { _, _ in PatientPast() }
    /// The comparison with the patient's earlier sessions; nil where it is switched off, or nothing is kept.
    var change: ChangeTracking?
    /// What the clinic has for patients.
    var clinic = ClinicShelf.empty
    /// A capture is on disk: what a trial of a model, and its confirmation, have of it.
    var kept: @Sendable (KeptCapture) -> Void = { _ in }
    /// Who writes down what is done to the device and by it.
    var audit: any AuditTrail = NoAuditTrail()
    /// An occlusion map, for the doctor, goes with each capture that has a verdict.
    var drawsOcclusionMap = false
    /// How often live pictures are wanted while a position is taken; the rest needs one a second.
    var livePeriodMilliseconds = 1000
  }

  /// A picture between the camera and the store.
  struct Capture: Sendable {
    var captured: CapturedThermogram
    var assessment: Assessment?
    var assessed: Timestamp?
    var standing = CaptureStanding()
    var namesFormerReference = false
  }

  nonisolated let control: SessionControl
  let parts: Parts
  let events: DeviceEvents
  let time: any TimeSource
  let logger: Logger
  var assessor: Assessor
  var machine: SessionMachine
  var limits: GateLimits
  var alerts: AlertTable
  var tags: TagDirectory
  var generator: any RandomNumberGenerator & Sendable
  /// The one capture that was averaged and is not yet stored.
  var capture: Capture?
  var storing: Task<CaptureStoring, Never>?
  var comparison = SessionComparison()
  /// Looked up while the frames are averaged.
  var earlier: Task<EarlierSessions, Never>?
  var skinDrift = TemperatureDrift()
  var lastRefusal: SessionRefusal?
  /// Models that are to decide from the next session on.
  private var waitingModels: Handover<Assessor>?
  /// Those who hold the device for an update.
  var holders: Set<RandomIdentifier> = []
  /// When somebody was before the device last; its start counts.
  var lastBusy: UInt64
  private var idleSignalShown: PanelSignal?
  private var alarm = Alarm()
  private var watching: Int?

  init(
    policy: Policy, parts: Parts, assessor: Assessor, events: DeviceEvents, time: any TimeSource,
    generator: any RandomNumberGenerator & Sendable, logger: Logger
  ) {
    machine = SessionMachine(rules: policy.rules)
    limits = policy.limits
    alerts = policy.alerts
    tags = TagDirectory(roster: policy.roster)
    control = SessionControl(events: events, now: time.now())
    self.parts = parts
    self.assessor = assessor
    self.events = events
    self.time = time
    lastBusy = time.now().monotonicNanoseconds
    self.generator = generator
    self.logger = logger
  }

  nonisolated func run() async throws {
    let events = self.events
    await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        await self.begin()
        for await event in events.stream { await self.handle(event) }
        await self.end()
      } onGracefulShutdown: {
        events.finish()
      }
    } onCancel: {
      events.finish()
    }
  }

  private func begin() async {
    if await lacksRoom() { await feed(.storageFull) }
    if let change = parts.change {
      Task { [withoutConsent = tags.roster?.withoutConsent ?? []] in
        await change.reseal()
        await change.forget(withoutConsent)
        await self.tellDamagedBaselines()
      }
    }
    await resume()
    // Who is asked for the own tag must not be shown that anybody's will do.
    if machine.phase == .idle { show(.ready) }
    await feed(.timePassed)
  }

  /// Takes up what a restart interrupted, or closes it as incomplete.
  private func resume() async {
    do {
      guard let entry = try parts.journal.read() else { return }
      let age = entry.ageSeconds(at: time.now())
      logger.notice(
        "a session was interrupted by a restart",
        metadata: ["session": "\(entry.checkpoint.sessionID)", "age_s": "\(age.map { "\($0)" } ?? "unknown")"])
      await feed(.interruptedSessionFound(entry.checkpoint, ageSeconds: age))
    } catch {
      logger.error("an interrupted session cannot be taken up", metadata: ["reason": "\(error)"])
      clearJournal()
    }
  }

  private func end() async {
    // A capture that is on its way to the disk belongs to the session; its outcome is waited for before the end.
    if let outcome = await storing?.value, case .saving(let captureID, _) = machine.phase {
      await handle(.stored(captureID: captureID, outcome))
    }
    await feed(.stopping)
    alarm.cancel()
    control.change { ($0.state, $0.sentence) = (.stopping, "") }
  }

  // MARK: - Events

  private func handle(_ event: DeviceEvent) async {
    await take(event)
    adoptModels()
  }

  /// Between sessions only: all pictures of a session are judged by the same models.
  private func adoptModels() {
    guard let waiting = waitingModels, !machine.isSessionOpen, capture == nil else { return }
    waitingModels = nil
    guard var next = waiting.take() else { return }
    next.limits = limits
    next.sentences = assessor.sentences
    assessor = next
    logger.notice("other models decide from now on")
  }

  private func take(_ event: DeviceEvent) async {
    switch event {
    case .presented(let reading): await present(tags.tag(await parts.fingerprints(reading.uid)), isThere: true)
    case .removed: await feed(.tagRemoved)
    case .ambiguousTags: await feed(.tagsAmbiguous)
    case .unreadableTag: await feed(.tagUnreadable)
    case .pressed(let press): await feed(.button(press))
    case .averaging(let captureID, let frames, let of):
      guard case .averaging(captureID, _) = machine.phase else { return }
      control.change { ($0.framesAveraged, $0.framesWanted) = (frames, of) }
      logger.info("averaging", metadata: ["frames": "\(frames)/\(of)"])
    case .thermogram(let captured):
      // A thermogram under another id belongs to a capture that was given up.
      guard case .averaging(captured.captureID, _) = machine.phase else { return }
      capture = Capture(captured: captured)
      await feed(.averaged(captureID: captured.captureID))
    case .live(let picture): await observe(picture)
    case .cameraLost(let reason):
      logger.error("camera lost", metadata: ["reason": "\(reason)"])
      await feed(.cameraLost)
      await alert(.cameraLost, reason)
    case .cameraReturned:
      logger.notice("camera returned")
      await feed(.cameraReturned)
    case .camera(let event): await report(event)
    case .readerLost(let reason):
      logger.error("reader lost", metadata: ["reason": "\(reason)"])
      control.change { $0.readerIsLost = true }
      showIdle()
      await alert(.readerLost, reason)
    case .readerReturned:
      logger.notice("reader returned")
      control.change { $0.readerIsLost = false }
      showIdle()
    case .panelFailed(let error):
      logger.warning("the front panel failed; going on without it", metadata: ["reason": "\(error)"])
    case .outbox(let notice): await note(notice)
    case .outboxTidied: await lookForRoom()
    case .stored(let captureID, let outcome): await stored(captureID, outcome)
    case .request(let request, let answer): answer(await fulfil(request))
    case .identified: if machine.isIdle { show(.ready) }
    case .policy(let policy): adopt(policy)
    case .models(let models): waitingModels = models
    case .timePassed: await feed(.timePassed)
    case .question(let answer): answer()
    }
  }

  private func adopt(_ policy: Policy) {
    machine.rules = policy.rules
    limits = policy.limits
    assessor.limits = policy.limits
    // What was told stays told: a reload is no reason to repeat it.
    alerts.rules = policy.alerts.rules
    // What a broken file says of nobody, the one before it still says.
    if policy.rosterProblem == nil || tags.roster == nil { tags = TagDirectory(roster: policy.roster) }
    if let change = parts.change, let withoutConsent = policy.roster?.withoutConsent {
      Task {
        await change.forget(withoutConsent)
        await self.tellDamagedBaselines()
      }
    }
    logger.notice("the session's settings were changed; they hold from the next session on")
    showIdle()
  }

  /// - Parameter isThere: the tag itself was presented; false where somebody at a terminal named the patient.
  private func present(_ tag: KnownTag, isThere: Bool) async {
    await lookForRoom()
    if let change = parts.change, let consent = tag.consent, !consent.contains(.capture) {
      Task {
        await change.forget([tag.reference] + (tag.former.map { [$0] } ?? []))
        await self.tellDamagedBaselines()
      }
    }
    if isThere, machine.takesWord(tag), let waiting = await parts.clinic.next(tag.references) {
      await feed(.answerWaiting(tag, waiting.word))
      // After the light has begun: a power cut between the two shows it once more, and loses none.
      await parts.clinic.shown(waiting.answers, time.now())
    } else {
      await feed(.tagPresented(tag))
      if !isThere { machine.forgetCaller() }
    }
    if tag.role == .patient, !tag.isEnrolled {
      await alert(.unknownTag, "a tag that the roster does not name was presented")
    }
  }

  /// Whether a whole session would not find room.
  private func lacksRoom() async -> Bool { await parts.store.isFull(captures: machine.rules.mostCaptures) }

  /// Room comes and goes without a word: delivery frees it, other messages take it. What is shown and what the next tag
  /// is told come from the same look. A session under way is not touched: it found its room at its beginning.
  private func lookForRoom() async {
    if !machine.isUnderWay { await feed(await lacksRoom() ? .storageFull : .storageFree) }
  }

  func sentence(for refusal: SessionRefusal) -> String {
    SessionInstruction.refused(refusal).sentence(in: assessor.sentences)
  }

  private func fulfil(_ request: SessionControl.Request) async -> SessionReply {
    lastRefusal = nil
    switch request {
    case .capture(let patient):
      guard !machine.isSessionOpen else { return .refused(reason: sentence(for: .sessionUnderWay)) }
      guard let tag = tags.patient(patient) else {
        let reason = tags.isStaff(patient) ? "the roster has it for staff" : "the roster does not have it"
        return .refused(reason: "\(patient) is not a patient's id: \(reason)")
      }
      await present(tag, isThere: false)
    case .awaitPatient(let patient): return await awaitTag(of: patient)
    case .hold(let hold): return await take(hold)
    case .release(let id): return await release(id)
    case .identify(let seconds): return identify(seconds: seconds)
    case .answer(let yes): await feed(.answer(yes))
    case .proceed: await feed(.button(.short))
    case .skipRest: await feed(.skipRest)
    case .cancel:
      guard let session = machine.sessionID else { return .refused(reason: "no session is open") }
      await feed(.cancelled)
      return .accepted(sessionID: session)
    }
    if let lastRefusal { return .refused(reason: sentence(for: lastRefusal)) }
    return machine.sessionID.map { .accepted(sessionID: $0) } ?? .refused(reason: "no session is open")
  }

  private func awaitTag(of patient: PatientReference) async -> SessionReply {
    guard let tag = tags.patient(patient) else {
      return .refused(reason: "that is no patient's id: the roster does not have it, or has it for staff")
    }
    await lookForRoom()
    await feed(.requested(tag))
    if let lastRefusal { return .refused(reason: sentence(for: lastRefusal)) }
    return .waiting(seconds: machine.rules.idleTimeoutSeconds)
  }

  private func identify(seconds: Int) -> SessionReply {
    guard machine.isIdle else { return .refused(reason: sentence(for: .sessionUnderWay)) }
    parts.show(.identify)
    Task { [events] in
      do { try await Task.sleep(for: .seconds(seconds)) } catch { return }
      events.send(.identified)
    }
    return .waiting(seconds: seconds)
  }

  private func note(_ notice: OutboxNotice) async {
    switch notice {
    case .noSpace: await feed(.storageFull)
    case .spaceRecovered: await lookForRoom()
    case .filling(let percent):
      await alert(
        .outboxFilling(percent: percent),
        "the outbox holds \(percent) % of its quota; at 95 % captures are refused")
    case .refused, .recovered, .mended, .closeFailed: break
    }
  }

  // MARK: - The machine

  /// Gives the machine one event, and those that its actions lead to at once.
  func feed(_ event: SessionEvent) async {
    let wasBusy = isBusy
    var pending = [event]
    while !pending.isEmpty {
      let next = pending.removeFirst()
      let (wasUnderWay, wasFull) = (machine.isUnderWay, machine.isStorageFull)
      let actions = machine.handle(next, atNanoseconds: time.now().monotonicNanoseconds, using: &generator)
      if !wasUnderWay, machine.isUnderWay {
        if let session = machine.sessionID, let patient = machine.patient {
          parts.audit.post(.sessionStart(session, patient: patient.text, signedBy: machine.signedBy?.text))
        }
        parts.show(.tagAccepted)
        parts.changed(.opened)
      }
      if !wasFull, machine.isStorageFull {
        parts.audit.post(.storageRefusal(.sessions, reason: "there is no room for a whole session"))
      }
      for action in actions { await perform(action, leadingTo: &pending) }
    }
    noteHolds(wasBusy: wasBusy)
    watch()
    publishSnapshot()
    showIdle()
    rearm()
  }

  /// Keeps the idle light true when the camera, the reader or the storage comes or goes.
  private func showIdle() {
    guard machine.isIdle else {
      idleSignalShown = nil
      return
    }
    if let idleSignalShown, idleSignalShown != idleSignal { show(.ready) }
    idleSignalShown = idleSignal
  }

  /// Asks the camera for live pictures where the phase wants them.
  private func watch() {
    let wanted: Int? =
      switch machine.phase {
      case .acclimatising: min(1000, parts.livePeriodMilliseconds)
      case .positioning, .averaging: parts.livePeriodMilliseconds
      default: nil
      }
    if case .acclimatising = machine.phase {} else { skinDrift.forget() }
    guard wanted != watching else { return }
    // A full mailbox means that the camera is stuck, which its own alarm tells; the next event asks again.
    if parts.camera.put(.watch(everyMilliseconds: wanted)) { watching = wanted }
  }

  /// Brings the snapshot up to date.
  private func publishSnapshot() {
    let (state, now) = (
      machine.isAwaited ? SessionSnapshot.State.awaitingPatient : SessionSnapshot.State(machine.phase), time.now()
    )
    control.change { snapshot in
      if snapshot.state != state || snapshot.sessionID != machine.sessionID { snapshot.since = now }
      if state == .idle || state == .positioning { snapshot.gates = [] }
      if state != .averaging { (snapshot.framesAveraged, snapshot.framesWanted) = (nil, nil) }
      snapshot.state = state
      snapshot.sessionID = machine.sessionID
      snapshot.patientRef = machine.patient?.text
      snapshot.view = machine.view
      snapshot.attempt = machine.sessionID == nil ? nil : machine.attempt
      snapshot.savedViews = machine.savedViews
      snapshot.cameraIsLost = machine.isCameraLost
      snapshot.storageIsFull = machine.isStorageFull
    }
  }

  /// Sets the alarm for the machine's next deadline, in place of the one before.
  private func rearm() {
    guard let deadline = machine.nextDeadlineNanoseconds else { return alarm.cancel() }
    alarm.set(deadline, now: time.now().monotonicNanoseconds) { [events] in events.send(.timePassed) }
  }
}

extension SessionMachine {
  /// A session is open and knows whose turn it is.
  fileprivate var isUnderWay: Bool {
    if case .awaitingPatient = phase { false } else { isSessionOpen }
  }
}

extension SessionSnapshot.State {
  init(_ phase: SessionPhase) {
    self =
      switch phase {
      case .idle: .idle
      case .maintenance, .held: .maintenance
      case .awaitingOperator: .awaitingOperator
      case .confirming: .confirming
      case .asking: .asking
      case .acclimatising: .acclimatising
      case .awaitingPatient: .awaitingPatient
      case .positioning: .positioning
      case .awaitingCamera: .awaitingCamera
      case .averaging: .averaging
      case .assessing: .assessing
      case .saving: .saving
      }
  }
}
