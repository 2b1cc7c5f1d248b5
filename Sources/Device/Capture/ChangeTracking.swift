import Forwarding
import Identification
import Logging
import Provenance
import Screening
import Storage
import Thermography

/// What is known of a patient's earlier sessions of one view.
enum EarlierSessions: Sendable, Equatable {
  case known([BaselineMaster])
  /// A sentence for the record: no path, and no name.
  case unavailable(String)
}

/// A capture's comparison with the patient's earlier sessions, as the record and the images tell it.
package struct ChangeReport: Sendable, Equatable {
  package var record: CaptureRecord.Change
  /// nil where nothing was compared.
  package var findings: ChangeFindings?

  package init(_ outcome: ChangeOutcome) {
    switch outcome {
    case .notEnoughSessions(let count): record = .init(state: .notEnoughSessions, sessions: count)
    case .notComparable(let sessions, let reason):
      record = .init(state: .notComparable, sessions: sessions, reason: reason)
    case .compared(let compared):
      record = .init(compared)
      findings = compared
    }
  }

  /// Of a view that the comparison was not made for.
  package static func notMade(for view: CaptureView, sessions: Int) -> ChangeReport {
    notComparable(sessions: sessions, "the comparison was not made for the view \(view.rawValue)")
  }

  fileprivate static func notComparable(sessions: Int, _ reason: String) -> ChangeReport {
    ChangeReport(.notComparable(sessions: sessions, reason: reason))
  }
}

/// What the session has for the comparison over time: the store, and the arithmetic beside the session's own turn.
struct ChangeTracking: Sendable {
  private let store: BaselineStore
  private let engine = ChangeEngine()
  private let logger: Logger

  init(store: BaselineStore, logger: Logger) {
    self.store = store
    self.logger = logger
  }

  /// How many patients' earlier sessions were found damaged, and set aside, since this was asked last.
  func takeDamaged() async -> Int { await store.takeDamaged() }

  /// Looks up what the present capture is compared with.
  func earlier(
    of patient: PatientReference, former: PatientReference?, view: CaptureView, before session: RandomIdentifier?
  ) async -> EarlierSessions {
    do throws(BaselineError) {
      return .known(
        try await store.earlier(of: patient.text, former: former?.text, view: view.rawValue, before: session))
    } catch {
      logger.error("the patient's earlier sessions cannot be read", metadata: ["reason": "\(error)"])
      return .unavailable(error.sentence)
    }
  }

  func report(
    of captured: CapturedThermogram, view: CaptureView, gates: [QualityGate], against earlier: EarlierSessions
  ) async -> ChangeReport {
    await engine.report(of: captured, view: view, gates: gates, against: earlier)
  }

  /// Keeps a stored capture for the sessions to come, if it can be compared with.
  func keep(_ captured: CapturedThermogram, _ attribution: CaptureAttribution, gates: [QualityGate]) async {
    guard ChangeEngine.hardFailure(in: gates) == nil, captured.thermogram.geometry == ChangeRules.geometry else {
      return
    }
    do throws(BaselineError) {
      try await store.add(BaselineMaster(captured, attribution), to: attribution.patient.text)
    } catch {
      logger.error("a capture is not kept for the comparison over time", metadata: ["reason": "\(error)"])
    }
  }

  /// Erases what is kept of those who do not agree (any more).
  func forget(_ patients: [PatientReference]) async {
    for patient in patients {
      do throws(BaselineError) {
        if try await store.forget(patient.text) {
          logger.notice("earlier sessions of a patient without consent were erased")
        }
      } catch {
        logger.error("earlier sessions could not be erased", metadata: ["reason": "\(error)"])
      }
    }
  }

  /// After a change of the key.
  func reseal() async {
    do throws(BaselineError) {
      let left = try await store.reseal()
      if left > 0 {
        logger.error(
          "earlier sessions could not be sealed anew: damaged, or under a key that is not loaded",
          metadata: ["files": "\(left)"])
      }
    } catch {
      logger.error("earlier sessions could not be sealed anew", metadata: ["reason": "\(error)"])
    }
  }
}

