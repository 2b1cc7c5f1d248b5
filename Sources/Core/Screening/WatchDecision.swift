/// The `decision` of a sentinel's manifest: how windows become an alert over time. All figures are integers, so that the
/// device and the scripts that computed them do the same.
package struct WatchDecision: Sendable, Equatable, Decodable {
  package enum Rule: String, Sendable, Equatable, Decodable {
    /// A cumulative sum of log-odds for each head (Page 1954).
    case cusum
  }

  /// Of the sensing's health, and of attacks.
  package struct Head: Sendable, Equatable, Decodable {
    /// Which raw int8 output says how likely normal is.
    package let output: Int
    package let element: Int
    /// From that output to P(normal).
    package let calibration: CalibrationTable
    /// In 1/256 bit of log-odds: what a window of normal use is worth less than nothing; 0...65536.
    package let slackQ8: Int
    /// No window counts for more, 1...65536.
    package let clipQ8: Int
    /// The head speaks while its sum is above, 1...2^24.
    package let thresholdQ8: Int

    package init(
      output: Int, element: Int, calibration: CalibrationTable, slackQ8: Int, clipQ8: Int, thresholdQ8: Int
    ) {
      self.output = output
      self.element = element
      self.calibration = calibration
      self.slackQ8 = slackQ8
      self.clipQ8 = clipQ8
      self.thresholdQ8 = thresholdQ8
    }

    enum CodingKeys: String, CodingKey {
      case output, element, calibration
      case slackQ8 = "slack_q8"
      case clipQ8 = "clip_q8"
      case thresholdQ8 = "threshold_q8"
    }
  }

  package let rule: Rule
  package let health: Head
  package let cyber: Head
  /// By so much one of P_h and P_c must be above the other, 0...1000.
  package let deltaPerMille: Int
  /// Quiet windows that end what a head said, 1...10000.
  package let releaseWindows: Int

  package init(health: Head, cyber: Head, deltaPerMille: Int, releaseWindows: Int) {
    rule = .cusum
    self.health = health
    self.cyber = cyber
    self.deltaPerMille = deltaPerMille
    self.releaseWindows = releaseWindows
  }

  enum CodingKeys: String, CodingKey {
    case rule, health, cyber
    case deltaPerMille = "delta_per_mille"
    case releaseWindows = "release_windows"
  }

  func validate(_ outputs: [ModelManifest.Output]) throws(ModelManifestError) {
    func require(_ value: Int, _ range: ClosedRange<Int>, _ field: String) throws(ModelManifestError) {
      guard range.contains(value) else {
        throw ModelManifestError(
          field: "decision.\(field)", found: "\(value)", expected: "\(range.lowerBound)...\(range.upperBound)")
      }
    }
    try require(deltaPerMille, 0...1000, "delta_per_mille")
    try require(releaseWindows, 1...10_000, "release_windows")
    for (name, head) in [("health", health), ("cyber", cyber)] {
      try require(head.output, 0...(outputs.count - 1), "\(name).output")
      let labels = outputs[head.output].labels
      try require(head.element, 0...(labels.count - 1), "\(name).element")
      guard labels[head.element] == "normal" else {
        throw ModelManifestError(
          field: "decision.\(name).element", found: "the label \(labels[head.element])", expected: "normal")
      }
      try require(head.slackQ8, 0...65_536, "\(name).slack_q8")
      try require(head.clipQ8, 1...65_536, "\(name).clip_q8")
      try require(head.thresholdQ8, 1...16_777_216, "\(name).threshold_q8")
    }
  }
}

/// What `decision` of a manifest holds goes by what the model is for.
enum ModelDecision: Decodable {
  case score(ModelManifest.Decision)
  case watch(WatchDecision)

  private enum CodingKeys: String, CodingKey {
    case rule
  }

  init(from decoder: any Decoder) throws {
    // Only a decision over time names its rule; an unknown one is refused.
    self =
      try decoder.container(keyedBy: CodingKeys.self).contains(.rule)
      ? .watch(WatchDecision(from: decoder)) : .score(ModelManifest.Decision(from: decoder))
  }
}
