/// The time by which expiry is judged.
package struct ExpiryClock: Sendable, Equatable {
  /// Seconds since 1970 that have certainly passed: the clock where it is proven, else the floor of what is known.
  package let seconds: Int64
  /// A time source vouches for the clock, and it does not run ahead of what is believed of time sources.
  package let isProven: Bool

  package init(seconds: Int64, isProven: Bool) {
    self.seconds = seconds
    self.isProven = isProven
  }
}

/// Whether what is trusted is of the present.
package enum Freshness: Sendable, Equatable, CustomStringConvertible {
  /// Nothing has expired, by a clock that is proven.
  case proven
  /// Nothing has certainly expired, but the clock cannot show that nothing has.
  case unproven
  /// A role's metadata has expired.
  case expired(role: String)

  package var description: String {
    switch self {
    case .proven: "proven"
    case .unproven: "unproven: the clock is not synchronised"
    case .expired(let role): "expired: \(role)"
    }
  }
}
