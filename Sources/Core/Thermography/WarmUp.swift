/// Whether the sensor has warmed up: its readings drift for minutes after power is applied.
struct WarmUp: Sendable {
  /// Seconds that must pass since the first sub-page, unless the owner knows better.
  static let defaultSeconds = Double(ThermalCamera.settlingSecondsByDefault)
  /// The die may change by no more than this many degC a minute.
  static let maximumSlopeCelsiusPerMinute = 0.1

  private let minimumSeconds: Double
  private var startMicroseconds: UInt64?
  private var windowStartMicroseconds: UInt64 = 0
  private var windowStartCelsius = 0.0
  private var slopeCelsiusPerMinute = Double.infinity

  init(minimumSeconds: Double = WarmUp.defaultSeconds) {
    self.minimumSeconds = minimumSeconds
  }

  /// Takes in one reading of the die's temperature.
  mutating func isSettling(ambientCelsius: Double, nowMicroseconds now: UInt64) -> Bool {
    guard let start = startMicroseconds else {
      startMicroseconds = now
      windowStartMicroseconds = now
      windowStartCelsius = ambientCelsius
      return true
    }
    let minutes = Double(now - windowStartMicroseconds) / 60e6
    if minutes >= 0.5 {
      slopeCelsiusPerMinute = abs(ambientCelsius - windowStartCelsius) / minutes
      windowStartMicroseconds = now
      windowStartCelsius = ambientCelsius
    }
    let warm = Double(now - start) / 1e6 >= minimumSeconds
    // With no time to settle there is no slope to wait for either.
    return !warm || (minimumSeconds > 0 && slopeCelsiusPerMinute > Self.maximumSlopeCelsiusPerMinute)
  }
}
