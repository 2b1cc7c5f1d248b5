import Thermography

/// One step of a preprocessing chain. All steps are integer arithmetic on planes of equal size, so that the training
/// scripts and the device agree to the last bit, and each commutes with mirroring the thermogram left to right.
package enum PreprocessingStep: Sendable, Equatable {
  /// Where a mean, a minimum or a maximum is taken.
  package enum Region: String, Sendable, Equatable, Decodable {
    case frame
    /// The pixels that `maskBody` found.
    case body
  }

  /// A pixel that differs by more than `limit` (centikelvin) from the median of its up to eight neighbours becomes
  /// that median.
  case suppressOutliers(limit: Int)
  /// How the body is told from the room: by a threshold on a histogram of 250 bins of 10 centikelvin from the minimum.
  package enum MaskMethod: String, Sendable, Equatable, Decodable {
    case otsu
    /// Kittler and Illingworth's, no higher than Otsu's: room and body may be of different evenness.
    case minimumError = "minimum-error"
  }

  /// Finds the body: the pixels above the threshold.
  case maskBody(MaskMethod = .otsu)
  /// Takes the pixels of the edge out of the body: they are part skin, part room.
  case erodeBody
  /// Changes nothing; refuses a thermogram in which `size` x `size` pixels of the body lie within less than `range`
  /// centikelvin: no bare skin is so flat, so something covers it, or it was painted over.
  case requireStructure(size: Int, range: Int)
  /// Subtracts the rounded mean.
  case subtractMean(Region)
  /// Pixels outside the body become `value`.
  case fillBackground(value: Int)
  /// (x - min) * (levels - 1) / (max - min): 0...levels-1.
  case minMax(levels: Int, Region)
  /// (x - mean) * unit / standard deviation.
  case zScore(unit: Int, Region)
  /// round(cdf * (levels - 1)) of values 0...levels-1.
  case equaliseHistogram(levels: Int)
  /// Bilinear, pixel centres at half integers.
  case resize(rows: Int, columns: Int)
  /// Folds the left half onto the right about the body's midline; three planes of half the width: mean of the pair,
  /// |left - right|, |left - right - mean(left - right)|; 0 where one of the pair is no body.
  case foldLeftRight
  /// Copies the only plane.
  case replicateChannels(count: Int)
  /// clamp(round(x / divisor) + zeroPoint) to int8; the last step of every chain.
  case quantise(divisor: Int, zeroPoint: Int)
}

extension PreprocessingStep: Decodable {
  private enum CodingKeys: String, CodingKey {
    case step, limit, value, levels, unit, rows, columns, count, divisor, region, size, range, method
    case zeroPoint = "zero_point"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func integer(_ key: CodingKeys) throws -> Int { try container.decode(Int.self, forKey: key) }
    let name = try container.decode(String.self, forKey: .step)
    switch name {
    case "suppress-outliers": self = .suppressOutliers(limit: try integer(.limit))
    case "mask-body":
      self = .maskBody(try container.decodeIfPresent(MaskMethod.self, forKey: .method) ?? .otsu)
    case "erode-body": self = .erodeBody
    case "require-structure":
      self = .requireStructure(size: try integer(.size), range: try integer(.range))
    case "subtract-mean": self = .subtractMean(try container.decode(Region.self, forKey: .region))
    case "fill-background": self = .fillBackground(value: try integer(.value))
    case "min-max":
      self = .minMax(levels: try integer(.levels), try container.decode(Region.self, forKey: .region))
    case "z-score": self = .zScore(unit: try integer(.unit), try container.decode(Region.self, forKey: .region))
    case "equalise-histogram": self = .equaliseHistogram(levels: try integer(.levels))
    case "resize": self = .resize(rows: try integer(.rows), columns: try integer(.columns))
    case "fold-left-right": self = .foldLeftRight
    case "replicate-channels": self = .replicateChannels(count: try integer(.count))
    case "quantise":
      self = .quantise(divisor: try integer(.divisor), zeroPoint: try integer(.zeroPoint))
    default:
      throw DecodingError.dataCorruptedError(
        forKey: .step, in: container, debugDescription: "the unknown step \"\(name)\"")
    }
  }
}

/// Why a thermogram could not be made into an input tensor, or a chain cannot run.
package enum PreprocessingError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The array has not a value a pixel.
  case wrongSize(count: Int, expected: Int)
  /// The model was made for pictures of another size, and its chain does not resize.
  case otherGeometry(found: SensorGeometry, expected: SensorGeometry)
  /// A pixel without a usable temperature: interpolate it first.
  case missingPixel(row: Int, column: Int)
  /// All pixels of the region are equal, so nothing can be seen or scaled.
  case featureless
  /// Pixels of the body from `row`, `column` on that are flatter than skin.
  case structureless(row: Int, column: Int)
  /// The step at `index` cannot stand there.
  case badStep(index: Int, reason: String)

  package var description: String {
    switch self {
    case .wrongSize(let count, let expected):
      "thermogram: \(count) pixels; expected \(expected)"
    case .otherGeometry(let found, let expected):
      "the sensor's pictures are of \(found) pixels and the model was made for \(expected); its chain does not resize"
    case .missingPixel(let row, let column):
      "thermogram: row \(row), column \(column) has no temperature in 0...65535 centikelvin; interpolate it first"
    case .featureless:
      "thermogram: all pixels are equal; expected a scene"
    case .structureless(let row, let column):
      "thermogram: the body is without any structure around row \(row), column \(column); expected bare skin"
    case .badStep(let index, let reason):
      "preprocessing step \(index): \(reason)"
    }
  }
}
