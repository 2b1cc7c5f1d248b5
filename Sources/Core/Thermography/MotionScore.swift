/// How much the picture moved between two parts of a frame of the same number, in degC: the largest change of the mean of a
/// block of 4x4 pixels. Noise averages out within a block; an edge that moves by a pixel does not.
struct MotionScore: Sendable {
  private static let blockSize = 4
  private let columns: Int
  private let blockColumns: Int
  private let blockCount: Int
  /// Block means of each part's number; not a number before the first.
  private var before: [[Float]]
  private var sums: [Float]
  private var counts: [Float]

  init(geometry: SensorGeometry, partCount: Int) {
    columns = geometry.columns
    blockColumns = (geometry.columns + Self.blockSize - 1) / Self.blockSize
    blockCount = blockColumns * ((geometry.rows + Self.blockSize - 1) / Self.blockSize)
    before = Array(repeating: Array(repeating: .nan, count: blockCount), count: partCount)
    sums = Array(repeating: 0, count: blockCount)
    counts = sums
  }

  mutating func forget() {
    for part in before.indices {
      for block in 0..<blockCount { before[part][block] = .nan }
    }
  }

  /// The score of the part that has just been measured into `image`; 0 for the first of its number.
  mutating func add(_ image: TemperatureImage, _ part: PixelPart) -> Double {
    for block in 0..<blockCount {
      sums[block] = 0
      counts[block] = 0
    }
    for pixel in part.pixels where image.valid[pixel] {
      let row = pixel / columns
      let column = pixel % columns
      let block = row / Self.blockSize * blockColumns + column / Self.blockSize
      sums[block] += image.celsius[pixel]
      counts[block] += 1
    }
    var largest: Float = 0
    for block in 0..<blockCount {
      let mean = sums[block] / counts[block]
      let change = abs(mean - before[part.number][block])
      if change > largest { largest = change }
      before[part.number][block] = mean
    }
    return Double(largest)
  }
}
