extension QualityGate {
  /// Every gate that can be measured, in the order of `Code.allCases`.
  ///
  /// - Parameters:
  ///   - subject: nil when no subject stands out; then only `subject-present` and the gates of the acquisition apply.
  ///   - conditions: what is known of the acquisition.
  package static func evaluate(
    subject: SubjectMeasurements?, conditions: AcquisitionConditions, limits: GateLimits
  ) -> [QualityGate] {
    acquisitionGates(conditions, limits) + subjectGates(subject, limits)
  }

  private static func acquisitionGates(_ known: AcquisitionConditions, _ limits: GateLimits) -> [QualityGate] {
    var gates: [QualityGate] = []
    if let settling = known.settling {
      gates.append(Self(.settling, .soft, settling ? 1 : 0, atMost: 0, "1"))
    }
    if let ambient = known.ambientCelsius {
      let limit = ambient < limits.ambientMinimumCelsius ? limits.ambientMinimumCelsius : limits.ambientMaximumCelsius
      let passed = (limits.ambientMinimumCelsius...limits.ambientMaximumCelsius).contains(ambient)
      gates.append(Self(.ambientRange, .soft, ambient, limit, "Cel", passed: passed))
    }
    if let drift = known.ambientDriftCelsiusPerMinute {
      gates.append(
        Self(.ambientDrift, .soft, abs(drift), atMost: limits.ambientDriftMaximumCelsiusPerMinute, "Cel/min"))
    }
    if let motion = known.motionCelsius {
      gates.append(Self(.motion, .hard, motion, atMost: limits.motionMaximumCelsius, "Cel"))
    }
    if let dead = known.deadPixels {
      gates.append(Self(.deadPixels, .hard, Double(dead), atMost: Double(limits.deadPixelsMaximum), "1"))
    }
    if let noise = known.noiseCelsius {
      gates.append(Self(.noise, .hard, noise, atMost: limits.noiseMaximumCelsius, "Cel"))
    }
    if let missing = known.acclimatisationMissingSeconds {
      gates.append(Self(.notAcclimatised, .soft, missing, atMost: 0, "s"))
    }
    if let synchronised = known.clockSynchronised {
      gates.append(Self(.clockUnsynchronised, .soft, synchronised ? 0 : 1, atMost: 0, "1"))
    }
    return gates
  }

  private static func subjectGates(_ subject: SubjectMeasurements?, _ limits: GateLimits) -> [QualityGate] {
    let contrast = subject.map { $0.subjectCelsius - $0.backgroundCelsius } ?? 0
    let present = Self(
      .subjectPresent, .hard, contrast, atLeast: SubjectMeasurements.contrastMinimumCelsius, "Cel")
    guard let subject else { return [present] }
    return [
      present,
      Self(.tooNear, .hard, subject.subjectShare, atMost: limits.subjectMaximumShare, "1"),
      Self(.tooFar, .hard, subject.subjectShare, atLeast: limits.subjectMinimumShare, "1"),
      Self(
        .cutOff, .hard, abs(subject.leftEdgeShare - subject.rightEdgeShare), atMost: limits.edgeMaximumShare, "1"),
      Self(
        .offCentre, .hard, abs(subject.midlineColumn - Double(SubjectMeasurements.columns - 1) / 2),
        atMost: limits.offCentreMaximumColumns, "1"),
      Self(.rotated, .hard, abs(subject.midlineSlope), atMost: limits.tiltMaximum, "1"),
      Self(.hotObject, .hard, subject.hottestExcessCelsius, atMost: limits.hotObjectMaximumCelsius, "Cel"),
      Self(.coldObject, .hard, subject.coldestDeficitCelsius, atMost: limits.coldObjectMaximumCelsius, "Cel"),
      Self(.clothed, .hard, subject.subjectHighCelsius, atLeast: limits.skinMinimumCelsius, "Cel"),
      Self(.checkerboard, .hard, subject.checkerboardCelsius, atMost: limits.checkerboardMaximumCelsius, "Cel"),
      Self(.lens, .soft, subject.outlineStepCelsius, atLeast: limits.outlineMinimumCelsius, "Cel"),
    ]
  }

  private init(_ code: Code, _ severity: Severity, _ value: Double, atMost limit: Double, _ unit: String) {
    self.init(code, severity, value, limit, unit, passed: value <= limit)
  }

  private init(_ code: Code, _ severity: Severity, _ value: Double, atLeast limit: Double, _ unit: String) {
    self.init(code, severity, value, limit, unit, passed: value >= limit)
  }

  private init(
    _ code: Code, _ severity: Severity, _ value: Double, _ limit: Double, _ unit: String, passed: Bool
  ) {
    self.init(
      code: code, value: Self.rounded(value), limit: limit, unit: unit, severity: severity, passed: passed,
      sentence: passed ? code.sentenceWhenPassed : code.sentenceWhenFailed)
  }

  /// To a thousandth: more digits of a gate's value say nothing.
  private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

extension QualityGate.Code {
  /// What a patient is told when all is well.
  var sentenceWhenPassed: String {
    switch self {
    case .settling: "The camera has warmed up."
    case .ambientRange: "The room has a good temperature."
    case .ambientDrift: "The room's temperature is steady."
    case .subjectPresent: "The camera sees you."
    case .tooNear, .tooFar: "You are at a good distance."
    case .cutOff: "You are inside the picture."
    case .offCentre: "You are in the middle."
    case .rotated: "You stand upright."
    case .motion: "You kept still."
    case .hotObject: "Nothing hot disturbs the picture."
    case .coldObject: "Nothing cold disturbs the picture."
    case .clothed: "The skin is uncovered."
    case .deadPixels: "The camera's pixels work."
    case .checkerboard: "The two halves of the picture agree."
    case .noise: "The picture is clean."
    case .notAcclimatised: "You rested long enough."
    case .clockUnsynchronised: "The clock is right."
    case .lens: "The lens is clear."
    case .quality: "The picture can be used."
    }
  }

  /// What a patient is told when not: what is wrong and what to do.
  var sentenceWhenFailed: String {
    switch self {
    case .settling: "The camera is still warming up; wait a few minutes."
    case .ambientRange: "The room is too cold or too warm; 18 to 25 degrees are best."
    case .ambientDrift: "The room's temperature is changing; close windows and wait."
    case .subjectPresent: "The camera sees nobody; stand in front of it."
    case .tooNear: "You are too near; take a step back."
    case .tooFar: "You are too far away; come closer."
    case .cutOff: "You are cut off at one side; move to the middle."
    case .offCentre: "You are not in the middle; move a little to the side."
    case .rotated: "You lean to one side; stand upright."
    case .motion: "You moved; please keep still."
    case .hotObject: "Something hot is in the picture; remove it."
    case .coldObject: "Something cold is in the picture; remove it."
    case .clothed: "The skin seems to be covered; uncover it."
    case .deadPixels: "The camera has too many broken pixels; tell your technician."
    case .checkerboard: "The camera's picture is uneven; tell your technician."
    case .noise: "The picture is too noisy; try again."
    case .notAcclimatised: "You have not rested long enough; rest and try again."
    case .clockUnsynchronised: "The clock is not set yet; the capture is kept and dated later."
    case .lens: "The lens seems fogged or covered; wipe it with a dry cloth."
    case .quality: "The picture cannot be used; try again."
    }
  }
}
