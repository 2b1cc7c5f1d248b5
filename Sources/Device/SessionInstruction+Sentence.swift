import Screening

extension SessionInstruction {
  /// What a person at a terminal, or one who asks for the status, is told. One sentence or two, without a name.
  var sentence: String {
    switch self {
    case .ready: "Hold your tag to the reader."
    case .maintenance: "Maintenance: no captures until the technician's tag is presented again."
    case .refused(let refusal): refusal.sentence
    case .presentOperatorTag: "Now the operator's tag, please."
    case .confirmUnknownTag: "This tag is not on the list. Press the button, or present an operator's tag, to go on."
    case .question(let question): question.sentence + " Your tag says yes, the button says no."
    case .rest(let seconds):
      "Rest with your skin uncovered for \(seconds >= 120 ? "\((seconds + 59) / 60) minutes" : "\(seconds) seconds")."
    case .takePosition(let view): "Take your position: \(view.words)."
    case .holdStill(let view): "Hold still: \(view.words)."
    case .retake(let view, let reasons): (reasons + ["Once more: \(view.words)."]).joined(separator: " ")
    case .working: "Working."
    case .saved(let view): "Saved: \(view.words)."
    case .complete: "All done. Thank you."
    case .incomplete(let reason): "The session has ended early: \(reason.words). What was taken is saved."
    case .presentOwnTag: "Hold your own tag to the reader to go on, and no other."
    case .waitForCamera: "The camera does not answer; please wait."
    }
  }
}

extension SessionRefusal {
  var sentence: String {
    switch self {
    case .unreadableTag: "That tag could not be read; hold it to the reader once more."
    case .ambiguousTags: "There are two tags at the reader; hold only one to it."
    case .unknownTag: "This tag is not on the list; ask your clinic."
    case .noConsent: "There is no consent on the list for this tag; ask your clinic."
    case .sessionOfAnotherPatient:
      "That tag belongs to somebody else; the session before has ended. Tap again to begin."
    case .sessionUnderWay: "A session is under way; wait for its end."
    case .maintenance: "The device is in maintenance; try again later."
    case .cameraLost: "The camera does not answer; ask your technician."
    case .storageFull: "There is no room for another image; ask your technician."
    }
  }
}

extension CaptureView {
  /// As it is said to a person.
  var words: String {
    switch self {
    case .frontal: "facing the camera"
    case .leftOblique: "turned half to your right, left side towards the camera"
    case .rightOblique: "turned half to your left, right side towards the camera"
    case .leftLateral: "with your left side to the camera"
    case .rightLateral: "with your right side to the camera"
    }
  }
}

extension SessionSummary.IncompleteReason {
  var words: String {
    switch self {
    case .cancelled: "it was cancelled"
    case .abandoned: "nobody went on"
    case .anotherPatient: "another patient's tag was presented"
    case .cameraLost: "the camera did not answer"
    case .captureTimeout: "the camera delivered too few pictures"
    case .storageFull: "there is no room for another image"
    case .saveFailed: "the image could not be saved"
    case .interrupted: "the device was restarted"
    case .shutdown: "the device was stopped"
    }
  }
}
