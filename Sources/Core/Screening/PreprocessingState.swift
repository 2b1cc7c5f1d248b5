/// One plane of integers, row by row.
struct ThermalPlane: Sendable, Equatable {
  let rows: Int
  let columns: Int
  var values: [Int]
}

/// The planes on their way through a chain.
struct PreprocessingState {
  var planes: [ThermalPlane]
  /// At the size of the planes; nil after a step that changes the size.
  var body: BodyMask?
  /// What `maskBody` found, at the thermogram's size.
  private(set) var foundBody: BodyMask?

  init(planes: [ThermalPlane], body: BodyMask?) {
    self.planes = planes
    self.body = body
    foundBody = body
  }

  mutating func apply(_ step: PreprocessingStep) throws(PreprocessingError) {
    switch step {
    case .suppressOutliers(let limit):
      planes = planes.map { $0.suppressingOutliers(limit: limit) }
    case .maskBody(let method):
      let mask = try BodyMask(of: planes[0], by: method)
      body = mask
      foundBody = mask
    case .erodeBody:
      guard let eroded = body?.eroded() else { throw .featureless }
      body = eroded
    case .requireStructure(let size, let range):
      guard let body, let place = body.flatPlace(in: planes[0], size: size, range: range) else { return }
      throw .structureless(row: place.row, column: place.column)
    case .subtractMean(let region):
      for index in planes.indices {
        let region = values(of: planes[index], in: region)
        let mean = ChainArithmetic.rounded(region.reduce(0, +), dividedBy: region.count)
        planes[index].values = planes[index].values.map { $0 - mean }
      }
    case .fillBackground(let value):
      guard let body else { return }
      for index in planes.indices {
        for pixel in body.pixels.indices where !body.pixels[pixel] { planes[index].values[pixel] = value }
      }
    case .minMax(let levels, let region): try scaleToRange(levels: levels, region)
    case .zScore(let unit, let region): try scaleToDeviation(unit: unit, region)
    case .equaliseHistogram(let levels):
      planes = planes.map { $0.equalised(levels: levels) }
    case .resize(let rows, let columns):
      planes = planes.map { $0.resized(rows: rows, columns: columns) }
      body = nil
    case .foldLeftRight:
      guard let body else { return }
      planes = body.fold(planes[0])
      self.body = nil
    case .replicateChannels(let count):
      planes = Array(repeating: planes[0], count: count)
    case .quantise:
      break
    }
  }

  private func values(of plane: ThermalPlane, in region: PreprocessingStep.Region) -> [Int] {
    guard region == .body, let body else { return plane.values }
    return plane.values.indices.filter { body.pixels[$0] }.map { plane.values[$0] }
  }

  private mutating func scaleToRange(
    levels: Int, _ region: PreprocessingStep.Region
  ) throws(PreprocessingError) {
    for index in planes.indices {
      let region = values(of: planes[index], in: region)
      guard let low = region.min(), let high = region.max(), high > low else { throw .featureless }
      planes[index].values = planes[index].values.map {
        ChainArithmetic.rounded(($0 - low) * (levels - 1), dividedBy: high - low)
      }
    }
  }

  private mutating func scaleToDeviation(
    unit: Int, _ region: PreprocessingStep.Region
  ) throws(PreprocessingError) {
    for index in planes.indices {
      let region = values(of: planes[index], in: region)
      let count = region.count
      let sum = region.reduce(0, +)
      let sumOfSquares = region.reduce(0) { $0 + $1 * $1 }
      // count * standard deviation, because the division is left to the last step.
      let deviation = ChainArithmetic.squareRoot(Int128(count) * Int128(sumOfSquares) - Int128(sum) * Int128(sum))
      guard deviation > 0 else { throw .featureless }
      planes[index].values = planes[index].values.map {
        ChainArithmetic.rounded((count * $0 - sum) * unit, dividedBy: deviation)
      }
    }
  }

  func quantised(divisor: Int, zeroPoint: Int) -> [Int8] {
    var tensor: [Int8] = []
    tensor.reserveCapacity(planes.count * planes[0].values.count)
    for pixel in planes[0].values.indices {
      for plane in planes {
        tensor.append(
          ChainArithmetic.int8(ChainArithmetic.rounded(plane.values[pixel], dividedBy: divisor) + zeroPoint))
      }
    }
    return tensor
  }
}

extension ThermalPlane {
  func suppressingOutliers(limit: Int) -> ThermalPlane {
    var result = self
    var neighbours: [Int] = []
    neighbours.reserveCapacity(8)
    for row in 0..<rows {
      for column in 0..<columns {
        neighbours.removeAll(keepingCapacity: true)
        for r in max(row - 1, 0)...min(row + 1, rows - 1) {
          for c in max(column - 1, 0)...min(column + 1, columns - 1) where r != row || c != column {
            neighbours.append(values[r * columns + c])
          }
        }
        neighbours.sort()
        let middle = neighbours.count / 2
        let median =
          neighbours.count.isMultiple(of: 2)
          ? ChainArithmetic.rounded(neighbours[middle - 1] + neighbours[middle], dividedBy: 2) : neighbours[middle]
        if abs(values[row * columns + column] - median) > limit { result.values[row * columns + column] = median }
      }
    }
    return result
  }

  func equalised(levels: Int) -> ThermalPlane {
    var cumulative = Array(repeating: 0, count: levels)
    for value in values { cumulative[value] += 1 }
    for level in 1..<levels { cumulative[level] += cumulative[level - 1] }
    var result = self
    result.values = values.map { ChainArithmetic.rounded(cumulative[$0] * (levels - 1), dividedBy: values.count) }
    return result
  }

  func resized(rows newRows: Int, columns newColumns: Int) -> ThermalPlane {
    let vertical = Self.taps(from: rows, to: newRows)
    let horizontal = Self.taps(from: columns, to: newColumns)
    let denominator = 4 * newRows * newColumns
    var result: [Int] = []
    result.reserveCapacity(newRows * newColumns)
    for v in vertical {
      for h in horizontal {
        let upper = values[v.low * columns + h.low] * h.lowWeight + values[v.low * columns + h.high] * h.highWeight
        let lower = values[v.high * columns + h.low] * h.lowWeight + values[v.high * columns + h.high] * h.highWeight
        result.append(ChainArithmetic.rounded(upper * v.lowWeight + lower * v.highWeight, dividedBy: denominator))
      }
    }
    return ThermalPlane(rows: newRows, columns: newColumns, values: result)
  }

  private struct Tap {
    let low: Int
    let high: Int
    /// The two weights add up to twice the new count.
    let lowWeight: Int
    let highWeight: Int
  }

  private static func taps(from count: Int, to newCount: Int) -> [Tap] {
    (0..<newCount).map { index in
      let position = min(max((2 * index + 1) * count - newCount, 0), (count - 1) * 2 * newCount)
      let low = position / (2 * newCount)
      let highWeight = position % (2 * newCount)
      return Tap(
        low: low, high: min(low + 1, count - 1), lowWeight: 2 * newCount - highWeight, highWeight: highWeight)
    }
  }
}
