/// Finds pixels that die while the sensor runs: words that never change (dead, stuck) and pixels much noisier than
/// the others.
struct PixelHealth: Sendable {
  /// Sub-pages of its own number that a pixel must be seen in before it is judged, and between judgements.
  static let window = 64
  /// A pixel is noisy when its changes from frame to frame exceed the median pixel's by this factor, and 0.5 degC.
  static let noiseFactor: Float = 6
  static let minimumNoiseCelsius: Float = 0.5
  /// When more pixels than this keep their words, it is the scene or the converter's resolution, not the pixels.
  static let maximumStuck = 38

  /// Suspect pixels by the last judgement, in ascending order.
  private(set) var suspects: [Int] = []

  private var words = Array(repeating: SubPage.unmeasured, count: MLX90640Geometry.pixelCount)
  private var unchanged = Array(repeating: UInt16(0), count: MLX90640Geometry.pixelCount)
  private var values = Array(repeating: Float(0), count: MLX90640Geometry.pixelCount)
  /// Sum of squared changes since the last judgement, degC^2.
  private var power = Array(repeating: Float(0), count: MLX90640Geometry.pixelCount)
  private var sorted = Array(repeating: Float(0), count: MLX90640Geometry.pixelCount)
  private var seen = (0, 0)

  init() {}

  /// Takes in one sub-page with its temperatures.
  ///
  /// - Returns: whether `suspects` has changed.
  mutating func add(_ subPage: SubPage, _ image: TemperatureImage, isStill: Bool) -> Bool {
    // Before a stretch of stillness nothing can be compared.
    let comparable = isStill && (subPage.number == 0 ? seen.0 : seen.1) > 0
    let pattern = subPage.control.pattern
    for pixel in 0..<MLX90640Geometry.pixelCount where pattern.subPage(ofPixel: pixel) == subPage.number {
      let word = subPage.words[pixel]
      unchanged[pixel] = word == words[pixel] ? min(unchanged[pixel] + 1, 1000) : 0
      words[pixel] = word
      if comparable {
        let change = image.celsius[pixel] - values[pixel]
        power[pixel] += change * change
      }
      values[pixel] = image.celsius[pixel]
    }
    if isStill {
      if subPage.number == 0 { seen.0 += 1 } else { seen.1 += 1 }
    }
    guard min(seen.0, seen.1) > Self.window else { return false }
    return judge()
  }

  private mutating func judge() -> Bool {
    for pixel in power.indices { sorted[pixel] = power[pixel] }
    sorted.sort()
    let median = sorted[sorted.count / 2]
    let floor = Self.minimumNoiseCelsius * Self.minimumNoiseCelsius * Float(Self.window)
    let limit = max(median * Self.noiseFactor * Self.noiseFactor, floor)
    let stuck = unchanged.indices.filter { unchanged[$0] >= Self.window }
    let noisy = power.indices.filter { power[$0] > limit }
    let found = Set((stuck.count <= Self.maximumStuck ? stuck : []) + noisy).sorted()
    for pixel in power.indices { power[pixel] = 0 }
    seen = (1, 1)
    defer { suspects = found }
    return found != suspects
  }
}
