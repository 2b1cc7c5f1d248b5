import Thermography

/// The difference of two Gaussians over the pixels that can be compared, with its answers to noise and to a spot of
/// height 1: what changes smoothly over the whole skin cancels, a spot of `spotSigmaPixels` answers.
struct SpotFilter {
  static let spotSigmaPixels = 1.3
  private static let narrowSigmaPixels = 1.0
  private static let wideSigmaPixels = 2.8
  private static let reach = 8
  /// What an assessed pixel keeps of the answer to a spot far from any edge, and of the narrow Gaussian.
  private static let answerShare = 0.6
  private static let coverShare = 0.55
  private static let weightFloor = 1e-9

  private let narrow: [Double]
  private let wide: [Double]
  private let narrowSpot: [Double]
  private let wideSpot: [Double]
  private let narrowSquare: [Double]
  private let product: [Double]
  private let wideSquare: [Double]
  private let wholeAnswer: Double
  private let wholeCover: Double

  /// 1 where a pixel can be compared, else 0.
  private var valid: [Double]
  private var narrowWeight: [Double]
  private var wideWeight: [Double]
  /// The answer to a spot of height 1, at each pixel.
  private(set) var spot: [Double]
  /// The variance of the answer to white noise of variance 1.
  private(set) var noise: [Double]
  /// Pixels at which a change is looked for.
  private(set) var assessed: [Bool]
  private var masked: [Double]
  private var scratch: [Double]

  init(_ geometry: SensorGeometry) {
    let spotValues = gaussian(sigmaPixels: Self.spotSigmaPixels, reach: Self.reach)
    narrow = gaussian(sigmaPixels: Self.narrowSigmaPixels, reach: Self.reach)
    wide = gaussian(sigmaPixels: Self.wideSigmaPixels, reach: Self.reach)
    narrowSpot = zip(narrow, spotValues).map { $0 * $1 }
    wideSpot = zip(wide, spotValues).map { $0 * $1 }
    narrowSquare = narrow.map { $0 * $0 }
    product = zip(narrow, wide).map { $0 * $1 }
    wideSquare = wide.map { $0 * $0 }
    func square(_ value: Double) -> Double { value * value }
    let spot2 = square(Self.spotSigmaPixels)
    wholeAnswer = spot2 / (spot2 + square(Self.narrowSigmaPixels)) - spot2 / (spot2 + square(Self.wideSigmaPixels))
    wholeCover = square(narrow.reduce(0, +))
    let plane = Array(repeating: 0.0, count: geometry.pixelCount)
    (valid, narrowWeight, wideWeight, spot, noise, masked, scratch) = (plane, plane, plane, plane, plane, plane, plane)
    assessed = Array(repeating: false, count: geometry.pixelCount)
  }

  /// Prepares the filter for pictures that can be compared at these pixels.
  mutating func prepare(valid flags: [Bool], _ filter: inout PlaneFilter) {
    for pixel in valid.indices { valid[pixel] = flags[pixel] ? 1 : 0 }
    filter.convolve(valid, with: narrow, into: &narrowWeight)
    filter.convolve(valid, with: wide, into: &wideWeight)
    for pixel in valid.indices {
      narrowWeight[pixel] = max(narrowWeight[pixel], Self.weightFloor)
      wideWeight[pixel] = max(wideWeight[pixel], Self.weightFloor)
    }
    filter.convolve(valid, with: narrowSpot, into: &spot)
    filter.convolve(valid, with: wideSpot, into: &scratch)
    for pixel in valid.indices {
      spot[pixel] = spot[pixel] / narrowWeight[pixel] - scratch[pixel] / wideWeight[pixel]
    }
    filter.convolve(valid, with: narrowSquare, into: &noise)
    filter.convolve(valid, with: product, into: &scratch)
    for pixel in valid.indices {
      let (a, b) = (narrowWeight[pixel], wideWeight[pixel])
      noise[pixel] = noise[pixel] / (a * a) - 2 * scratch[pixel] / (a * b)
    }
    filter.convolve(valid, with: wideSquare, into: &scratch)
    for pixel in valid.indices {
      noise[pixel] += scratch[pixel] / (wideWeight[pixel] * wideWeight[pixel])
      assessed[pixel] =
        flags[pixel] && spot[pixel] > Self.answerShare * wholeAnswer
        && narrowWeight[pixel] > Self.coverShare * wholeCover
    }
  }

  /// The answer to a picture; what it holds beyond the valid pixels does not count.
  mutating func apply(_ plane: [Double], _ filter: inout PlaneFilter, into result: inout [Double]) {
    for pixel in valid.indices { masked[pixel] = valid[pixel] > 0 ? plane[pixel] : 0 }
    filter.convolve(masked, with: narrow, into: &result)
    filter.convolve(masked, with: wide, into: &scratch)
    for pixel in valid.indices {
      result[pixel] = result[pixel] / narrowWeight[pixel] - scratch[pixel] / wideWeight[pixel]
    }
  }
}
