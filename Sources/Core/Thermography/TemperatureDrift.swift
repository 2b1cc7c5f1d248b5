import Provenance

/// How fast a temperature changes, from one reading a second over the last minute.
package struct TemperatureDrift: Sendable {
  private static let windowSeconds = 60
  /// A reading that is missing for longer breaks the line.
  private static let gapSeconds: UInt64 = 5
  private var readings: [(second: UInt64, celsius: Double)] = []

  package init() {}

  package mutating func forget() { readings.removeAll(keepingCapacity: true) }

  package mutating func add(_ celsius: Double, at instant: Timestamp) {
    let second = instant.monotonicNanoseconds / 1_000_000_000
    if let last = readings.last {
      guard second != last.second else { return }
      if second - min(second, last.second) > Self.gapSeconds { forget() }
    }
    if readings.count > Self.windowSeconds { readings.removeFirst() }
    readings.append((second, celsius))
  }

  /// degC a minute; nil until a minute has been seen.
  package var celsiusPerMinute: Double? {
    guard let first = readings.first, let last = readings.last else { return nil }
    let seconds = last.second - first.second
    guard seconds >= UInt64(Self.windowSeconds) - 2 else { return nil }
    return (last.celsius - first.celsius) * 60 / Double(seconds)
  }
}
