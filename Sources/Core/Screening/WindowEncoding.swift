/// Turns a window of the device's counters into a sentinel model's int8 tensor: for each channel
/// clamp(round(`gain` * f(x) / 256) + `offset`), where f is x, `ChainArithmetic.log2Q8` of it, or its change since the
/// window's first step. The training scripts do the same in `counters/simulator.py`.
package struct WindowEncoding: Sendable, Equatable {
  /// Counters above this one are taken as it, so that no product overflows.
  package static let limit = 1 << 32

  package let channels: [ModelManifest.WindowChannel]

  package init(channels: [ModelManifest.WindowChannel]) {
    self.channels = channels
  }

  /// - Parameter window: step by step, all channels of a step together; negative values count as 0.
  /// - Precondition: whole steps.
  package func encode(_ window: [Int]) -> [Int8] {
    precondition(!channels.isEmpty && window.count.isMultiple(of: channels.count))
    return window.indices.map { index in
      let column = index % channels.count
      let channel = channels[column]
      let value = min(max(window[index], 0), Self.limit)
      let transformed =
        switch channel.transform {
        case .linear: value
        case .log2: ChainArithmetic.log2Q8(value)
        case .delta: value - min(max(window[column], 0), Self.limit)
        }
      return ChainArithmetic.int8(ChainArithmetic.rounded(channel.gain * transformed, dividedBy: 256) + channel.offset)
    }
  }
}
