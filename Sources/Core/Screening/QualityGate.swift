/// One measured condition of a capture, held against its limit.
///
/// A failed hard gate withholds the verdict, never the image.
package struct QualityGate: Sendable, Hashable, Codable {
  /// The stable name of a gate, in records, alerts and configuration.
  package enum Code: String, Sendable, Hashable, Codable, CaseIterable {
    case settling
    case ambientRange = "ambient-range"
    case ambientDrift = "ambient-drift"
    case subjectPresent = "subject-present"
    case tooNear = "too-near"
    case tooFar = "too-far"
    case cutOff = "cut-off"
    case offCentre = "off-centre"
    case rotated
    case motion
    case hotObject = "hot-object"
    case coldObject = "cold-object"
    case clothed
    case deadPixels = "dead-pixels"
    case checkerboard
    case noise
    case notAcclimatised = "not-acclimatised"
    case clockUnsynchronised = "clock-unsynchronised"
    case lens
    case quality
  }

  package enum Severity: String, Sendable, Hashable, Codable {
    /// Failing it makes the capture not assessable.
    case hard
    /// Failing it is recorded and shown; the verdict stands.
    case soft
  }

  package var code: Code
  /// What was measured, in `unit`.
  package var value: Double
  /// The limit that `value` was held against, in `unit`.
  package var limit: Double
  /// UCUM symbol of both, e.g. `Cel`, `s`, `1`.
  package var unit: String
  package var severity: Severity
  package var passed: Bool
  /// One sentence that a patient understands: what is wrong and what to do, or that all is well.
  package var sentence: String

  package init(
    code: Code, value: Double, limit: Double, unit: String, severity: Severity, passed: Bool, sentence: String
  ) {
    self.code = code
    self.value = value
    self.limit = limit
    self.unit = unit
    self.severity = severity
    self.passed = passed
    self.sentence = sentence
  }
}
