import Provenance
import Thermography

/// What the device concludes from one thermogram: the gates, and the verdict that they allow.
package struct Assessment: Sendable, Equatable {
  package var gates: [QualityGate]
  package var verdict: Verdict
  /// What it rests on beside the thermogram; nil for one that was not made by an assessor.
  package var basis: AssessmentBasis?
  /// Where the network's input lay beside those of its training; nil where it was not run, or does not know them.
  package var inputs: InputStatistics.Position?
  /// The units of the models that made it; nil for one that is not there, or is not known by its unit.
  package var screeningUnitSHA256: String?
  package var qualityUnitSHA256: String?

  package init(gates: [QualityGate], verdict: Verdict, basis: AssessmentBasis? = nil) {
    self.gates = gates
    self.verdict = verdict
    self.basis = basis
  }

  /// What the patient is told of it, in order: the sentences of the gates that failed, or that all is well. Never an
  /// outcome.
  package func sentencesForPatient(in sentences: SentenceBook) -> [String] {
    let isWithheld = gates.contains { !$0.passed && $0.severity == .hard }
    let failed = gates.filter { !$0.passed && ($0.severity == .hard || !isWithheld) }.map(\.sentence)
    return failed + [sentences.sentence(isWithheld ? "patient.not-assessable" : "patient.assessable")]
  }
}

/// What a session, and the patient's history, add to a thermogram.
package struct CaptureContext: Sendable, Equatable, Codable {
  package var view: CaptureView
  /// The scores of the session's views before this capture.
  package var sessionScores: SessionScores
  /// The patient's own earlier captures of this view; nil without enough of them.
  package var baseline: PatientBaseline?

  package init(view: CaptureView, sessionScores: SessionScores = SessionScores(), baseline: PatientBaseline? = nil) {
    self.view = view
    self.sessionScores = sessionScores
    self.baseline = baseline
  }

  private enum CodingKeys: String, CodingKey {
    case view
    case sessionScores = "session_scores"
    case baseline
  }
}

