/// A recording in the place of the sensor: the sub-pages of `camera dump`, over and over, at the rate at which they were
/// taken.
///
/// What it cannot show: the driver and the bus. The maths, the averaging and everything behind them are the device's own.
package struct RecordedCamera: Sendable {
  /// Of the recording.
  package let eeprom: EEPROMImage
  package let refreshRate: RefreshRate
  /// Whole frames in the recording: a capture that averages no more of them takes none twice.
  package let frameCount: Int

  private let subPages: [SubPage]
  private let clock: any SensorClock
  private var pipeline: CapturePipeline
  private var next = 0
  private var dueMicroseconds: UInt64?

  /// - Parameters:
  ///   - subPages: in the order of the recording; both halves must be there.
  ///   - settlingSeconds: as for `ThermalCamera`; a recording tells nothing of the time before it.
  package init(
    eeprom: EEPROMImage, subPages: [SubPage], clock: any SensorClock, settlingSeconds: Double = 0
  ) throws(RecordingError) {
    let faults = eeprom.faults
    guard faults.isEmpty else {
      throw RecordingError("the EEPROM is no sensor's: " + faults.map { "\($0)" }.joined(separator: "; "))
    }
    let counts = (0...1).map { number in subPages.count { $0.number == number } }
    guard let first = subPages.first, counts.allSatisfy({ $0 > 0 }) else {
      throw RecordingError("\(subPages.count) sub-pages; expected both halves of a frame, at least")
    }
    self.eeprom = eeprom
    self.subPages = subPages
    self.clock = clock
    refreshRate = first.control.refreshRate
    frameCount = min(counts[0], counts[1])
    pipeline = CapturePipeline(
      converter: TemperatureConverter(Calibration(eeprom)), defects: eeprom.defectivePixels,
      settlingSeconds: settlingSeconds)
  }

  package var live: TemperatureImage { pipeline.live }

  /// The next sub-page, when it is due.
  package mutating func step() -> CameraStep {
    let due = (dueMicroseconds ?? clock.nowMicroseconds) + UInt64(refreshRate.periodMicroseconds)
    clock.sleep(untilMicroseconds: due)
    dueMicroseconds = max(due, clock.nowMicroseconds)
    let subPage = subPages[next]
    next = (next + 1) % subPages.count
    return pipeline.add(subPage, refreshRate: refreshRate, nowMicroseconds: clock.nowMicroseconds)
  }

  package mutating func begin(_ request: CaptureRequest) { pipeline.begin(request) }
  package mutating func cancel() { pipeline.cancel() }
  package mutating func takeThermogram() -> Thermogram? { pipeline.takeThermogram() }
}

/// Why a recording cannot be played.
package struct RecordingError: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}
