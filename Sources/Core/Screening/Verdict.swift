/// What the device says of one thermogram. Research use only: it is never a diagnosis.
package struct Verdict: Sendable, Hashable, Codable {
  package enum Outcome: String, Sendable, Hashable, Codable, CaseIterable {
    case belowThreshold = "below-threshold"
    case aboveThreshold = "above-threshold"
    case uncertain
    case notAssessable = "not-assessable"
  }

  /// A probability below `lower` is below-threshold, above `upper` above-threshold, between them uncertain.
  package struct Thresholds: Sendable, Hashable, Codable {
    package var lower: Double
    package var upper: Double

    package init(lower: Double, upper: Double) {
      self.lower = lower
      self.upper = upper
    }
  }

  /// What a model's second head, the subspace classifier over its features, says beside the first.
  package struct SecondHead: Sendable, Hashable, Codable {
    /// The class whose subspace is nearest.
    package var label: String
    /// Whether it says the same as the first head; false makes the outcome uncertain.
    package var agrees: Bool
    /// By class: the share of the features' energy outside its subspace, parts per million.
    package var residuals: [String: Int]
  }

  /// The sentence that every verdict carries.
  package static let intendedUse = "research use only, not a diagnosis, does not replace mammography"

  package var outcome: Outcome
  /// The network's int8 output as it left the last layer; empty when it was not run.
  package var rawOutput: [Int8]
  /// The output dequantised by its own scale; nil when the network was not run.
  package var score: Double?
  /// The score after the model's calibration table, 0...1; nil when the network was not run.
  package var probability: Double?
  /// Whom `probability` holds for; nil where the model's manifest does not say so.
  package var probabilityPopulation: ProbabilityPopulation?
  package var thresholds: Thresholds
  /// Mean temperature of the left half of the subject minus that of the right, and its standard error, in degC; nil
  /// when no subject was found, and in views in which the halves are not each other's mirror image.
  package var leftRightDifference: LeftRightDifference?
  /// The calibrated probability by view name, for a session of several views.
  package var viewScores: [String: Double]
  package var modelID: String
  /// Lower-case hexadecimal of the model file's SHA-256.
  package var modelSHA256: String
  /// Whether the model's manifest marks it as a demonstration: its outcome is then never shown to a patient.
  package var demonstration: Bool
  package var intendedUse: String
  /// Why the outcome is what it is, most important first; never empty for uncertain and not-assessable.
  package var reasons: [String]
  /// nil when the model has no second head or was not run.
  package var secondHead: SecondHead?
  /// The session's views taken together, up to and with this one; nil when none of them was scored.
  package var session: SessionVerdict?
  /// The subject's parts; nil when no subject was found.
  package var regions: [RegionTemperature]?
  /// How the parts changed since the same patient's own earlier captures; nil without three earlier sessions.
  package var changeSinceBaseline: ChangeSinceBaseline?

  package init(
    outcome: Outcome, rawOutput: [Int8], score: Double?, probability: Double?, thresholds: Thresholds,
    leftRightDifference: LeftRightDifference?, viewScores: [String: Double], modelID: String, modelSHA256: String,
    demonstration: Bool, reasons: [String]
  ) {
    self.outcome = outcome
    self.rawOutput = rawOutput
    self.score = score
    self.probability = probability
    self.thresholds = thresholds
    self.leftRightDifference = leftRightDifference
    self.viewScores = viewScores
    self.modelID = modelID
    self.modelSHA256 = modelSHA256
    self.demonstration = demonstration
    self.intendedUse = Self.intendedUse
    self.reasons = reasons
  }

  private enum CodingKeys: String, CodingKey {
    case outcome
    case rawOutput = "raw_output"
    case score, probability, thresholds
    case probabilityPopulation = "probability_population"
    case leftRightDifference = "left_right_difference"
    case viewScores = "view_scores"
    case modelID = "model_id"
    case modelSHA256 = "model_sha256"
    case demonstration
    case intendedUse = "intended_use"
    case reasons
    case secondHead = "second_head"
    case session, regions
    case changeSinceBaseline = "change_since_baseline"
  }

  /// A probability without a population is a number without a meaning: prevalence decides it as much as the picture does.
  package struct ProbabilityPopulation: Sendable, Hashable, Codable {
    package var description: String
    /// Share of that population with the label, 0...1.
    package var prevalence: Double

    package init(description: String, prevalence: Double) {
      self.description = description
      self.prevalence = prevalence
    }
  }

  /// The outcome where a patient may see it: never a demonstration model's.
  package var outcomeForPatient: Outcome? { demonstration ? nil : outcome }
}

/// Left minus right over the subject's two halves, as seen by the camera mirrored to the patient's own sides.
package struct LeftRightDifference: Sendable, Hashable, Codable {
  /// degC; positive when the patient's left side is warmer.
  package var celsius: Double
  /// Standard error of `celsius`, in degC, from the per-pixel standard errors.
  package var standardErrorCelsius: Double
  /// The largest absolute difference of mirrored 3x3 neighbourhoods, in degC.
  package var largestLocalCelsius: Double

  package init(celsius: Double, standardErrorCelsius: Double, largestLocalCelsius: Double) {
    self.celsius = celsius
    self.standardErrorCelsius = standardErrorCelsius
    self.largestLocalCelsius = largestLocalCelsius
  }

  private enum CodingKeys: String, CodingKey {
    case celsius
    case standardErrorCelsius = "standard_error_celsius"
    case largestLocalCelsius = "largest_local_celsius"
  }
}