/// The comparison's arithmetic and its memory; one comparison at a time, never on the session's turn.
actor ChangeEngine {
  private var comparator = ChangeComparator()

  /// Why a capture is neither compared nor compared with: the first hard gate that failed.
  static func hardFailure(in gates: [QualityGate]) -> QualityGate? {
    gates.first { !$0.passed && $0.severity == .hard }
  }

  func report(
    of captured: CapturedThermogram, view: CaptureView, gates: [QualityGate], against earlier: EarlierSessions
  ) -> ChangeReport {
    let masters: [BaselineMaster]
    switch earlier {
    case .known(let known): masters = known
    case .unavailable(let reason): return .notComparable(sessions: 0, reason)
    }
    if let gate = Self.hardFailure(in: gates) {
      return .notComparable(sessions: masters.count, "the capture did not pass the gate \(gate.code.rawValue)")
    }
    guard ChangeRules.views.contains(view) else { return .notMade(for: view, sessions: masters.count) }
    let frames = masters.compactMap { ChangeFrame($0) }
    let present = ChangeFrame(captured.thermogram, camera: captured.cameraSerial)
    return ChangeReport(comparator.compare(present, with: frames))
  }
}

extension CaptureRecord.Change {
  fileprivate init(_ findings: ChangeFindings) {
    func thousandth(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
    self.init(
      state: findings.places.isEmpty ? .withinVariation : .beyondVariation, sessions: findings.sessions,
      minimumDetectableCelsius: thousandth(findings.minimumDetectableCelsius),
      falseAlarmRate: ChangeRules.falseAlarmRate,
      places: findings.places.map {
        Place(column: Double($0.column), row: Double($0.row), pixels: $0.pixels, celsius: thousandth($0.celsius))
      })
  }
}

extension BaselineMaster {
  init(_ captured: CapturedThermogram, _ attribution: CaptureAttribution) {
    let thermogram = captured.thermogram
    self.init(
      captureID: attribution.captureID, sessionID: attribution.sessionID, view: attribution.view.rawValue,
      takenAs: attribution.patient.text, utcNanoseconds: captured.ended.utcNanoseconds, camera: captured.cameraSerial,
      columns: thermogram.geometry.columns, rows: thermogram.geometry.rows,
      noiseCelsius: ChangeFrame.meanErrorCelsius(of: thermogram), samples: thermogram.centikelvin,
      states: thermogram.stored.states.map(\.rawValue))
  }
}

extension ChangeFrame {
  /// As it was when the picture was taken; nil where it shows no body, or is none.
  init?(_ master: BaselineMaster) {
    guard let geometry = SensorGeometry(columns: master.columns, rows: master.rows) else { return nil }
    let (samples, states) = (master.samples, master.states.compactMap { PixelState(rawValue: $0) })
    guard samples.count == geometry.pixelCount, states.count == geometry.pixelCount else { return nil }
    let thermogram = Thermogram(
      geometry: geometry, celsius: samples.map { $0 == Centikelvin.noValue ? 0 : Centikelvin.celsius(ofSample: $0) },
      standardErrorCelsius: Array(repeating: 0, count: samples.count),
      states: zip(states, samples).map { $1 == Centikelvin.noValue ? .invalid : $0 }, ambientCelsius: 0, supplyVolts: 0,
      framesAveraged: 1, refreshRateHertz: 0, emissivity: 1, reflectedCelsius: 0, settling: false)
    self.init(thermogram, camera: master.camera, noiseCelsius: master.noiseCelsius)
  }
}

extension BaselineError {
  /// What a record says: nothing that names a file or a person.
  fileprivate var sentence: String {
    switch self {
    case .damaged: "the earlier sessions were damaged and set aside; the comparison begins anew"
    case .unknownKey: "the earlier sessions are sealed under a key that is not loaded"
    case .newer: "the earlier sessions were written by a newer program"
    default: "the earlier sessions could not be read"
    }
  }
}
