/// What the device has to tell somebody without a screen. Each has a light pattern and, where it matters, a sound.
package enum PanelSignal: String, Sendable, CaseIterable {
  /// Ready for a tag.
  case ready
  /// Something the technician must see to; captures go on as far as they can.
  case degraded
  /// The tag was read.
  case tagAccepted = "tag-accepted"
  /// The tag was not accepted: not readable, somebody else's, or two at once. Once more, with the own tag alone.
  case tagRefused = "tag-refused"
  /// The tag is not on the list, or its patient did not agree: trying again does not help.
  case tagUnknown = "tag-unknown"
  /// Not now: maintenance, or somebody else's session.
  case notNow = "not-now"
  /// The technician keeps captures out.
  case maintenance
  /// A question: the patient's tag says yes, the button says no.
  case question
  /// An unknown tag waits for the button or an operator's tag.
  case confirm
  /// An operator's tag is wanted.
  case operatorTag = "operator-tag"
  /// The session goes on with its own patient's tag, and no other.
  case ownTag = "own-tag"
  /// Waiting for the skin to settle.
  case acclimatising
  /// Take the position for the next view: facing the camera.
  case position
  case positionLeftOblique = "position-left-oblique"
  case positionRightOblique = "position-right-oblique"
  case positionLeftLateral = "position-left-lateral"
  case positionRightLateral = "position-right-lateral"
  /// Hold still: the image is being taken.
  case capturing
  /// The view was not good enough; its position follows once more.
  case retake
  /// Working out the verdict and saving.
  case working
  /// The capture is on disk.
  case saved
  /// The capture is on disk, and no attempt at it was good enough to be assessed.
  case notAssessable = "not-assessable"
  /// The session was closed before it was complete; some of it is saved.
  case incomplete
  /// The session was closed and nothing of it is saved.
  case nothingSaved = "nothing-saved"
  /// Somebody far away wants this device to be found.
  case identify
  /// The clinic has answered: one light for every answer there can be.
  case askClinic = "ask-clinic"
  /// The clinic asks for another capture.
  case pleaseRepeat = "please-repeat"
  /// It is written down that the patient asks to be called.
  case callNoted = "call-noted"
  /// There is no room for another capture.
  case full
  /// No capture is possible: camera lost, configuration invalid.
  case unable

  /// What a person must see at once: it cuts off a pattern that is being told to its end. A question counts from the
  /// moment when it is asked, so it has to be seen from then on.
  package var isUrgent: Bool {
    switch self {
    case .capturing, .unable, .full, .question, .confirm, .operatorTag, .ownTag: true
    default: false
    }
  }

  /// Told once, and what is to be done follows it, even where a configuration lets its pattern repeat.
  package var isAnnouncement: Bool { self == .retake }
}

/// A light and sound pattern: steps that are shown one after the other, once or for ever.
package struct PanelPattern: Sendable, Hashable {
  package static let stepsMaximum = 32
  package struct Step: Sendable, Hashable {
    package var outputs: PanelOutputs
    /// 20...10_000
    package var milliseconds: Int

    package init(_ outputs: PanelOutputs, milliseconds: Int) {
      self.outputs = outputs
      self.milliseconds = milliseconds
    }
  }

  /// 1...32 steps.
  package let steps: [Step]
  /// Shown over and over, until another pattern is shown; else once, after which the panel is dark.
  package let repeats: Bool

  /// nil when the number of steps or a step's length is out of range.
  package init?(steps: [Step], repeats: Bool) {
    guard (1...Self.stepsMaximum).contains(steps.count), steps.allSatisfy({ (20...10_000).contains($0.milliseconds) })
    else {
      return nil
    }
    self.steps = steps
    self.repeats = repeats
  }

  /// The pattern written as text: steps of colour letters and milliseconds, `*` at the end to repeat.
  ///
  ///     "G200 -800 *"       a short green blink every second
  ///     "RGBz100 -100 z50"  white with the buzzer, dark, a short beep
  ///
  /// Letters: `R` red, `G` green, `B` blue, `z` buzzer, `-` everything off. This is how the configuration writes it.
  package init?(_ text: String) {
    var words = text.split(separator: " ")
    let repeats = words.last == "*"
    if repeats { words.removeLast() }
    var steps: [Step] = []
    for word in words {
      guard let step = Step(word) else { return nil }
      steps.append(step)
    }
    self.init(steps: steps, repeats: repeats)
  }

  /// The pattern as the configuration writes it: `init(_:)` makes the same pattern of it.
  package var text: String {
    (steps.map(\.text) + (repeats ? ["*"] : [])).joined(separator: " ")
  }

  /// What to show `milliseconds` after the start, or nil when a pattern that does not repeat is over.
  package func outputs(atMilliseconds milliseconds: Int) -> PanelOutputs? {
    step(atMilliseconds: milliseconds)?.outputs
  }

  /// How long what is shown at `milliseconds` stays, or nil when the pattern is over.
  package func millisecondsToNextStep(atMilliseconds milliseconds: Int) -> Int? {
    step(atMilliseconds: milliseconds)?.remaining
  }

  /// How long it takes once.
  package var cycleMilliseconds: Int { steps.reduce(0) { $0 + $1.milliseconds } }

  private func step(atMilliseconds milliseconds: Int) -> (outputs: PanelOutputs, remaining: Int)? {
    let total = cycleMilliseconds
    var rest = max(milliseconds, 0)
    if repeats { rest %= total }
    for step in steps {
      if rest < step.milliseconds { return (step.outputs, step.milliseconds - rest) }
      rest -= step.milliseconds
    }
    return nil
  }
}

