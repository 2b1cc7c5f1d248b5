/// The mean and the standard error of each pixel over frames, a part of a frame at a time.
struct FrameAverager: Sendable {
  let request: CaptureRequest
  private let geometry: SensorGeometry
  private(set) var restarts = 0
  private(set) var largestMotion = 0.0
  private var counts: [UInt32]
  /// Running mean and sum of squared deviations (Welford), in degC.
  private var means: [Double]
  private var deviations: [Double]
  /// Parts taken in, by their number.
  private var parts: [Int]
  private var ambientSum = 0.0
  private var supplySum = 0.0

  /// - Parameter partCount: parts of a whole frame, at least 1.
  init(_ request: CaptureRequest, geometry: SensorGeometry, partCount: Int) {
    self.request = request
    self.geometry = geometry
    counts = Array(repeating: 0, count: geometry.pixelCount)
    means = Array(repeating: 0, count: geometry.pixelCount)
    deviations = means
    parts = Array(repeating: 0, count: partCount)
  }

  /// Whole frames so far: as many as of the part that was seen least.
  private(set) var frames = 0
  var isComplete: Bool { frames >= request.frames }

  /// Takes in the part that has just been measured into `image`.
  mutating func add(
    _ image: TemperatureImage, _ part: PixelPart, ambientCelsius: Double, supplyVolts: Double, motionCelsius: Double
  ) {
    if motionCelsius > request.motionLimitCelsius, restarts < request.maximumRestarts {
      restart()
      restarts += 1
    }
    largestMotion = max(largestMotion, motionCelsius)
    // A part that has what it needs waits for the others, so that all have the same weight in time.
    guard parts[part.number] < request.frames else { return }
    for pixel in part.pixels where image.valid[pixel] {
      counts[pixel] += 1
      let value = Double(image.celsius[pixel])
      let step = value - means[pixel]
      means[pixel] += step / Double(counts[pixel])
      deviations[pixel] += step * (value - means[pixel])
    }
    ambientSum += ambientCelsius
    supplySum += supplyVolts
    parts[part.number] += 1
    frames = parts.min() ?? 0
  }

  private mutating func restart() {
    for pixel in counts.indices {
      counts[pixel] = 0
      means[pixel] = 0
      deviations[pixel] = 0
    }
    for part in parts.indices { parts[part] = 0 }
    frames = 0
    ambientSum = 0
    supplySum = 0
    largestMotion = 0
  }

  /// The averaged image; a pixel that missed more than half of the frames is invalid. Nil before the first frame.
  func thermogram(partsPerSecond: Double, settling: Bool) -> Thermogram? {
    guard frames > 0 else { return nil }
    let needed = UInt32((frames + 1) / 2)
    let measured = Double(parts.reduce(0, +))
    let ambient = ambientSum / measured
    return Thermogram(
      geometry: geometry,
      celsius: counts.indices.map { counts[$0] >= needed ? Float(means[$0]) : 0 },
      standardErrorCelsius: counts.indices.map { pixel in
        let count = Double(counts[pixel])
        return counts[pixel] >= max(needed, 2) ? Float((deviations[pixel] / (count - 1) / count).squareRoot()) : 0
      },
      states: counts.map { $0 >= needed ? .measured : .invalid }, ambientCelsius: ambient,
      supplyVolts: supplySum / measured, framesAveraged: frames, refreshRateHertz: partsPerSecond,
      emissivity: request.emissivity, reflectedCelsius: request.reflectedCelsius ?? ambient - 8,
      settling: settling, motionCelsius: largestMotion, restarts: restarts)
  }
}
