/// The limits of the quality gates. The defaults are those of a torso at about 50 cm in front of the 55-degree lens.
package struct GateLimits: Sendable, Equatable {
  package var ambientMinimumCelsius = 18.0
  package var ambientMaximumCelsius = 25.0
  /// Change of the sensor's own temperature, degC a minute.
  package var ambientDriftMaximumCelsiusPerMinute = 0.2
  package var subjectMinimumShare = 0.35
  package var subjectMaximumShare = 0.92
  /// Share of the subject's rows that may touch one side edge of the frame.
  package var edgeMaximumShare = 0.6
  /// Distance of the midline from the frame's centre, in columns.
  package var offCentreMaximumColumns = 3.5
  /// Tangent of the tilt, in columns a row; 0.2 is 11 degrees.
  package var tiltMaximum = 0.2
  /// Largest change of a 4x4 block between sub-pages, degC: noise alone reaches 1 at 16 Hz.
  package var motionMaximumCelsius = 1.5
  /// Hottest pixel above the subject's 99th percentile, degC.
  package var hotObjectMaximumCelsius = 4.0
  /// Coldest pixel below the background, degC.
  package var coldObjectMaximumCelsius = 6.0
  /// The subject's 99th percentile: bare skin reaches it, clothing does not.
  package var skinMinimumCelsius = 30.0
  package var deadPixelsMaximum = 10
  package var checkerboardMaximumCelsius = 0.3
  /// Mean standard error of the pixels, degC.
  package var noiseMaximumCelsius = 0.2
  /// Step across the outline, degC a pixel.
  package var outlineMinimumCelsius = 0.8

  package init() {}
}

/// What the acquisition knows beside the picture itself; nil is "not known", and its gate is then left out.
package struct AcquisitionConditions: Sendable, Equatable {
  /// The room, degC.
  package var ambientCelsius: Double?
  package var ambientDriftCelsiusPerMinute: Double?
  package var settling: Bool?
  package var motionCelsius: Double?
  package var deadPixels: Int?
  package var noiseCelsius: Double?
  package var clockSynchronised: Bool?
  /// Seconds of rest that are still missing; 0 when the patient rested long enough.
  package var acclimatisationMissingSeconds: Double?

  package init() {}
}
