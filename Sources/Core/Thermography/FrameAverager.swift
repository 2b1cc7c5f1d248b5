/// The mean and the standard error of each pixel over frames, a sub-page at a time.
struct FrameAverager: Sendable {
  let request: CaptureRequest
  private(set) var restarts = 0
  private(set) var largestMotion = 0.0
  private var counts: [UInt32]
  /// Running mean and sum of squared deviations (Welford), in degC.
  private var means: [Double]
  private var deviations: [Double]
  private var subPages = (0, 0)
  private var ambientSum = 0.0
  private var supplySum = 0.0

  init(_ request: CaptureRequest) {
    self.request = request
    counts = Array(repeating: 0, count: SensorGeometry.pixelCount)
    means = Array(repeating: 0, count: SensorGeometry.pixelCount)
    deviations = means
  }

  /// Whole frames so far: sub-page pairs.
  var frames: Int { min(subPages.0, subPages.1) }
  var isComplete: Bool { frames >= request.frames }

  /// Takes in the sub-page that has just been converted into `image`.
  mutating func add(
    _ image: TemperatureImage, pattern: ReadingPattern, subPage: Int, point: OperatingPoint, motionCelsius: Double
  ) {
    if motionCelsius > request.motionLimitCelsius, restarts < request.maximumRestarts {
      restart()
      restarts += 1
    }
    largestMotion = max(largestMotion, motionCelsius)
    // A sub-page that has what it needs waits for its twin, so that both halves have the same weight in time.
    let wanted = subPage == 0 ? subPages.0 : subPages.1
    guard wanted < request.frames else { return }
    for pixel in 0..<SensorGeometry.pixelCount where image.valid[pixel] && pattern.subPage(ofPixel: pixel) == subPage {
      counts[pixel] += 1
      let value = Double(image.celsius[pixel])
      let step = value - means[pixel]
      means[pixel] += step / Double(counts[pixel])
      deviations[pixel] += step * (value - means[pixel])
    }
    ambientSum += point.taCelsius
    supplySum += point.vddVolts
    if subPage == 0 { subPages.0 += 1 } else { subPages.1 += 1 }
  }

  private mutating func restart() {
    for pixel in 0..<SensorGeometry.pixelCount {
      counts[pixel] = 0
      means[pixel] = 0
      deviations[pixel] = 0
    }
    subPages = (0, 0)
    ambientSum = 0
    supplySum = 0
    largestMotion = 0
  }

  /// The averaged image; a pixel that missed more than half of the frames is invalid. Nil before the first frame.
  func thermogram(refreshRate: RefreshRate, settling: Bool) -> Thermogram? {
    guard frames > 0 else { return nil }
    let needed = UInt32((frames + 1) / 2)
    let measured = Double(subPages.0 + subPages.1)
    let ambient = ambientSum / measured
    return Thermogram(
      celsius: counts.indices.map { counts[$0] >= needed ? Float(means[$0]) : 0 },
      standardErrorCelsius: counts.indices.map { pixel in
        let count = Double(counts[pixel])
        return counts[pixel] >= max(needed, 2) ? Float((deviations[pixel] / (count - 1) / count).squareRoot()) : 0
      },
      states: counts.map { $0 >= needed ? .measured : .invalid }, ambientCelsius: ambient,
      supplyVolts: supplySum / measured, framesAveraged: frames, refreshRateHertz: refreshRate.subPagesPerSecond,
      emissivity: request.emissivity, reflectedCelsius: request.reflectedCelsius ?? ambient - 8,
      settling: settling, motionCelsius: largestMotion, restarts: restarts)
  }
}