extension PanelPattern.Step {
  fileprivate init?(_ word: Substring) {
    let letters = word.prefix { !$0.isASCII || !$0.isNumber }
    guard !letters.isEmpty, Set(letters).count == letters.count, let milliseconds = Int(word.dropFirst(letters.count))
    else { return nil }
    var outputs = PanelOutputs.dark
    for letter in letters {
      switch letter {
      case "R": outputs.red = true
      case "G": outputs.green = true
      case "B": outputs.blue = true
      case "z": outputs.buzzer = true
      case "-" where letters.count == 1: break
      default: return nil
      }
    }
    self.init(outputs, milliseconds: milliseconds)
  }

  fileprivate var text: String {
    let lit = [("R", outputs.red), ("G", outputs.green), ("B", outputs.blue), ("z", outputs.buzzer)].filter(\.1)
    return (lit.isEmpty ? "-" : lit.map(\.0).joined()) + "\(milliseconds)"
  }
}

/// Which pattern says what.
package struct PanelTable: Sendable, Equatable {
  private var patterns: [PanelSignal: PanelPattern]

  /// The patterns that ship. No two have the same rhythm of light and dark, so they differ without colour vision; none
  /// is told by sound alone, so they differ without hearing. A test holds that each of them is a pattern.
  package static let standard = PanelTable(
    patterns: [
      .ready: "G100 -2900 *",
      .degraded: "R100 -100 G100 -2700 *",
      .tagAccepted: "GBz150 -100 GBz150 -600",
      .tagRefused: "Rz80 -80 Rz80 -80 Rz80 -80 Rz80 -600",
      .tagUnknown: "Rz80 -80 Rz80 -80 R800 -600",
      .notNow: "Rz500 -600",
      .maintenance: "GB1000 -200 GB200 -600 *",
      .question: "RBz150 -150 RB150 -150 RB150 -1200 *",
      .confirm: "RBz600 -200 RB150 -1200 *",
      .operatorTag: "RBz150 -200 RB600 -1200 *",
      .ownTag: "RBz150 -150 RB150 -150 RB150 -150 RB150 -1200 *",
      .acclimatising: "B1500 -1500 *",
      .position: "RGB400 -400 *",
      .positionLeftOblique: "RGB300 -200 RGB300 -1000 *",
      .positionRightOblique: "RGB300 -200 RGB300 -200 RGB300 -1000 *",
      .positionLeftLateral: "RGB300 -200 RGB300 -200 RGB300 -200 RGB300 -1000 *",
      .positionRightLateral: "RGB300 -200 RGB300 -200 RGB300 -200 RGB300 -200 RGB300 -1000 *",
      .capturing: "RGB10000 *",
      .retake: "RGz300 -150 RG300 -750",
      .working: "B100 -100 *",
      .saved: "Gz400 -100 Gz400 -100 G2000",
      .notAssessable: "RGz700 -150 RGz700 -150 RG1500",
      .incomplete: "RGz600 -200 RG200 -200 RG200 -1000",
      .nothingSaved: "Rz600 -200 R200 -200 R200 -200 R200 -1000",
      .identify: "R500 -500 G300 -300 B100 -100 *",
      .askClinic: "GBz1000 -300 GB1000 -300 GB1000 -1000",
      .pleaseRepeat: "GBz1000 -300 GB200 -200 GB200 -200 GB200 -1000",
      .callNoted: "GBz200 -150 GB200 -150 GB800 -600",
      .full: "R200 -200 R200 -1400 *",
      .unable: "R1000 -200 *",
    ].compactMapValues { PanelPattern($0) })

  private init(patterns: [PanelSignal: PanelPattern]) {
    self.patterns = patterns
  }

  /// The pattern of a signal; nil only if the standard table were broken, which a test excludes.
  package subscript(_ signal: PanelSignal) -> PanelPattern? {
    get { patterns[signal] }
    set { patterns[signal] = newValue }
  }

  /// Pairs of signals that could be mistaken for one another by somebody who sees no colours and hears nothing: their
  /// sequences of light and dark are the same.
  package var indistinguishableSignals: [(PanelSignal, PanelSignal)] {
    var pairs: [(PanelSignal, PanelSignal)] = []
    for (index, first) in PanelSignal.allCases.enumerated() {
      for second in PanelSignal.allCases.dropFirst(index + 1) {
        if let left = patterns[first], let right = patterns[second], left.rhythm == right.rhythm {
          pairs.append((first, second))
        }
      }
    }
    return pairs
  }
}

extension PanelPattern {
  /// The pattern in grey and silence: lit and dark spans with equal neighbours joined.
  fileprivate var rhythm: [Int] {
    var spans: [(lit: Bool, milliseconds: Int)] = []
    for step in steps {
      let lit = step.outputs.red || step.outputs.green || step.outputs.blue
      if let last = spans.last, last.lit == lit {
        spans[spans.count - 1].milliseconds += step.milliseconds
      } else {
        spans.append((lit, step.milliseconds))
      }
    }
    return spans.map { $0.lit ? $0.milliseconds : -$0.milliseconds } + (repeats ? [] : [0])
  }
}
