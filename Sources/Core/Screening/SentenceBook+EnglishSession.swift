// What a session says. Whole sentences: another language cannot put one together from English halves.
extension SentenceBook {
  static let englishSessionSentences: [String: String] = [
    "session.ready": "Hold your tag to the reader.",
    "session.maintenance":
      "Maintenance: no pictures can be taken until the technician's tag is held to the reader again.",
    "session.present-operator-tag": "Please hold the operator's tag to the reader.",
    "session.confirm-unknown-tag":
      "This tag is not on the list. To go on, press the button or hold an operator's tag to the reader.",
    "session.question": "Hold your tag to the reader for yes. Press the button for no.",
    "session.rest.minutes": "Rest with your skin uncovered for {value} minutes.",
    "session.rest.seconds": "Rest with your skin uncovered for {value} seconds.",
    "session.take-position.frontal": "Take your position: facing the camera. Raise your arms, hands on your head.",
    "session.take-position.left-oblique":
      "Take your position: turned half to your right, left side towards the camera. Raise your arms, hands on your head.",
    "session.take-position.right-oblique":
      "Take your position: turned half to your left, right side towards the camera. Raise your arms, hands on your head.",
    "session.take-position.left-lateral":
      "Take your position: with your left side to the camera. Raise your arms, hands on your head.",
    "session.take-position.right-lateral":
      "Take your position: with your right side to the camera. Raise your arms, hands on your head.",
    "session.hold-still.frontal": "Hold still: facing the camera.",
    "session.hold-still.left-oblique": "Hold still: turned half to your right, left side towards the camera.",
    "session.hold-still.right-oblique": "Hold still: turned half to your left, right side towards the camera.",
    "session.hold-still.left-lateral": "Hold still: with your left side to the camera.",
    "session.hold-still.right-lateral": "Hold still: with your right side to the camera.",
    "session.retake.frontal": "Once more: facing the camera. Raise your arms, hands on your head.",
    "session.retake.left-oblique":
      "Once more: turned half to your right, left side towards the camera. Raise your arms, hands on your head.",
    "session.retake.right-oblique":
      "Once more: turned half to your left, right side towards the camera. Raise your arms, hands on your head.",
    "session.retake.left-lateral": "Once more: with your left side to the camera. Raise your arms, hands on your head.",
    "session.retake.right-lateral":
      "Once more: with your right side to the camera. Raise your arms, hands on your head.",
    "session.working": "Please wait: the picture is being worked out and saved.",
    "session.saved.frontal": "Saved: facing the camera.",
    "session.saved.left-oblique": "Saved: turned half to your right, left side towards the camera.",
    "session.saved.right-oblique": "Saved: turned half to your left, right side towards the camera.",
    "session.saved.left-lateral": "Saved: with your left side to the camera.",
    "session.saved.right-lateral": "Saved: with your right side to the camera.",
    "session.complete": "All done. Thank you.",
    "session.incomplete.cancelled": "The session has ended early: it was cancelled.",
    "session.incomplete.abandoned": "The session has ended early: nobody answered in time.",
    "session.incomplete.another-patient":
      "The session has ended early: another patient's tag was used.",
    "session.incomplete.camera-lost":
      "The session has ended early: the camera did not answer.",
    "session.incomplete.capture-timeout":
      "The session has ended early: the camera was too slow.",
    "session.incomplete.storage-full":
      "The session has ended early: the device's memory is full. Tell your clinic.",
    "session.incomplete.save-failed":
      "The session has ended early: a picture could not be saved. Tell your clinic.",
    "session.incomplete.interrupted": "The session has ended early: the device was restarted.",
    "session.incomplete.shutdown": "The session has ended early: the device was stopped.",
    "session.complete-not-assessable":
      "All pictures are taken and saved, but not all of them can be assessed. Tell your clinic.",
    "session.kept.nothing": "No picture was saved.",
    "session.kept.one": "The pictures of one view are saved.",
    "session.kept.some": "The pictures of {value} views are saved.",
    "session.present-own-tag": "To go on, hold your own tag to the reader, and no other.",
    "session.wait-for-camera": "The camera does not answer. Please wait.",
    "session.clinic.answered":
      "There is an answer for you: ask your clinic. For new pictures hold your tag to the reader again.",
    "session.clinic.repeat-requested":
      "Your clinic asks you for new pictures. Hold your tag to the reader again to begin.",
    "session.call-noted": "Your clinic will be told that you ask to be called.",
    "session.call-failed": "It could not be saved that you ask to be called. Try again, or tell your clinic.",
    "session.refused.unreadable-tag": "That tag could not be read. Hold it to the reader once more.",
    "session.refused.ambiguous-tags": "There are two tags at the reader. Hold only one to it.",
    "session.refused.unknown-tag": "This tag is not on the list. Ask your clinic.",
    "session.refused.no-consent": "The list has no consent for this tag. Ask your clinic.",
    "session.refused.session-of-another-patient":
      "A different tag was used, so the earlier session was closed. Tap again to start.",
    "session.refused.session-under-way": "A session is under way. Wait until it has ended.",
    "session.refused.maintenance": "The device is in maintenance. Try again later.",
    "session.refused.camera-lost": "The camera does not answer. Tell your technician.",
    "session.refused.storage-full": "The device's memory is full: no picture can be taken now. Tell your clinic.",
  ]
}
