import Thermography

/// The way from a thermogram in centikelvin to a model's int8 input tensor, checked when it is made.
package struct PreprocessingChain: Sendable, Equatable {
  /// The thermogram that a chain of manifest format 1 is made for. One that resizes takes others too.
  package static let modelGeometry = SensorGeometry.mlx90640
  package static let stepLimit = 16

  package let steps: [PreprocessingStep]
  /// Rows, columns, channels.
  package let outputShape: [Int]

  /// Throws `PreprocessingError.badStep` when the steps do not fit together.
  package init(steps: [PreprocessingStep]) throws(PreprocessingError) {
    guard steps.count <= Self.stepLimit else {
      throw .badStep(index: Self.stepLimit, reason: "more than \(Self.stepLimit) steps")
    }
    var check = PreprocessingCheck()
    for (index, step) in steps.enumerated() {
      if let reason = check.refusal(of: step) { throw .badStep(index: index, reason: reason) }
    }
    guard check.isQuantised else {
      throw .badStep(index: steps.count, reason: "the chain ends without quantise")
    }
    self.steps = steps
    outputShape = [check.rows, check.columns, check.channels]
  }

  /// What a chain gives for one thermogram.
  package struct Result: Sendable, Equatable {
    /// Row by row, channels last.
    package let tensor: [Int8]
    /// The body, when the chain looked for it.
    package let body: BodyMask?
  }

  /// `thermogram`: values row by row, degC, of a sensor of `geometry`.
  package func apply(
    toCelsius thermogram: [Float], _ geometry: SensorGeometry = PreprocessingChain.modelGeometry
  ) throws(PreprocessingError) -> Result {
    var pixels: [Int] = []
    pixels.reserveCapacity(thermogram.count)
    for (index, celsius) in thermogram.enumerated() {
      guard let value = Centikelvin.nearest(toCelsius: celsius) else {
        throw .missingPixel(row: index / geometry.columns, column: index % geometry.columns)
      }
      pixels.append(value)
    }
    return try apply(toCentikelvin: pixels, geometry)
  }

  /// `thermogram`: values row by row, centikelvin in 0...65535, of a sensor of `geometry`.
  package func apply(
    toCentikelvin thermogram: [Int], _ geometry: SensorGeometry = PreprocessingChain.modelGeometry
  ) throws(PreprocessingError) -> Result {
    guard takes(geometry) else { throw .otherGeometry(found: geometry, expected: Self.modelGeometry) }
    guard thermogram.count == geometry.pixelCount else {
      throw .wrongSize(count: thermogram.count, expected: geometry.pixelCount)
    }
    if let index = thermogram.firstIndex(where: { !(0...65535).contains($0) }) {
      throw .missingPixel(row: index / geometry.columns, column: index % geometry.columns)
    }
    var state = PreprocessingState(
      planes: [ThermalPlane(rows: geometry.rows, columns: geometry.columns, values: thermogram)], body: nil)
    var tensor: [Int8] = []
    for step in steps {
      if case .quantise(let divisor, let zeroPoint) = step {
        tensor = state.quantised(divisor: divisor, zeroPoint: zeroPoint)
      } else {
        try state.apply(step)
      }
    }
    return Result(tensor: tensor, body: state.foundBody)
  }
}

extension PreprocessingChain {
  /// Whether a thermogram of that size becomes the tensor that the model takes: its own size does, another one where the
  /// chain resizes.
  package func takes(_ geometry: SensorGeometry) -> Bool {
    if geometry == Self.modelGeometry { return true }
    var check = PreprocessingCheck(rows: geometry.rows, columns: geometry.columns)
    return steps.allSatisfy { check.refusal(of: $0) == nil }
      && [check.rows, check.columns, check.channels] == outputShape
  }
}

/// Follows the shape of a chain without data.
private struct PreprocessingCheck {
  var rows = PreprocessingChain.modelGeometry.rows
  var columns = PreprocessingChain.modelGeometry.columns
  var channels = 1
  var hasMask = false
  /// Values lie in 0..<levels.
  var levels: Int?
  var isQuantised = false

  /// Why `step` cannot come next, or nil after taking it.
  mutating func refusal(of step: PreprocessingStep) -> String? {
    if isQuantised { return "nothing may follow quantise" }
    switch step {
    case .suppressOutliers(let limit):
      guard (1...65535).contains(limit) else { return "limit \(limit); expected 1...65535 centikelvin" }
    case .maskBody:
      guard levels == nil else { return "mask-body needs temperatures, before they are scaled" }
      hasMask = true
    case .erodeBody:
      guard hasMask else { return "erode-body needs mask-body before it" }
    case .requireStructure(let size, let range):
      guard hasMask else { return "require-structure needs mask-body before it" }
      guard (2...8).contains(size) && (1...1000).contains(range) else {
        return "size \(size), range \(range); expected 2...8 pixels and 1...1000 centikelvin"
      }
    case .subtractMean(let region):
      if let reason = refusal(of: region) { return reason }
      levels = nil
    case .fillBackground(let value):
      guard hasMask else { return "fill-background needs mask-body before it" }
      guard abs(value) <= 65535 else { return "value \(value); expected a magnitude up to 65535" }
      if let levels, !(0..<levels).contains(value) { return "value \(value); expected 0..<\(levels)" }
    case .minMax(let levels, let region):
      if let reason = refusal(of: region) { return reason }
      guard (2...65536).contains(levels) else { return "levels \(levels); expected 2...65536" }
      self.levels = region == .frame ? levels : nil
    case .zScore(let unit, let region):
      if let reason = refusal(of: region) { return reason }
      guard (1...4096).contains(unit) else { return "unit \(unit); expected 1...4096" }
      levels = nil
    case .equaliseHistogram(let levels):
      guard self.levels == levels else { return "equalise-histogram needs min-max over the frame to as many levels" }
    case .resize(let rows, let columns):
      guard (1...96).contains(rows) && (1...96).contains(columns) else {
        return "\(rows) x \(columns); expected 1...96"
      }
      (self.rows, self.columns) = (rows, columns)
      hasMask = false
    case .foldLeftRight:
      guard hasMask && channels == 1 && columns.isMultiple(of: 2) else {
        return "fold-left-right needs mask-body before it and one plane of even width"
      }
      (columns, channels, hasMask, levels) = (columns / 2, 3, false, nil)
    case .replicateChannels(let count):
      guard channels == 1 && (1...8).contains(count) else { return "needs one plane and a count of 1...8" }
      channels = count
    case .quantise(let divisor, let zeroPoint):
      guard (1...65535).contains(divisor) else { return "divisor \(divisor); expected 1...65535" }
      guard (-128...127).contains(zeroPoint) else { return "zero_point \(zeroPoint); expected -128...127" }
      isQuantised = true
    }
    return nil
  }

  private func refusal(of region: PreprocessingStep.Region) -> String? {
    region == .body && !hasMask ? "the region body needs mask-body before it, at the same size" : nil
  }
}
