extension QualityGate {
  /// Every gate that can be measured, in the order of the capture: the acquisition's, then the subject's.
  ///
  /// - Parameters:
  ///   - subject: nil when the frame cannot be measured at all; without somebody in it (`isPresent` false) the gates
  ///     about the subject are left out, except `subject-present`.
  ///   - conditions: what is known of the acquisition.
  package static func evaluate(
    subject: SubjectMeasurements?, conditions: AcquisitionConditions, limits: GateLimits,
    sentences: SentenceBook = .english
  ) -> [QualityGate] {
    var gates = GateList(limits: limits, sentences: sentences)
    gates.addAcquisition(conditions, subject)
    gates.addSubject(subject)
    return gates.gates
  }
}

/// Gathers gates with their severities and sentences.
private struct GateList {
  let limits: GateLimits
  let sentences: SentenceBook
  private(set) var gates: [QualityGate] = []

  init(limits: GateLimits, sentences: SentenceBook) {
    self.limits = limits
    self.sentences = sentences
    gates.reserveCapacity(QualityGate.Code.allCases.count)
  }

  mutating func addAcquisition(_ known: AcquisitionConditions, _ subject: SubjectMeasurements?) {
    if known.sensingIsIll == true {
      addIllSensing()
    } else if let settling = known.settling {
      add(.settling, settling ? 1 : 0, atMost: 0, "1")
    }
    if let ambient = known.ambientCelsius ?? subject?.roomCelsius { addAmbient(ambient) }
    if let drift = known.ambientDriftCelsiusPerMinute {
      add(.ambientDrift, abs(drift), atMost: limits.ambientDriftMaximumCelsiusPerMinute, "Cel/min")
    }
    if let motion = known.motionCelsius { add(.motion, motion, atMost: limits.motionMaximumCelsius, "Cel") }
    if let dead = known.deadPixels { add(.deadPixels, Double(dead), atMost: Double(limits.deadPixelsMaximum), "1") }
    if let noise = known.noiseCelsius {
      add(.noise, noise, atMost: limits.noiseMaximumCelsius, "Cel")
    } else if let noise = subject?.noiseCelsius {
      add(.noise, noise, atMost: limits.pictureNoiseMaximumCelsius, "Cel")
    }
    if let missing = known.acclimatisationMissingSeconds { add(.notAcclimatised, missing, atMost: 0, "s") }
    if let synchronised = known.clockSynchronised { add(.clockUnsynchronised, synchronised ? 0 : 1, atMost: 0, "1") }
  }

  mutating func addSubject(_ subject: SubjectMeasurements?) {
    guard let subject else { return add(.subjectPresent, 0, atLeast: limits.contrastMinimumCelsius, "Cel") }
    let isPresent = subject.isPresent && subject.contrastCelsius >= limits.contrastMinimumCelsius
    // What stands out and cannot be a person (a radiator, a picture in kelvin) is no contrast of a subject.
    let isNoPerson = !subject.isPresent && subject.contrastCelsius >= limits.contrastMinimumCelsius
    add(
      .subjectPresent, isNoPerson ? 0 : subject.contrastCelsius, limits.contrastMinimumCelsius, "Cel",
      passed: isPresent,
      key: isPresent ? "passed" : "failed")
    if isPresent {
      let centre = Double(subject.geometry.columns - 1) / 2
      // The limit is in columns of the width that it was set for.
      let column = GateLimits.columnsOfFullWidth / Double(subject.geometry.columns)
      add(.tooNear, subject.subjectShare, atMost: limits.subjectMaximumShare, "1")
      add(.tooFar, subject.subjectShare, atLeast: limits.subjectMinimumShare, "1")
      add(.cutOff, abs(subject.leftEdgeShare - subject.rightEdgeShare), atMost: limits.edgeMaximumShare, "1")
      add(.offCentre, abs(subject.midlineColumn - centre) * column, atMost: limits.offCentreMaximumColumns, "1")
      add(.rotated, abs(subject.midlineSlope), atMost: limits.tiltMaximum, "1")
      add(.hotObject, subject.hottestExcessCelsius, atMost: limits.hotObjectMaximumCelsius, "Cel")
      add(.coldObject, subject.coldestDeficitCelsius, atMost: limits.coldObjectMaximumCelsius, "Cel")
      add(.clothed, subject.skinHighCelsius, atLeast: limits.skinMinimumCelsius(of: subject), "Cel")
      add(.lens, subject.outlineStepCelsius, atLeast: limits.outlineMinimumCelsius, "Cel")
    }
    add(.checkerboard, subject.checkerboardCelsius, atMost: limits.checkerboardMaximumCelsius, "Cel")
  }

  /// A sensor that is not to be trusted, as while it settles, with its reason. No configuration makes it a soft gate.
  private mutating func addIllSensing() {
    gates.append(
      QualityGate(
        code: .settling, value: 1, limit: 0, unit: "1", severity: .hard, passed: false,
        sentence: sentences.sentence("gate.settling.sensing-ill", value: 1, limit: 0)))
  }

  private mutating func addAmbient(_ celsius: Double) {
    let isCold = celsius < limits.ambientMinimumCelsius
    let isWarm = celsius > limits.ambientMaximumCelsius
    add(
      .ambientRange, celsius, isCold ? limits.ambientMinimumCelsius : limits.ambientMaximumCelsius, "Cel",
      passed: !isCold && !isWarm, key: isCold ? "too-cold" : isWarm ? "too-warm" : "passed")
  }

  private mutating func add(_ code: QualityGate.Code, _ value: Double, atMost limit: Double, _ unit: String) {
    let passed = value <= limit
    add(code, value, limit, unit, passed: passed, key: passed ? "passed" : "failed")
  }

  private mutating func add(_ code: QualityGate.Code, _ value: Double, atLeast limit: Double, _ unit: String) {
    let passed = value >= limit
    add(code, value, limit, unit, passed: passed, key: passed ? "passed" : "failed")
  }

  private mutating func add(
    _ code: QualityGate.Code, _ value: Double, _ limit: Double, _ unit: String, passed: Bool, key: String
  ) {
    // More digits than a thousandth say nothing of a gate.
    let rounded = (value * 1000).rounded() / 1000
    gates.append(
      QualityGate(
        code: code, value: rounded, limit: limit, unit: unit, severity: limits.severity(of: code), passed: passed,
        sentence: sentences.sentence("gate.\(code.rawValue).\(key)", value: rounded, limit: limit)))
  }
}
