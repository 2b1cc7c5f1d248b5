/// From measured parts of a frame to thermograms, whatever the sensor: motion, warm-up, averaging, interpolation.
///
/// Allocates at `begin` and for the finished thermogram, never for a part.
package struct FrameAssembly: Sendable {
  private let geometry: SensorGeometry
  private let partCount: Int
  private var motion: MotionScore
  private var warmUp: WarmUp
  private var averager: FrameAverager?
  private var finished: Thermogram?
  package private(set) var request = CaptureRequest()

  /// - Parameters:
  ///   - partCount: parts of a whole frame, at least 1.
  ///   - settlingSeconds: how long the sensor counts as settling after the first part; nil: the usual.
  package init(geometry: SensorGeometry, partCount: Int, settlingSeconds: Double? = nil) {
    self.geometry = geometry
    self.partCount = partCount
    motion = MotionScore(geometry: geometry, partCount: partCount)
    warmUp = WarmUp(minimumSeconds: settlingSeconds ?? WarmUp.defaultSeconds)
  }

  /// The motion score of the part that has just been measured into `image`, in degC; comes before `add`.
  package mutating func motionCelsius(of image: TemperatureImage, _ part: PixelPart) -> Double {
    motion.add(image, part)
  }

  /// Takes in the part that has just been measured into `image`.
  package mutating func add(
    _ image: TemperatureImage, _ part: PixelPart, motionCelsius: Double, ambientCelsius: Double, supplyVolts: Double,
    partsPerSecond: Double, nowMicroseconds: UInt64, defects: DefectivePixels
  ) -> CameraStep {
    let settling = warmUp.isSettling(ambientCelsius: ambientCelsius, nowMicroseconds: nowMicroseconds)
    averager?.add(
      image, part, ambientCelsius: ambientCelsius, supplyVolts: supplyVolts, motionCelsius: motionCelsius)
    if averager?.isComplete == true {
      finished = averager?.thermogram(partsPerSecond: partsPerSecond, settling: settling)?.interpolated(over: defects)
    }
    let step = CameraStep(
      subPage: part.number, ambientCelsius: ambientCelsius, supplyVolts: supplyVolts, motionCelsius: motionCelsius,
      settling: settling, framesAveraged: averager?.frames, captureComplete: finished != nil)
    if finished != nil { averager = nil }
    return step
  }

  /// Starts averaging; a capture under way is given up.
  package mutating func begin(_ request: CaptureRequest) {
    self.request = request
    averager = FrameAverager(request, geometry: geometry, partCount: partCount)
    finished = nil
  }

  /// Gives up the capture under way, if any.
  package mutating func cancel() { averager = nil }

  /// The thermogram that the last part completed, once.
  package mutating func takeThermogram() -> Thermogram? {
    defer { finished = nil }
    return finished
  }

  /// The stream broke off: nothing before it may be compared with what comes.
  package mutating func interrupt() { motion.forget() }
}
