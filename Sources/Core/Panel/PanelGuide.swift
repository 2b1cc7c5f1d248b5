/// What a signal looks like, what it means and what to do: the text of `Docs/lights.md` and of `thermograph panel`.
package struct PanelGuide: Sendable, Hashable {
  package var seen: String
  package var means: String
  package var whatToDo: String

  init(_ seen: String, _ means: String, _ whatToDo: String) {
    self.seen = seen
    self.means = means
    self.whatToDo = whatToDo
  }
}

extension PanelSignal {
  /// The pattern's look is that of the shipped table.
  package var guide: PanelGuide {
    switch self {
    case .ready, .degraded, .maintenance, .identify, .full, .unable: idleGuide
    case .tagAccepted, .tagRefused, .tagUnknown, .notNow, .question, .confirm, .operatorTag, .ownTag: tagGuide
    case .acclimatising, .position, .positionLeftOblique, .positionRightOblique, .positionLeftLateral,
      .positionRightLateral, .capturing, .retake, .working:
      captureGuide
    case .saved, .notAssessable, .incomplete, .nothingSaved: endGuide
    case .askClinic, .pleaseRepeat, .callNoted: clinicGuide
    }
  }

  private var idleGuide: PanelGuide {
    switch self {
    case .degraded:
      .init(
        "a short red and a short green blink every three seconds",
        "pictures can be taken, but a technician should look",
        "hold the tag to the reader; tell the clinic, `thermograph status` says why")
    case .maintenance:
      .init(
        "a long and a short turquoise blink", "the technician is at work, or the program is being updated",
        "wait; the technician's tag ends it, an update ends by itself")
    case .identify:
      .init(
        "red, green and blue, each shorter than the one before", "somebody far away wants this device to be found",
        "nothing: hold the tag to the reader as always")
    case .full:
      .init(
        "two red blinks, then a pause", "the memory is full: no picture can be saved",
        "tell the clinic; what waits has to be delivered or exported")
    case .unable:
      .init(
        "red, with a short gap each second", "no picture can be taken: the camera or the configuration failed",
        "tell the clinic")
    default:
      .init("a short green blink every three seconds", "waiting for a tag", "hold the tag to the reader")
    }
  }

  private var tagGuide: PanelGuide {
    switch self {
    case .tagRefused:
      .init(
        "four quick red blinks, four beeps", "the tag could not be read, was not yours, or two were there at once",
        "hold only your own tag to the reader, once more")
    case .tagUnknown:
      .init(
        "two quick and a long red blink, two beeps", "the tag is not on the list, or the list has no consent for it",
        "ask the clinic; the same tag again does not help")
    case .notNow:
      .init("one long red blink with a beep", "not now: a session or maintenance is under way", "wait and try later")
    case .question:
      .init(
        "three violet blinks, then a pause; the first beeps", "a question waits for its answer",
        "yes: hold your own tag to the reader; no: press the button")
    case .confirm:
      .init(
        "a long violet blink with a beep, then a short one", "the tag is not on the list",
        "press the button, or hold an operator's tag to the reader")
    case .operatorTag:
      .init(
        "a short violet blink with a beep, then a long one", "an operator has to sign",
        "hold the operator's tag to the reader")
    case .ownTag:
      .init(
        "four violet blinks, then a pause; the first beeps", "the session waits for its own patient",
        "hold your own tag to the reader, and no other")
    default:
      .init("two turquoise blinks, two beeps", "the tag was accepted", "wait for the next signal")
    }
  }

  private var captureGuide: PanelGuide {
    switch self {
    case .position:
      .init("even white blinking", "the next picture: facing the camera", "face the camera")
    case .positionLeftOblique:
      .init(
        "two white blinks, then a pause", "the next picture: left side, half turned",
        "turn half to your right, left side towards the camera")
    case .positionRightOblique:
      .init(
        "three white blinks, then a pause", "the next picture: right side, half turned",
        "turn half to your left, right side towards the camera")
    case .positionLeftLateral:
      .init("four white blinks, then a pause", "the next picture: left side", "turn your left side to the camera")
    case .positionRightLateral:
      .init("five white blinks, then a pause", "the next picture: right side", "turn your right side to the camera")
    case .capturing: .init("steady white", "the picture is being taken", "hold still until it ends")
    case .retake:
      .init(
        "a yellow blink with a beep, another without", "the picture was not good enough",
        "take the position once more; its blinking follows")
    case .working:
      .init(
        "quick blue flicker", "the picture is worked out and saved, or the camera is waited for", "wait a moment")
    default:
      .init(
        "slow blue, on and off", "the skin gets used to the room", "sit with the skin uncovered, do not touch it")
    }
  }

  private var clinicGuide: PanelGuide {
    switch self {
    case .pleaseRepeat:
      .init(
        "a long turquoise blink with a beep, three short ones", "the clinic asks you for new pictures",
        "hold the tag to the reader once more: a session begins")
    case .callNoted:
      .init(
        "two short and a long turquoise blink, a beep", "it is written down that you ask to be called",
        "nothing: the clinic is told when the device has a network")
    default:
      .init(
        "three long turquoise blinks, a beep",
        "the clinic has an answer for you; this light is the same for every answer",
        "ask the clinic; for new pictures hold the tag to the reader once more")
    }
  }

  private var endGuide: PanelGuide {
    switch self {
    case .notAssessable:
      .init(
        "two long yellow blinks with beeps, then yellow", "the picture is saved, but it cannot be assessed",
        "tell the clinic, if this is the last one")
    case .incomplete:
      .init(
        "a long yellow blink with a beep, two short ones", "the session ended early; some pictures are saved",
        "begin again with the tag, if you like")
    case .nothingSaved:
      .init(
        "a long red blink with a beep, three short ones", "the session ended early and nothing is saved",
        "begin again with the tag; tell the clinic if it happens again")
    default:
      .init(
        "two green blinks with beeps, then two seconds green", "the picture is on the card",
        "done, or the next position follows")
    }
  }
}

extension PanelTable {
  /// The rows of `Docs/lights.md`, in the order of the signals.
  package var markdown: String {
    var lines = ["| seen | means | what to do | pattern |", "|---|---|---|---|"]
    for signal in PanelSignal.allCases {
      let guide = signal.guide
      let pattern = self[signal]?.text ?? ""
      lines.append("| \(guide.seen) | `\(signal.rawValue)`: \(guide.means) | \(guide.whatToDo) | `\(pattern)` |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
