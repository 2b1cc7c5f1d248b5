/// The limits of the quality gates, and which of them are hard. The defaults are those of a torso at about 50 cm in
/// front of the 55-degree lens.
package struct GateLimits: Sendable, Equatable {
  /// Rooms of thermographic protocols: below, vessels narrow; above, skin sweats and loses contrast.
  package var ambientMinimumCelsius = 18.0
  package var ambientMaximumCelsius = 25.0
  /// Change of the sensor's own temperature, degC a minute, up or down.
  package var ambientDriftMaximumCelsiusPerMinute = 0.2
  /// Mean of the subject above the background, degC: below it there is nobody.
  package var contrastMinimumCelsius = 2.0
  /// Shares of the frame, 0...1.
  package var subjectMinimumShare = 0.35
  package var subjectMaximumShare = 0.92
  /// Share of the subject's rows by which one side edge of the frame is touched more than the other, 0...1.
  package var edgeMaximumShare = 0.7
  /// Distance of the midline from the frame's centre, in columns of a frame of `columnsOfFullWidth`.
  package var offCentreMaximumColumns = 3.5
  /// Tangent of the tilt, in columns a row; 0.2 is 11 degrees.
  package var tiltMaximum = 0.2
  /// Largest change of a 4x4 block between sub-pages, degC: noise alone reaches 1 at 16 Hz.
  package var motionMaximumCelsius = 1.5
  /// Hottest pixel above the warm end of the skin, degC: a lesion's spot stays below it.
  package var hotObjectMaximumCelsius = 5.0
  /// Coldest pixel below the background, degC.
  package var coldObjectMaximumCelsius = 6.0
  /// The warm end of the skin: bare skin reaches it, clothing does not.
  package var skinMinimumCelsius = 29.0
  /// Bare skin in a cold room, or seen by a sensor whose offset is low, may miss `skinMinimumCelsius` by so much, degC,
  /// where its warm end stands out of the room by `bareSkinContrastCelsius`.
  package static let skinToleranceCelsius = 1.5
  package static let bareSkinContrastCelsius = 8.0
  /// Pixels that were not measured.
  package var deadPixelsMaximum = 10
  /// Difference of the two sub-pages, degC.
  package var checkerboardMaximumCelsius = 0.3
  /// Standard error of a pixel, degC: the mean over the picture.
  package var noiseMaximumCelsius = 0.2
  /// The same where only the picture tells it, degC: fine structure of the skin counts as noise there, up to 0.45 in
  /// good pictures. White noise of 0.4 more still leaves the shipped model's outcome as it is.
  package var pictureNoiseMaximumCelsius = 0.75
  /// Step across the outline, degC a pixel.
  package var outlineMinimumCelsius = 0.8
  /// The gates that withhold the verdict when they fail; the others are recorded and shown.
  ///
  /// The soft ones by default are those that shift the whole picture alike (the sensor's warm-up, the room, the rest),
  /// those that a technician sees to (the lens) and those that a verdict does not depend on (the clock).
  package var hardGates: [QualityGate.Code] = [
    .subjectPresent, .tooNear, .tooFar, .cutOff, .offCentre, .rotated, .motion, .hotObject, .coldObject, .clothed,
    .deadPixels, .checkerboard, .noise, .quality,
  ]

  /// A frame's width in the unit of `offCentreMaximumColumns`, whatever the sensor.
  package static let columnsOfFullWidth = 32.0

  package init() {}

  /// The limit of the gate `clothed` for one subject, degC.
  func skinMinimumCelsius(of subject: SubjectMeasurements) -> Double {
    guard let room = subject.roomCelsius, subject.skinHighCelsius - room >= Self.bareSkinContrastCelsius else {
      return skinMinimumCelsius
    }
    return skinMinimumCelsius - Self.skinToleranceCelsius
  }

  func severity(of code: QualityGate.Code) -> QualityGate.Severity { hardGates.contains(code) ? .hard : .soft }
}

/// What the acquisition knows beside the picture itself; nil is "not known". Its gate is then left out, save where the
/// picture itself tells (the room, the noise).
package struct AcquisitionConditions: Sendable, Equatable {
  /// The room, degC; without a thermometer it is taken from the background of the picture.
  package var ambientCelsius: Double?
  package var ambientDriftCelsiusPerMinute: Double?
  package var settling: Bool?
  /// The device's own watch says that its sensing is ill; nil where it does not.
  package var sensingIsIll: Bool?
  package var motionCelsius: Double?
  package var deadPixels: Int?
  /// Mean standard error of the pixels, degC; without one it is estimated from the picture.
  package var noiseCelsius: Double?
  package var clockSynchronised: Bool?
  /// Seconds of rest that are still missing; 0 when the patient rested long enough.
  package var acclimatisationMissingSeconds: Double?

  package init() {}
}

