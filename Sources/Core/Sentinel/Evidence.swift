import Screening

/// What speaks for one kind of anomaly, added up over windows. Nothing here can overflow: a sum is at most twice its
/// threshold, which is at most 2^24.
package struct Evidence: Sendable, Equatable {
  /// In 1/256 bit, 0...2 x threshold.
  package private(set) var sum: Int
  /// Windows in a row without a sum above the threshold; counted while it speaks.
  package private(set) var quiet: Int
  package private(set) var isSpeaking: Bool

  package init() { (sum, quiet, isSpeaking) = (0, 0, false) }

  /// As a restart finds it. What is out of range is brought into it.
  init(sum: Int, quiet: Int, isSpeaking: Bool) {
    self.sum = max(0, sum)
    self.quiet = max(0, quiet)
    self.isSpeaking = isSpeaking
  }

  /// log2((1 - P) / P) in 1/256 bit, for P(normal) in parts per million.
  package static func logOddsQ8(ofNormal partsPerMillion: Int) -> Int {
    let normal = min(max(partsPerMillion, 0), 1_000_000)
    return ChainArithmetic.log2Q8(1_000_000 - normal) - ChainArithmetic.log2Q8(normal)
  }

  /// Adds a window.
  package mutating func add(normal partsPerMillion: Int, _ head: WatchDecision.Head, releaseWindows: Int) {
    let odds = Self.logOddsQ8(ofNormal: partsPerMillion)
    let clipped = min(max(odds, -head.clipQ8), head.clipQ8)
    sum = min(2 * head.thresholdQ8, max(0, min(sum, 2 * head.thresholdQ8) + clipped - head.slackQ8))
    if sum > head.thresholdQ8 {
      isSpeaking = true
      quiet = 0
    } else if isSpeaking {
      quiet += 1
      if quiet >= releaseWindows { (isSpeaking, quiet) = (false, 0) }
    }
  }
}