/// Assesses thermograms with one screening model, or with none. `run`, `capture` and `assess` all go through here.
package struct Assessor {
  /// A pixel this far from all of its neighbours is broken, degC: beyond any noise, and the models' own limit.
  fileprivate static let spikeCelsius: Float = 2.5

  private let network: ScreeningNetwork?
  private let quality: QualityNetwork?
  package var limits: GateLimits
  package var sentences: SentenceBook

  /// - Parameters:
  ///   - network: nil when none is configured; every verdict is then not-assessable and says so.
  ///   - quality: the model behind the gate `quality`; nil leaves it out.
  package init(
    network: ScreeningNetwork?, quality: QualityNetwork? = nil, limits: GateLimits = GateLimits(),
    sentences: SentenceBook = .english
  ) {
    self.network = network
    self.quality = quality
    self.limits = limits
    self.sentences = sentences
  }

  /// Where the model reacted, for a doctor; nil where there is no verdict to explain.
  package func occlusionMap(of thermogram: Thermogram, for verdict: Verdict) throws(ScreeningError) -> OcclusionMap? {
    guard let network, verdict.probability != nil else { return nil }
    return try network.occlusionMap(of: thermogram.stored.readable)
  }

  /// Measures, gates and screens one thermogram, as its files keep it (`Thermogram.stored`).
  ///
  /// - Parameters:
  ///   - conditions: what is known of the acquisition beside the picture.
  ///   - context: which view it is, and what came before it.
  package func assess(
    _ thermogram: Thermogram, conditions: AcquisitionConditions,
    context: CaptureContext = CaptureContext(view: .frontal)
  ) -> Assessment {
    let basis = basis(conditions, context)
    var conditions = conditions
    let thermogram = thermogram.stored
    let untrue = thermogram.spikes(beyondCelsius: Self.spikeCelsius).count + thermogram.frozen.count
    if untrue > 0 { conditions.deadPixels = (conditions.deadPixels ?? 0) + untrue }
    let readable = thermogram.readable
    let subject = SubjectMeasurements(
      geometry: readable.geometry, celsius: readable.celsius, standardErrorCelsius: readable.standardErrorCelsius,
      measured: readable.states.map { $0 == .measured })
    var verdict = emptyVerdict
    if let subject, subject.isPresent {
      // In a turned view the two halves of the picture are not each other's mirror image.
      if context.view == .frontal { verdict.leftRightDifference = subject.leftRight?.rounded }
      verdict.regions = subject.regions
      verdict.changeSinceBaseline = context.baseline?.change(of: subject.regions)
    }
    var gates = QualityGate.evaluate(
      subject: subject, conditions: conditions, limits: limits, sentences: sentences)
    var failures: [String] = []
    if let quality {
      do throws(ScreeningError) {
        gates.append(
          try quality.judge(readable.celsius, readable.geometry).gate(
            for: context.view, severity: limits.severity(of: .quality), in: sentences))
      } catch {
        // A picture that the model cannot even look at: no gate has a value, and the verdict is withheld.
        failures.append("quality: \(error)")
      }
    }
    let hard = gates.filter { !$0.passed && $0.severity == .hard }
    failures = hard.map { "\($0.code.rawValue): \($0.sentence)" } + failures
    let inputs = screen(readable, failures, context, into: &verdict)
    var scores = context.sessionScores
    scores.add(verdict, view: context.view)
    verdict.viewScores = scores.viewScores
    verdict.session = scores.verdict
    var assessment = Assessment(gates: gates, verdict: verdict, basis: basis)
    assessment.inputs = inputs
    assessment.screeningUnitSHA256 = network?.unitSHA256
    assessment.qualityUnitSHA256 = quality?.unitSHA256
    return assessment
  }

  private func basis(_ conditions: AcquisitionConditions, _ context: CaptureContext) -> AssessmentBasis {
    AssessmentBasis(
      conditions: conditions, context: context, limits: limits, language: sentences.language,
      screeningModel: network.map { AssessmentBasis.Model($0.manifest) },
      qualityModel: quality.map { AssessmentBasis.Model($0.manifest) })
  }

  /// Not assessable yet, for no reason yet.
  private var emptyVerdict: Verdict {
    Verdict(
      outcome: .notAssessable, rawOutput: [], score: nil, probability: nil,
      thresholds: network?.thresholds ?? Verdict.Thresholds(lower: 0, upper: 1),
      leftRightDifference: nil, viewScores: [:], modelID: network?.manifest.id ?? "",
      modelSHA256: network?.manifest.model.sha256 ?? "",
      demonstration: network?.manifest.status == .demonstration, reasons: [])
  }

  private func screen(
    _ thermogram: Thermogram, _ failures: [String], _ context: CaptureContext, into verdict: inout Verdict
  ) -> InputStatistics.Position? {
    verdict.reasons = failures
    guard failures.isEmpty else { return nil }
    guard let network else {
      verdict.reasons = ["no screening model is configured"]
      return nil
    }
    guard network.manifest.input.views?.contains(context.view.rawValue) == true else {
      verdict.reasons = ["the model \(network.manifest.id) was not made for the view \(context.view.rawValue)"]
      return nil
    }
    do throws(ScreeningError) {
      return try network.screen(thermogram, into: &verdict)
    } catch {
      verdict.reasons = [error.description]
      return nil
    }
  }
}

/// As far as the whole width of the smallest sensor.
private let fillReachPixels = 31

extension Thermogram {
  /// Without the pixels that cannot be true: they count as dead, and are no hot or cold object.
  var readable: Thermogram {
    var defects = DefectivePixels()
    defects.found = spikes(beyondCelsius: Assessor.spikeCelsius)
    var result = defects.found.isEmpty ? self : interpolated(over: defects)
    result.celsius = result.filled
    return result
  }

  /// The temperatures with pixels that have no value filled in from the nearest measured ones, so that a dead corner is
  /// not taken for ice. Only the outline and the networks see them. Further than `fillReachPixels` nothing is looked for,
  /// so that a large sensor with many dead pixels costs a bounded time.
  var filled: [Float] {
    let (rows, columns) = (geometry.rows, geometry.columns)
    var result = celsius
    for pixel in states.indices where states[pixel] == .invalid {
      let (row, column) = (pixel / columns, pixel % columns)
      for reach in 1...min(columns - 1, fillReachPixels) {
        var (sum, count) = (Float(0), 0)
        for r in max(row - reach, 0)...min(row + reach, rows - 1) {
          for c in max(column - reach, 0)...min(column + reach, columns - 1)
          where states[r * columns + c] == .measured {
            sum += celsius[r * columns + c]
            count += 1
          }
        }
        if count > 0 {
          result[pixel] = sum / Float(count)
          break
        }
      }
    }
    return result
  }
}

extension LeftRightDifference {
  /// To a thousandth of a degree.
  fileprivate var rounded: LeftRightDifference {
    func thousandth(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
    return LeftRightDifference(
      celsius: thousandth(celsius), standardErrorCelsius: thousandth(standardErrorCelsius),
      largestLocalCelsius: thousandth(largestLocalCelsius))
  }
}
