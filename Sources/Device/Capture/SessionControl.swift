import Forwarding
import Identification
import Provenance
import Screening
import Synchronization

/// Where the guided session is, for `status` and for a terminal. It names a patient by the pseudonym alone.
package struct SessionSnapshot: Sendable, Equatable, Codable {
  package enum State: String, Sendable, Codable, CaseIterable {
    /// The services are not up yet.
    case starting
    /// The device is ending, and takes nobody.
    case stopping
    case idle
    case maintenance
    case awaitingOperator = "awaiting-operator"
    case confirming
    case asking
    case acclimatising
    case awaitingPatient = "awaiting-patient"
    case positioning
    case awaitingCamera = "awaiting-camera"
    case averaging
    case assessing
    case saving
  }

  package var state = State.starting
  /// When `state` was entered.
  package var since: Timestamp
  package var sessionID: RandomIdentifier?
  package var patientRef: String?
  /// The view under way and the attempts begun at it.
  package var view: CaptureView?
  package var attempt: Int?
  /// Views of this session that are on disk.
  package var savedViews: [CaptureView] = []
  /// Frames averaged so far and wanted in all; nil outside of averaging.
  package var framesAveraged: Int?
  package var framesWanted: Int?
  /// The gates of the latest picture: live ones while a position is taken, then those of the capture.
  package var gates: [QualityGate] = []
  /// What the person before the device is being told.
  package var sentence = ""
  package var cameraIsLost = false
  package var readerIsLost = false
  /// New captures are refused.
  package var storageIsFull = false

  private enum CodingKeys: String, CodingKey {
    case state, since, view, attempt, gates, sentence
    case sessionID = "session_id"
    case patientRef = "patient_ref"
    case savedViews = "saved_views"
    case framesAveraged = "frames_averaged"
    case framesWanted = "frames_wanted"
    case cameraIsLost = "camera_lost"
    case readerIsLost = "reader_lost"
    case storageIsFull = "storage_full"
  }
}

/// What became of a request.
package enum SessionReply: Sendable, Equatable {
  /// The session that is open now, or that the request was about.
  case accepted(sessionID: RandomIdentifier)
  /// So long the device does what was asked for.
  case waiting(seconds: Int)
  /// No session opens until the hold is released, or its time is over.
  case held
  /// Nothing changed. For a person: what is in the way and what to do.
  case refused(reason: String)
}

/// The session as the rest of the program sees it: a picture of the present, and requests. Any thread may use it.
package final class SessionControl: Sendable {
  /// What can be asked for beside presenting a tag.
  enum Request: Sendable {
    case capture(PatientReference)
    case awaitPatient(PatientReference)
    case hold(Hold)
    case release(RandomIdentifier)
    case identify(seconds: Int)
    case answer(Bool)
    case proceed
    case skipRest
    case cancel
  }

  /// What keeps the device out of service while the program is updated.
  struct Hold: Sendable {
    /// Whose it is.
    var id: RandomIdentifier
    /// So long nobody must have been before the device.
    var quietSeconds: Int
    /// It ends by itself after this.
    var longestSeconds: Int
  }

  /// How a session ended, and what the person before the device was told of it.
  struct End: Sendable {
    var summary: SessionSummary
    var sentence: String
  }

  /// How many ends are remembered, for whoever watches a session and looks too late.
  private static let mostEnds = 16

  private let present: Mutex<SessionSnapshot>
  private let ends = Mutex<[End]>([])
  private let events: DeviceEvents

  init(events: DeviceEvents, now: Timestamp) {
    self.events = events
    present = Mutex(SessionSnapshot(since: now))
  }

  /// The session now.
  package var snapshot: SessionSnapshot { present.withLock { $0 } }

  /// Begins a session for `patient` as if the patient's tag had been presented; refused while another is open. The
  /// roster's consent and the policy for unknown tags hold here too.
  package func requestCapture(of patient: PatientReference) async -> SessionReply { await ask(.capture(patient)) }

  /// Waits for `patient`'s own tag, and captures nothing before it. What keeps a tag from opening a session refuses this too.
  package func awaitPatient(_ patient: PatientReference) async -> SessionReply { await ask(.awaitPatient(patient)) }

  /// Takes the device out of service for an update of the program. `.waiting` and `.refused` change nothing.
  func hold(_ hold: Hold) async -> SessionReply { await ask(.hold(hold)) }

  /// Gives it back; the last one who holds it ends the hold.
  func release(_ id: RandomIdentifier) async { _ = await ask(.release(id)) }

  /// Shows a light of its own, while nobody is before the device.
  package func identify(seconds: Int) async -> SessionReply { await ask(.identify(seconds: seconds)) }

  /// Answers the pending question, or confirms an unknown tag.
  package func answer(_ yes: Bool) async -> SessionReply { await ask(.answer(yes)) }

  /// What a short press of the button does: begins the view that waits for a sign.
  package func proceed() async -> SessionReply { await ask(.proceed) }

  /// Ends the rest; the record says how much of it was missing.
  package func skipRest() async -> SessionReply { await ask(.skipRest) }

  /// Ends the open session as incomplete.
  package func cancel() async -> SessionReply { await ask(.cancel) }

  /// How a session ended, of the last few; nil while it is open.
  func end(of session: RandomIdentifier) -> End? {
    ends.withLock { $0.last { $0.summary.sessionID == session } }
  }

  /// An end is an event: whoever looks at the snapshot now and then would miss what was saved last.
  func closed(_ end: End) {
    ends.withLock { ends in
      ends.append(end)
      ends.removeFirst(max(0, ends.count - Self.mostEnds))
    }
  }

  func change(_ body: (inout SessionSnapshot) -> Void) {
    present.withLock { body(&$0) }
  }

  private func ask(_ request: Request) async -> SessionReply {
    await withCheckedContinuation { continuation in
      if !events.send(.request(request) { continuation.resume(returning: $0) }) {
        continuation.resume(returning: .refused(reason: "the device is busy or stopping; try again"))
      }
    }
  }
}
