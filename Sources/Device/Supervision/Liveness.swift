/// The parts of the device without which no capture comes to its end.
package enum LivePart: Int, Sendable, CaseIterable {
  /// The thread that reads sub-pages, or looks for a camera that is lost.
  case camera
  /// What turns tags and thermograms into captures.
  case capture
  /// The thread that writes to the disk.
  case outbox
  /// The thread that talks to the broker; absent without one.
  case network

  package var name: String {
    switch self {
    case .camera: "camera"
    case .capture: "capture"
    case .outbox: "outbox"
    case .network: "network"
    }
  }
}

/// Who has moved since the watchdog was fed last, as a value: beats in, a decision out.
///
/// A part that hangs for less than a period never matters; one that hangs for two periods starves the watchdog.
package struct Liveness: Sendable, Equatable {
  /// Nanoseconds of the last beat by `LivePart.rawValue`; nil for a part that is not watched.
  private var beats: [UInt64?]
  private var fed: UInt64

  /// - Parameters:
  ///   - parts: that must move. Each counts as moved at the beginning.
  ///   - start: monotonic nanoseconds.
  package init(watching parts: [LivePart], from start: UInt64) {
    beats = LivePart.allCases.map { parts.contains($0) ? start : nil }
    fed = start
  }

  /// `part` moved. A part that is not watched is not noted.
  package mutating func beat(_ part: LivePart, at nanoseconds: UInt64) {
    if beats[part.rawValue] != nil { beats[part.rawValue] = nanoseconds }
  }

  /// The watched parts that have not moved since the last feeding.
  package var hanging: [LivePart] {
    LivePart.allCases.filter { part in beats[part.rawValue].map { $0 <= fed } ?? false }
  }

  /// Feeds when every part has moved since the last feeding.
  ///
  /// - Returns: the parts that hang; empty when the watchdog may be told.
  package mutating func feed(at nanoseconds: UInt64) -> [LivePart] {
    let hanging = hanging
    if hanging.isEmpty { fed = nanoseconds }
    return hanging
  }

  /// Nanoseconds since `part` last moved; nil when it is not watched.
  package func age(of part: LivePart, at nanoseconds: UInt64) -> UInt64? {
    beats[part.rawValue].map { nanoseconds >= $0 ? nanoseconds - $0 : 0 }
  }
}
