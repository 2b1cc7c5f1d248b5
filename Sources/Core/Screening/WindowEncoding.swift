/// Turns a window of the device's counters into a sentinel model's int8 tensor: for each channel
/// clamp(round(`gain` * f(x) / 256) + `offset`), where f is x, `ChainArithmetic.log2Q8` of it, or its change since the
/// window's first step that has a value. What is missing becomes the channel's `missing`. The training scripts do the same
/// in `counters/simulator.py`.
package struct WindowEncoding: Sendable, Equatable {
  /// Counters above this one are taken as it, so that no product overflows.
  package static let limit = 1 << 32

  package let channels: [ModelManifest.WindowChannel]

  package init(channels: [ModelManifest.WindowChannel]) {
    self.channels = channels
  }

  /// - Parameter window: step by step, all channels of a step together; a negative value is missing, or 0 in a channel of
  ///   which the manifest says nothing for that.
  /// - Precondition: whole steps.
  package func encode(_ window: [Int]) -> [Int8] {
    precondition(!channels.isEmpty && window.count.isMultiple(of: channels.count))
    return [Int8](unsafeUninitializedCapacity: window.count) { buffer, count in
      encode(into: UnsafeMutableBufferPointer(rebasing: buffer[..<window.count])) { step, channel in
        let value = window[step * channels.count + channel]
        return value < 0 && channels[channel].missing != nil ? nil : value
      }
      count = window.count
    }
  }

  /// Fills `target` and allocates nothing.
  ///
  /// - Parameter value: of a step and a channel; nil is missing.
  /// - Precondition: whole steps; a channel without `missing` misses no value.
  package func encode(into target: UnsafeMutableBufferPointer<Int8>, _ value: (_ step: Int, _ channel: Int) -> Int?) {
    precondition(!channels.isEmpty && target.count.isMultiple(of: channels.count))
    for column in channels.indices {
      let channel = channels[column]
      var first: Int?
      for step in 0..<target.count / channels.count {
        let index = step * channels.count + column
        guard let found = value(step, column) else {
          precondition(channel.missing != nil)
          target[index] = channel.missing ?? 0
          continue
        }
        let bounded = min(max(found, 0), Self.limit)
        let base = first ?? bounded
        first = base
        let transformed =
          switch channel.transform {
          case .linear: bounded
          case .log2: ChainArithmetic.log2Q8(bounded)
          case .delta: bounded - base
          }
        target[index] = ChainArithmetic.int8(
          ChainArithmetic.rounded(channel.gain * transformed, dividedBy: 256) + channel.offset)
      }
    }
  }
}
