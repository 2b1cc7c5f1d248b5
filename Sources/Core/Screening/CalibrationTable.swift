/// An exact table from a raw int8 output to a probability: no floating-point fit runs on the device.
package struct CalibrationTable: Sendable, Equatable, Decodable {
  /// 256 entries, parts per million (0...1000000), never falling; entry 0 belongs to raw -128.
  package let partsPerMillion: [Int]

  package init(partsPerMillion: [Int]) throws(ModelManifestError) {
    guard partsPerMillion.count == 256 else {
      throw ModelManifestError(
        field: "decision.calibration.ppm", found: "\(partsPerMillion.count) entries", expected: "256")
    }
    var last = 0
    for (index, value) in partsPerMillion.enumerated() {
      guard (last...1_000_000).contains(value) else {
        throw ModelManifestError(
          field: "decision.calibration.ppm[\(index)]", found: "\(value)", expected: "\(last)...1000000, never falling")
      }
      last = value
    }
    self.partsPerMillion = partsPerMillion
  }

  enum CodingKeys: String, CodingKey {
    case ppm
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(partsPerMillion: container.decode([Int].self, forKey: .ppm))
  }

  /// The calibrated probability (0...1) of a raw output.
  package func probability(ofRaw raw: Int8) -> Double {
    Double(partsPerMillion[Int(raw) + 128]) / 1_000_000
  }
}

/// The two raw values between which a screening model does not speak.
package struct DecisionThresholds: Sendable, Equatable, Decodable {
  /// Raw values up to and including this one are below the threshold; -128 leaves that side out.
  package let lowerRaw: Int8
  /// Raw values from this one on are above the threshold; greater than `lowerRaw`; 127 leaves that side out.
  package let upperRaw: Int8

  /// Where a raw output lies.
  package enum Band: String, Sendable, Equatable {
    case belowThreshold = "below-threshold"
    case uncertain
    case aboveThreshold = "above-threshold"
  }

  package init(lowerRaw: Int8, upperRaw: Int8) throws(ModelManifestError) {
    guard lowerRaw < upperRaw else {
      throw ModelManifestError(
        field: "decision.thresholds", found: "lower \(lowerRaw), upper \(upperRaw)", expected: "lower below upper")
    }
    self.lowerRaw = lowerRaw
    self.upperRaw = upperRaw
  }

  enum CodingKeys: String, CodingKey {
    case lower, upper
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      lowerRaw: container.decode(Int8.self, forKey: .lower), upperRaw: container.decode(Int8.self, forKey: .upper))
  }

  package func band(ofRaw raw: Int8) -> Band {
    if lowerRaw > .min && raw <= lowerRaw { return .belowThreshold }
    return upperRaw < .max && raw >= upperRaw ? .aboveThreshold : .uncertain
  }
}
