/// What the board's supply does, as rules and not by a network: an under-voltage is what it is. A value; a reading in, what is
/// to be told out.
package struct PowerWatch: Sendable, Equatable {
  /// One reading of the board.
  package struct Reading: Sendable, Equatable {
    package var isUnderVoltage: Bool
    package var isThrottled: Bool
    /// The board remembers both since its start, so that what passes between two readings shows.
    package var wasUnderVoltage: Bool
    package var wasThrottled: Bool

    package init(isUnderVoltage: Bool, isThrottled: Bool, wasUnderVoltage: Bool, wasThrottled: Bool) {
      self.isUnderVoltage = isUnderVoltage
      self.isThrottled = isThrottled
      self.wasUnderVoltage = wasUnderVoltage
      self.wasThrottled = wasThrottled
    }
  }

  package enum Alert: String, Sendable, Equatable {
    case underVoltage = "under-voltage"
    case throttled = "throttled"
  }

  /// A supply that fails again and again is told at most so often for each kind.
  package static let repeatNanoseconds: UInt64 = 3600 * 1_000_000_000

  private struct Kind: Sendable, Equatable {
    var isNow = false
    var wasBefore: Bool?
    var count = 0
    var toldNanoseconds: UInt64?

    /// - Returns: whether to tell.
    mutating func read(now isNow: Bool, since wasEver: Bool, at nanoseconds: UInt64) -> Bool {
      // What the board remembers from before this program's start is no news; what it remembers anew is.
      let passed = wasBefore == false && wasEver
      let begins = (isNow && !self.isNow) || (passed && !isNow && !self.isNow)
      self.isNow = isNow
      wasBefore = wasEver
      guard begins else { return false }
      count = count < Int.max ? count + 1 : count
      if let toldNanoseconds, nanoseconds < toldNanoseconds &+ PowerWatch.repeatNanoseconds { return false }
      toldNanoseconds = nanoseconds
      return true
    }
  }

  private var voltage = Kind()
  private var throttling = Kind()

  package init() {}

  package var isUnderVoltage: Bool { voltage.isNow }
  package var isThrottled: Bool { throttling.isNow }
  /// How often each began since this program's start.
  package var brownOuts: Int { voltage.count }
  package var throttlings: Int { throttling.count }

  /// - Parameter nanoseconds: monotonic.
  package mutating func read(_ reading: Reading, at nanoseconds: UInt64) -> [Alert] {
    var alerts: [Alert] = []
    if voltage.read(now: reading.isUnderVoltage, since: reading.wasUnderVoltage, at: nanoseconds) {
      alerts.append(.underVoltage)
    }
    if throttling.read(now: reading.isThrottled, since: reading.wasThrottled, at: nanoseconds) {
      alerts.append(.throttled)
    }
    return alerts
  }
}
