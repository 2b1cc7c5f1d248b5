// What a session says. Whole sentences: another language cannot put one together from English halves.
extension SentenceBook {
  static let englishSessionSentences: [String: String] = [
    "session.ready": "Hold your tag to the reader.",
    "session.maintenance": "Maintenance: no captures until the technician's tag is presented again.",
    "session.present-operator-tag": "Now the operator's tag, please.",
    "session.confirm-unknown-tag":
      "This tag is not on the list. Press the button, or present an operator's tag, to go on.",
    "session.question": "Your tag says yes, the button says no.",
    "session.rest.minutes": "Rest with your skin uncovered for {value} minutes.",
    "session.rest.seconds": "Rest with your skin uncovered for {value} seconds.",
    "session.take-position.frontal": "Take your position: facing the camera.",
    "session.take-position.left-oblique":
      "Take your position: turned half to your right, left side towards the camera.",
    "session.take-position.right-oblique":
      "Take your position: turned half to your left, right side towards the camera.",
    "session.take-position.left-lateral": "Take your position: with your left side to the camera.",
    "session.take-position.right-lateral": "Take your position: with your right side to the camera.",
    "session.hold-still.frontal": "Hold still: facing the camera.",
    "session.hold-still.left-oblique": "Hold still: turned half to your right, left side towards the camera.",
    "session.hold-still.right-oblique": "Hold still: turned half to your left, right side towards the camera.",
    "session.hold-still.left-lateral": "Hold still: with your left side to the camera.",
    "session.hold-still.right-lateral": "Hold still: with your right side to the camera.",
    "session.retake.frontal": "Once more: facing the camera.",
    "session.retake.left-oblique": "Once more: turned half to your right, left side towards the camera.",
    "session.retake.right-oblique": "Once more: turned half to your left, right side towards the camera.",
    "session.retake.left-lateral": "Once more: with your left side to the camera.",
    "session.retake.right-lateral": "Once more: with your right side to the camera.",
    "session.working": "Working.",
    "session.saved.frontal": "Saved: facing the camera.",
    "session.saved.left-oblique": "Saved: turned half to your right, left side towards the camera.",
    "session.saved.right-oblique": "Saved: turned half to your left, right side towards the camera.",
    "session.saved.left-lateral": "Saved: with your left side to the camera.",
    "session.saved.right-lateral": "Saved: with your right side to the camera.",
    "session.complete": "All done. Thank you.",
    "session.incomplete.cancelled": "The session has ended early: it was cancelled. What was taken is saved.",
    "session.incomplete.abandoned": "The session has ended early: nobody went on. What was taken is saved.",
    "session.incomplete.another-patient":
      "The session has ended early: another patient's tag was presented. What was taken is saved.",
    "session.incomplete.camera-lost":
      "The session has ended early: the camera did not answer. What was taken is saved.",
    "session.incomplete.capture-timeout":
      "The session has ended early: the camera delivered too few pictures. What was taken is saved.",
    "session.incomplete.storage-full":
      "The session has ended early: there is no room for another image. What was taken is saved.",
    "session.incomplete.save-failed":
      "The session has ended early: the image could not be saved. What was taken is saved.",
    "session.incomplete.interrupted": "The session has ended early: the device was restarted. What was taken is saved.",
    "session.incomplete.shutdown": "The session has ended early: the device was stopped. What was taken is saved.",
    "session.present-own-tag": "Hold your own tag to the reader to go on, and no other.",
    "session.wait-for-camera": "The camera does not answer; please wait.",
    "session.refused.unreadable-tag": "That tag could not be read; hold it to the reader once more.",
    "session.refused.ambiguous-tags": "There are two tags at the reader; hold only one to it.",
    "session.refused.unknown-tag": "This tag is not on the list; ask your clinic.",
    "session.refused.no-consent": "There is no consent on the list for this tag; ask your clinic.",
    "session.refused.session-of-another-patient":
      "That tag belongs to somebody else; the session before has ended. Tap again to begin.",
    "session.refused.session-under-way": "A session is under way; wait for its end.",
    "session.refused.maintenance": "The device is in maintenance; try again later.",
    "session.refused.camera-lost": "The camera does not answer; ask your technician.",
    "session.refused.storage-full": "There is no room for another image; ask your technician.",
  ]
}
