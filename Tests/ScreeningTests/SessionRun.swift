import Identification
import Provenance
import Screening

/// A session machine in simulated time, with its actions as short words that a table can hold.
struct SessionRun {
  var machine: SessionMachine
  private(set) var nowNanoseconds: UInt64 = 1_000_000_000
  private(set) var captureID: RandomIdentifier?
  private(set) var summaries: [SessionSummary] = []
  private(set) var attributions: [CaptureAttribution] = []
  private(set) var checkpoint: SessionCheckpoint?
  private var generator = CountingGenerator()

  static let ann = KnownTag(reference: reference("ann"))
  static let bea = KnownTag(reference: reference("bea"))
  static let nurse = KnownTag(reference: reference("nurse"), role: .operator)
  static let fitter = KnownTag(reference: reference("fitter"), role: .technician)
  static let stranger = KnownTag(reference: reference("stranger"), isEnrolled: false)

  static let someID = RandomIdentifier("00000000-0000-4000-8000-000000000000") ?? never()

  static func reference(_ text: String) -> PatientReference {
    guard let reference = PatientReference(text) else { preconditionFailure("a test's reference must be valid") }
    return reference
  }

  init(_ change: (inout SessionRules) -> Void = { _ in }) {
    var rules = SessionRules()
    rules.acclimatisationSeconds = 0
    rules.positionSeconds = 5
    change(&rules)
    machine = SessionMachine(rules: rules)
  }

  /// What happens, in a test's words; `averaged`, `assessed` and the like mean the capture under way.
  enum Happening {
    case tag(KnownTag)
    case request(KnownTag)
    case word(KnownTag, ClinicWord)
    case stop
    case removed, ambiguous, unreadable, press, hold, yes, no, skip, drift(Double)
    case averaged, passed, failed(QualityGate.Code), saved, saveFailed, diskFull
    case cameraLost, cameraReturned, storageFull, storageFree, stopping
    case found(SessionCheckpoint, age: Int?)
    case updateHeld(seconds: Int), updateOver
    case pass
  }

  /// Lets `seconds` pass, deadline by deadline, then lets `happening` happen.
  mutating func after(_ seconds: Int, _ happening: Happening = .pass) -> [String] {
    let target = nowNanoseconds + UInt64(seconds) * 1_000_000_000
    var words: [String] = []
    while let deadline = machine.nextDeadlineNanoseconds, deadline <= target {
      nowNanoseconds = max(deadline, nowNanoseconds)
      words += perform(.timePassed)
    }
    nowNanoseconds = target
    if case .pass = happening { return words }
    return words + perform(event(happening))
  }

  /// The same, the actions themselves.
  mutating func actions(after seconds: Int, _ happening: Happening) -> [SessionAction] {
    let target = nowNanoseconds + UInt64(seconds) * 1_000_000_000
    var actions: [SessionAction] = []
    while let deadline = machine.nextDeadlineNanoseconds, deadline <= target {
      nowNanoseconds = max(deadline, nowNanoseconds)
      actions += carryOut(.timePassed)
    }
    nowNanoseconds = target
    if case .pass = happening { return actions }
    return actions + carryOut(event(happening))
  }

  mutating func perform(_ event: SessionEvent) -> [String] { carryOut(event).map(Self.word) }

  private mutating func carryOut(_ event: SessionEvent) -> [SessionAction] {
    let actions = machine.handle(event, atNanoseconds: nowNanoseconds, using: &generator)
    for action in actions {
      switch action {
      case .startAveraging(let id, _, _): captureID = id
      case .close(let summary):
        summaries.append(summary)
        checkpoint = nil
      case .save(let attribution): attributions.append(attribution)
      case .checkpoint(let written): checkpoint = written
      default: break
      }
    }
    return actions
  }

