import Identification

/// How a guided session runs. Fixed for a session when it opens; a change of configuration touches the next one.
package struct SessionRules: Sendable, Equatable {
  /// A question before the rest, answered by tag (yes), button (no) or at the terminal.
  package struct Question: Sendable, Hashable {
    /// `[a-z0-9-]{1,36}`, as it stands in the record.
    package var code: String
    package var sentence: String

    package init(code: String, sentence: String) {
      self.code = code
      self.sentence = sentence
    }
  }

  /// What begins a view.
  package enum ViewStart: String, Sendable, CaseIterable {
    /// `positionSeconds` after the sign to take the position; the tag or the button begins it sooner.
    case timer
    /// The button, or the patient's own tag.
    case sign
  }

  /// At most 8; a no is recorded, not judged.
  package var questions: [Question] = []
  /// Rest before the first view, 0...3600 s; 0 leaves it out.
  package var acclimatisationSeconds = 600
  /// With a measured drift below the limit, the rest may end this early, 0...3600 s.
  package var acclimatisationMinimumSeconds = 300
  /// With a drift above the limit it is prolonged up to this, 0...7200 s.
  package var acclimatisationMaximumSeconds = 900
  /// Change of skin temperature that counts as settled, degC a minute.
  package var skinDriftMaximumCelsiusPerMinute = 0.1
  /// 1...5, each once, in the order of capture.
  package var views: [CaptureView] = [.frontal]
  package var viewStart = ViewStart.timer
  /// To take the position, 0...120 s.
  package var positionSeconds = 5
  /// Further attempts at a view whose gates a patient can correct, 0...5.
  package var retakesPerView = 2
  /// For anything that waits for a person, 10...3600 s; then the session is closed as incomplete.
  package var idleTimeoutSeconds = 300
  /// For the frames of one view, and for a lost camera to come back, 5...600 s.
  package var captureTimeoutSeconds = 60
  /// For the assessment and for the disk, each, 1...600 s.
  package var saveTimeoutSeconds = 60
  /// How long after a restart the patient's tag takes an interrupted session up again, 0...86_400 s.
  package var resumeSeconds = 900
  /// How long a technician's tag keeps captures out, 60...86_400 s.
  package var maintenanceSeconds = 900
  package var unknownTags = UnknownTagPolicy.accept
  /// What a patient of the roster must have agreed to; else the tag is refused.
  package var requiredConsent: Set<Roster.Consent> = [.capture]
  /// A session needs an operator's tag beside the patient's.
  package var requiresOperator = false
  /// The patient's tag has to stay at the reader; else a tap is enough.
  package var tagMustStay = false

  package init() {}

  /// Captures that a whole session may store, retakes included.
  package var mostCaptures: Int { max(views.count, 1) * (1 + max(retakesPerView, 0)) }

  /// A tag or a press answers a question only after its light was shown for so long.
  package static let questionShownSeconds = 1
  /// So long after the patient's tag a long press asks for a call.
  package static let callSeconds = 10
  /// So long a refused tag hides the light of the question.
  static let refusalShownSeconds = 1

  /// Gates that another attempt can correct; the others would fail again and only tire the patient.
  package static let correctableGates: Set<QualityGate.Code> = [
    .subjectPresent, .tooNear, .tooFar, .cutOff, .offCentre, .rotated, .motion, .hotObject, .coldObject, .clothed,
    .quality,
  ]
}
