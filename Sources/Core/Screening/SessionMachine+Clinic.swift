import Identification
import Provenance

// What goes between a patient and the clinic: its word for them, and their wish to be called.
extension SessionMachine {
  /// Whether the clinic's word may be shown for this tag now: nobody's session is open, and the tag is one that would be
  /// taken. Within a session a tag is a gesture of it, and the word waits for the next presentation.
  package func takesWord(_ tag: KnownTag) -> Bool {
    phase == .idle && session == nil && tag.role == .patient && isTaken(tag)
  }

  /// Shows the clinic's word in the place of a session: the light of a session would cut it off, and what somebody has to
  /// think about comes before new pictures. The same tag once more begins one.
  mutating func tell(
    _ tag: KnownTag, _ word: ClinicWord, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    guard takesWord(tag) else { return present(tag, &step, using: &generator) }
    mayCall(tag, &step)
    step.show(.clinic(word))
  }

  /// From this presentation on a long press asks for a call, for a while.
  mutating func mayCall(_ tag: KnownTag, _ step: inout SessionStep) {
    caller = isTaken(tag) ? (tag.reference, step.now.after(seconds: SessionRules.callSeconds)) : nil
  }

  /// The session was begun at a terminal: no tag was there whose bearer could ask.
  package mutating func forgetCaller() { caller = nil }

  /// A tag that nobody has vouched for yet is nobody who could be called.
  private func isTaken(_ tag: KnownTag) -> Bool { tag.isEnrolled || rules.unknownTags == .accept }

  /// The button was held. Just after the patient's own tag, while nothing is asked and nothing is measured, it asks for a
  /// call and the session goes on; held again, and at every other time, it ends the session as ever.
  mutating func hold(_ step: inout SessionStep) {
    if let patient = askingPatient(at: step.now) {
      caller = nil
      step.actions.append(.requestCall(patient, sessionID: session?.id))
    } else if isAwaited {
      stopAwaiting(&step)
    } else {
      end(.cancelled, &step)
    }
  }

  private func askingPatient(at now: UInt64) -> PatientReference? {
    guard let caller, now <= caller.untilNanoseconds, session == nil || session?.patient == caller.reference else {
      return nil
    }
    switch phase {
    case .idle, .acclimatising, .positioning, .awaitingCamera: return caller.reference
    // A gesture that confirms something, a technician at work, or a picture that somebody may want to stop.
    case .maintenance, .held, .awaitingOperator, .confirming, .asking, .awaitingPatient, .averaging, .assessing,
      .saving:
      return nil
    }
  }
}