  private func event(_ happening: Happening) -> SessionEvent {
    let id = captureID ?? Self.someID
    return switch happening {
    case .tag(let tag): .tagPresented(tag)
    case .request(let tag): .requested(tag)
    case .word(let tag, let word): .answerWaiting(tag, word)
    case .stop: .cancelled
    case .removed: .tagRemoved
    case .ambiguous: .tagsAmbiguous
    case .unreadable: .tagUnreadable
    case .press: .button(.short)
    case .hold: .button(.long)
    case .yes: .answer(true)
    case .no: .answer(false)
    case .skip: .skipRest
    case .drift(let value): .skinDrift(celsiusPerMinute: value)
    case .averaged: .averaged(captureID: id)
    case .passed: .assessed(captureID: id, gates: [])
    case .failed(let code): .assessed(captureID: id, gates: [Self.failedGate(code)])
    case .saved: .saved(captureID: id)
    case .saveFailed: .saveFailed(captureID: id, storageFull: false)
    case .diskFull: .saveFailed(captureID: id, storageFull: true)
    case .cameraLost: .cameraLost
    case .cameraReturned: .cameraReturned
    case .storageFull: .storageFull
    case .storageFree: .storageFree
    case .stopping: .stopping
    case .found(let checkpoint, let age): .interruptedSessionFound(checkpoint, ageSeconds: age)
    case .updateHeld(let seconds): .held(seconds: seconds)
    case .updateOver: .released
    case .pass: .timePassed
    }
  }

  private static func never() -> RandomIdentifier { preconditionFailure("a constant UUID is valid") }

  static func failedGate(_ code: QualityGate.Code) -> QualityGate {
    QualityGate(code: code, value: 2, limit: 1, unit: "1", severity: .hard, passed: false, sentence: code.rawValue)
  }

  /// One word an action.
  static func word(_ action: SessionAction) -> String {
    switch action {
    case .show(let instruction): "show \(word(instruction))"
    case .checkpoint(let written): "checkpoint \(written.patient) \(written.viewIndex).\(written.attempt)"
    case .startAveraging(_, let view, let attempt): "average \(view.rawValue) \(attempt)"
    case .cancelAveraging: "cancel"
    case .assess(_, let missing): "assess \(missing)"
    case .save(let attribution): "save \(attribution.patient) \(attribution.view.rawValue) \(attribution.attempt)"
    case .close(let summary):
      switch summary.outcome {
      case .complete: "close complete"
      case .incomplete(let reason): "close \(reason.rawValue)"
      }
    case .refuse(let refusal): "refuse \(refusal.rawValue)"
    case .openMaintenance(let technician): "maintenance \(technician)"
    case .closeMaintenance: "maintenance over"
    case .requestCall(let patient, let session): "call \(patient)\(session == nil ? "" : " in session")"
    }
  }

  private static func word(_ instruction: SessionInstruction) -> String {
    switch instruction {
    case .ready: "ready"
    case .maintenance: "maintenance"
    case .refused: "refused"
    case .presentOperatorTag: "operator"
    case .confirmUnknownTag: "confirm"
    case .question(let question): "question \(question.code)"
    case .rest(let seconds): "rest \(seconds)"
    case .takePosition(let view): "position \(view.rawValue)"
    case .holdStill: "still"
    case .retake(_, let reasons): "retake \(reasons.joined(separator: "+"))"
    case .working: "working"
    case .saved(let view): "saved \(view.rawValue)"
    case .savedNotAssessable(let view): "saved-not-assessable \(view.rawValue)"
    case .complete: "complete"
    case .completeNotAssessable: "complete-not-assessable"
    case .incomplete: "incomplete"
    case .presentOwnTag: "own-tag"
    case .waitForCamera: "wait-camera"
    case .clinic(let word): "clinic \(word.rawValue)"
    case .callNoted: "call-noted"
    case .callFailed: "call-failed"
    }
  }
}

/// Numbers that differ, so that ids do.
struct CountingGenerator: RandomNumberGenerator {
  private var count: UInt64 = 0

  mutating func next() -> UInt64 {
    count += 1
    return count &* 0x9E37_79B9_7F4A_7C15
  }
}
