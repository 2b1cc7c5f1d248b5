/// How long to wait before the next attempt to connect: decorrelated jitter (Brooker, "Exponential Backoff And
/// Jitter", 2015), so that a fleet that lost its broker at one instant does not return at one instant.
///
/// | what happened | pause |
/// |---|---|
/// | start, or the network came up | none |
/// | a standing connection was lost | random in 0...`lossSpread` |
/// | an attempt failed | random in `minimum`...3 x the pause before, at most `maximum` |
/// | credentials refused, TLS failed, another client took our id | as above, at least the floor of that failure |
/// | connected for `steadySeconds` | the next pause starts from `minimum` again |
package struct ReconnectBackoff: Sendable {
  package struct Configuration: Sendable, Equatable {
    package var minimumMilliseconds: Int
    package var maximumMilliseconds: Int
    /// Over how long a fleet spreads itself after a broker's restart.
    package var lossSpreadMilliseconds: Int
    /// A connection that lasted this long counts as a success.
    package var steadySeconds: Int
    /// The least pause after refused credentials, a TLS error, a busy broker or a taken client id.
    package var refusedFloorMilliseconds: Int

    package init(
      minimumMilliseconds: Int = 1000, maximumMilliseconds: Int = 120_000, lossSpreadMilliseconds: Int = 40_000,
      steadySeconds: Int = 30, refusedFloorMilliseconds: Int = 15_000
    ) {
      self.minimumMilliseconds = minimumMilliseconds
      self.maximumMilliseconds = maximumMilliseconds
      self.lossSpreadMilliseconds = lossSpreadMilliseconds
      self.steadySeconds = steadySeconds
      self.refusedFloorMilliseconds = refusedFloorMilliseconds
    }
  }

  private let configuration: Configuration
  private var previousMilliseconds: Int

  package init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    previousMilliseconds = configuration.minimumMilliseconds
  }

  /// The pause after an attempt that failed.
  package mutating func afterFailure(
    _ kind: LinkFailure.Kind, using generator: inout some RandomNumberGenerator
  ) -> Int {
    let least = max(1, configuration.minimumMilliseconds)
    let most = min(configuration.maximumMilliseconds, max(least, previousMilliseconds.multipliedClamping(by: 3)))
    let drawn = Int.random(in: least...max(least, most), using: &generator)
    previousMilliseconds = drawn
    return max(drawn, floorMilliseconds(kind))
  }

  /// The pause after a standing connection that lasted `connectedSeconds` was lost.
  package mutating func afterLoss(
    _ kind: LinkFailure.Kind, connectedSeconds: Int, using generator: inout some RandomNumberGenerator
  ) -> Int {
    guard connectedSeconds >= configuration.steadySeconds else { return afterFailure(kind, using: &generator) }
    previousMilliseconds = configuration.minimumMilliseconds
    let spread = Int.random(in: 0...max(0, configuration.lossSpreadMilliseconds), using: &generator)
    return max(spread, floorMilliseconds(kind))
  }

  private func floorMilliseconds(_ kind: LinkFailure.Kind) -> Int {
    switch kind {
    case .refused, .tls, .busy, .sessionTaken, .clock:
      min(configuration.refusedFloorMilliseconds, configuration.maximumMilliseconds)
    default: 0
    }
  }
}

extension Int {
  fileprivate func multipliedClamping(by factor: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max : product
  }
}