// MARK: - As written beside an assessment

/// A key by its name in the file.
private struct BasisKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { nil }
}

extension GateLimits: Codable {
  private static let numbers: [(name: String, limit: any WritableKeyPath<GateLimits, Double> & Sendable)] = [
    ("ambient_minimum_celsius", \.ambientMinimumCelsius), ("ambient_maximum_celsius", \.ambientMaximumCelsius),
    ("ambient_drift_maximum_celsius_per_minute", \.ambientDriftMaximumCelsiusPerMinute),
    ("contrast_minimum_celsius", \.contrastMinimumCelsius), ("subject_minimum_share", \.subjectMinimumShare),
    ("subject_maximum_share", \.subjectMaximumShare), ("edge_maximum_share", \.edgeMaximumShare),
    ("off_centre_maximum_columns", \.offCentreMaximumColumns), ("tilt_maximum", \.tiltMaximum),
    ("motion_maximum_celsius", \.motionMaximumCelsius), ("hot_object_maximum_celsius", \.hotObjectMaximumCelsius),
    ("cold_object_maximum_celsius", \.coldObjectMaximumCelsius), ("skin_minimum_celsius", \.skinMinimumCelsius),
    ("checkerboard_maximum_celsius", \.checkerboardMaximumCelsius), ("noise_maximum_celsius", \.noiseMaximumCelsius),
    ("picture_noise_maximum_celsius", \.pictureNoiseMaximumCelsius),
    ("outline_minimum_celsius", \.outlineMinimumCelsius),
  ]

  /// A limit that is not there is one that the writer did not know: it has its default.
  package init(from decoder: any Decoder) throws {
    self.init()
    let container = try decoder.container(keyedBy: BasisKey.self)
    for (name, limit) in Self.numbers {
      guard let value = try container.decodeIfPresent(Double.self, forKey: BasisKey(name)) else { continue }
      try BasisBounds.check(value, container.codingPath + [BasisKey(name)])
      self[keyPath: limit] = value
    }
    deadPixelsMaximum =
      try container.decodeIfPresent(Int.self, forKey: BasisKey("dead_pixels_maximum")) ?? deadPixelsMaximum
    hardGates = try container.decode([QualityGate.Code].self, forKey: BasisKey("hard"))
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: BasisKey.self)
    for (name, limit) in Self.numbers { try container.encode(self[keyPath: limit], forKey: BasisKey(name)) }
    try container.encode(deadPixelsMaximum, forKey: BasisKey("dead_pixels_maximum"))
    try container.encode(QualityGate.Code.allCases.filter(hardGates.contains), forKey: BasisKey("hard"))
  }
}

extension AcquisitionConditions: Codable {
  private enum CodingKeys: String, CodingKey {
    case settling
    case sensingIsIll = "sensing_ill"
    case ambientCelsius = "ambient_celsius"
    case ambientDriftCelsiusPerMinute = "ambient_drift_celsius_per_minute"
    case motionCelsius = "motion_celsius"
    case deadPixels = "dead_pixels"
    case noiseCelsius = "noise_celsius"
    case clockSynchronised = "clock_synchronised"
    case acclimatisationMissingSeconds = "acclimatisation_missing_seconds"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double? {
      let value = try container.decodeIfPresent(Double.self, forKey: key)
      try value.map { try BasisBounds.check($0, container.codingPath + [key]) }
      return value
    }
    settling = try container.decodeIfPresent(Bool.self, forKey: .settling)
    sensingIsIll = try container.decodeIfPresent(Bool.self, forKey: .sensingIsIll)
    ambientCelsius = try number(.ambientCelsius)
    ambientDriftCelsiusPerMinute = try number(.ambientDriftCelsiusPerMinute)
    motionCelsius = try number(.motionCelsius)
    deadPixels = try container.decodeIfPresent(Int32.self, forKey: .deadPixels).map(Int.init)
    noiseCelsius = try number(.noiseCelsius)
    clockSynchronised = try container.decodeIfPresent(Bool.self, forKey: .clockSynchronised)
    acclimatisationMissingSeconds = try number(.acclimatisationMissingSeconds)
  }
}
