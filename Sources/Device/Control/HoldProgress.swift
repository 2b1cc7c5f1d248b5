import Remote

/// Bounds of a hold: the device out of service while the program is updated.
package enum HoldRules {
  /// How long may be waited for a free device, and how long nobody must have been before it.
  package static let seconds = 0...86_400
  /// As before a model of an update is tried.
  package static let quietSeconds = Int(UpdateRules.quietSeconds)
  /// No hold is longer: a device that somebody forgot takes patients again.
  package static let longestSeconds = 3600
}

/// How a hold stands.
package struct HoldProgress: Sendable, Equatable, Codable {
  package enum State: String, Sendable, Codable {
    /// Somebody is before the device, or was a moment ago.
    case waiting
    /// No session opens. Ends with the connection.
    case held
    /// It took longer than may be waited: nothing is held.
    case refused
    /// The longest time is over: sessions open again.
    case over
  }

  package var state: State
  /// For a person: what is in the way.
  package var reason: String?

  package init(_ state: State, reason: String? = nil) {
    self.state = state
    self.reason = reason
  }
}
