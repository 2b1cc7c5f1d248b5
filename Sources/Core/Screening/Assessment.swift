import Thermography

/// What the device concludes from one thermogram: the gates, and the verdict that they allow.
package struct Assessment: Sendable, Equatable {
  package var gates: [QualityGate]
  package var verdict: Verdict

  package init(gates: [QualityGate], verdict: Verdict) {
    self.gates = gates
    self.verdict = verdict
  }
}

/// Assesses thermograms with one screening model, or with none. `run`, `capture` and `assess` all go through here.
package struct Assessor {
  private let network: ScreeningNetwork?
  package var limits: GateLimits

  /// - Parameter network: nil when none is configured; every verdict is then not-assessable and says so.
  package init(network: ScreeningNetwork?, limits: GateLimits = GateLimits()) {
    self.network = network
    self.limits = limits
  }

  /// Measures, gates and screens one thermogram.
  ///
  /// - Parameter conditions: what is known of the acquisition beside the picture.
  package func assess(_ thermogram: Thermogram, conditions: AcquisitionConditions) -> Assessment {
    let subject = SubjectMeasurements(
      celsius: thermogram.celsius, standardErrorCelsius: thermogram.standardErrorCelsius)
    let gates = QualityGate.evaluate(subject: subject, conditions: conditions, limits: limits)
    var verdict = Verdict(
      outcome: .notAssessable, rawOutput: [], score: nil, probability: nil,
      thresholds: network?.thresholds ?? Verdict.Thresholds(lower: 0, upper: 1),
      leftRightDifference: subject?.leftRight?.rounded, viewScores: [:], modelID: network?.manifest.id ?? "",
      modelSHA256: network?.manifest.model.sha256 ?? "",
      demonstration: network?.manifest.status == .demonstration, reasons: [])
    let failed = gates.filter { !$0.passed && $0.severity == .hard }
    guard failed.isEmpty else {
      verdict.reasons = failed.map { "\($0.code.rawValue): \($0.sentence)" }
      return Assessment(gates: gates, verdict: verdict)
    }
    guard let network else {
      verdict.reasons = ["no screening model is configured"]
      return Assessment(gates: gates, verdict: verdict)
    }
    do throws(ScreeningError) {
      try network.screen(thermogram, into: &verdict)
    } catch {
      verdict.reasons = [error.description]
    }
    return Assessment(gates: gates, verdict: verdict)
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
