/// How much the picture moved between two sub-pages of the same number, in degC: the largest change of the mean of a
/// block of 4x4 pixels. Noise averages out within a block; an edge that moves by a pixel does not.
struct MotionScore: Sendable {
  private static let blockSize = 4
  private static let blockColumns = SensorGeometry.columns / blockSize
  private static let blockCount = SensorGeometry.pixelCount / (blockSize * blockSize)
  /// Block means of each sub-page number; not a number before the first.
  private var before: [[Float]]
  private var sums: [Float]
  private var counts: [Float]

  init() {
    before = Array(repeating: Array(repeating: .nan, count: Self.blockCount), count: 2)
    sums = Array(repeating: 0, count: Self.blockCount)
    counts = sums
  }

  mutating func forget() {
    for block in 0..<Self.blockCount {
      before[0][block] = .nan
      before[1][block] = .nan
    }
  }

  /// The score of the sub-page that has just been converted into `image`; 0 for the first of its number.
  mutating func add(_ image: TemperatureImage, pattern: ReadingPattern, subPage: Int) -> Double {
    for block in 0..<Self.blockCount {
      sums[block] = 0
      counts[block] = 0
    }
    for pixel in 0..<SensorGeometry.pixelCount where image.valid[pixel] && pattern.subPage(ofPixel: pixel) == subPage {
      let row = pixel / SensorGeometry.columns
      let column = pixel % SensorGeometry.columns
      let block = row / Self.blockSize * Self.blockColumns + column / Self.blockSize
      sums[block] += image.celsius[pixel]
      counts[block] += 1
    }
    var largest: Float = 0
    for block in 0..<Self.blockCount {
      let mean = sums[block] / counts[block]
      let change = abs(mean - before[subPage][block])
      if change > largest { largest = change }
      before[subPage][block] = mean
    }
    return Double(largest)
  }
}
