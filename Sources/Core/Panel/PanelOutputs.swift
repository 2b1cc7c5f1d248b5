/// What the device's lights and buzzer show at one moment.
package struct PanelOutputs: Sendable, Hashable {
  package var red: Bool
  package var green: Bool
  package var blue: Bool
  package var buzzer: Bool

  package static let dark = PanelOutputs()

  package init(red: Bool = false, green: Bool = false, blue: Bool = false, buzzer: Bool = false) {
    self.red = red
    self.green = green
    self.blue = blue
    self.buzzer = buzzer
  }
}

/// The lines of the front panel as hardware or its simulation offers them: one button, lights, a buzzer.
///
/// One thread calls it. A line that a board does not have is simply not driven; a line that fails throws.
package protocol PanelPins: AnyObject, Sendable {
  /// Drives the lights and the buzzer.
  func show(_ outputs: PanelOutputs) throws(PanelError)

  /// Waits for the button's level to change, for `interrupt()`, or for the end of the time.
  ///
  /// - Returns: whether the button is now down, or nil when nothing changed.
  func waitForButton(timeoutMilliseconds: Int) throws(PanelError) -> Bool?

  /// Ends a wait early; callable from any thread.
  func interrupt()
}

/// A panel line that cannot be used: one line for a technician. The device runs on without the panel.
package struct PanelError: Error, Sendable, Hashable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// Makes presses out of a contact that bounces.
///
/// A level counts once it has been steady for `steadyMilliseconds`. A press held for `longPressMilliseconds` is a long
/// one (cancel), reported when that time is reached; a shorter one is reported when the button is let go.
package struct ButtonDebouncer: Sendable {
  package enum Press: Sendable, Hashable {
    case short
    case long
  }

  package struct Timing: Sendable, Equatable {
    /// A level counts once it has been steady for so long, 1...1000.
    package var steadyMilliseconds: Int
    /// A press that is held for so long is a long one, 100...60_000.
    package var longPressMilliseconds: Int

    package init(steadyMilliseconds: Int = 30, longPressMilliseconds: Int = 2000) {
      self.steadyMilliseconds = min(max(steadyMilliseconds, 1), 1000)
      self.longPressMilliseconds = min(max(longPressMilliseconds, 100), 60_000)
    }
  }

  private let timing: Timing

  private var isDown = false
  private var downSince: UInt64 = 0
  private var wasReported = false
  /// A level that has not been steady for long enough yet.
  private var pending: (isDown: Bool, since: UInt64)?

  package init(_ timing: Timing = Timing()) {
    self.timing = timing
  }

  /// The contact changed to `isDown` at `now` (monotonic nanoseconds). Returns what the time before it decided.
  package mutating func levelChanged(isDown: Bool, atNanoseconds now: UInt64) -> Press? {
    let press = advance(toNanoseconds: now)
    pending = isDown == self.isDown ? nil : (isDown, now)
    return press
  }

  /// Lets time pass; call it at `nextDeadlineNanoseconds`.
  package mutating func advance(toNanoseconds now: UInt64) -> Press? {
    if let pending, now >= pending.since + UInt64(timing.steadyMilliseconds) * 1_000_000 {
      self.pending = nil
      isDown = pending.isDown
      if isDown {
        downSince = pending.since
        wasReported = false
      } else {
        let held = pending.since - downSince
        if !wasReported {
          wasReported = true
          return held >= longPressNanoseconds ? .long : .short
        }
      }
    }
    if isDown, !wasReported, pending == nil, now - downSince >= longPressNanoseconds {
      wasReported = true
      return .long
    }
    return nil
  }

  /// When `advance` has something to decide, or nil while nothing is pending.
  package var nextDeadlineNanoseconds: UInt64? {
    if let pending { return pending.since + UInt64(timing.steadyMilliseconds) * 1_000_000 }
    return isDown && !wasReported ? downSince + longPressNanoseconds : nil
  }

  private var longPressNanoseconds: UInt64 { UInt64(timing.longPressMilliseconds) * 1_000_000 }
}
