import LinuxIO
import Provenance

// An update that somebody at the control socket asks the device to be kept free for.
extension SessionControl {
  /// How often a free device is looked for, and whether who holds it is still there.
  private static let holdPeriod = Duration.milliseconds(200)
  /// A line for whoever only waits, so that each end knows of the other.
  private static let wordEverySeconds: UInt64 = 20

  /// Waits until nobody is before the device, then keeps it free as long as the other end listens.
  ///
  /// - Parameters:
  ///   - progress: false when nobody listens any more.
  ///   - isGone: the other end has closed the connection, or was killed.
  func hold(
    waitSeconds: Int, quietSeconds: Int, longestSeconds: Int = HoldRules.longestSeconds,
    progress: @escaping @Sendable (HoldProgress) -> Bool, isGone: @Sendable () -> Bool
  ) async throws {
    var generator = SystemRandomNumberGenerator()
    let hold = Hold(
      id: RandomIdentifier(using: &generator), quietSeconds: quietSeconds, longestSeconds: longestSeconds)
    var told = Told(progress)
    let begin = SystemClock.monotonicNanoseconds()
    while let reason = try await obstacle(to: hold) {
      guard SystemClock.monotonicNanoseconds() - begin < UInt64(waitSeconds) * 1_000_000_000 else {
        return told.tell(HoldProgress(.refused, reason: reason))
      }
      told.tell(HoldProgress(.waiting, reason: reason))
      if told.isUnheard || isGone() { return }
      try await Task.sleep(for: Self.holdPeriod)
    }
    let longest = SystemClock.monotonicNanoseconds() + UInt64(longestSeconds) * 1_000_000_000
    do {
      while !isGone(), !told.isUnheard {
        guard SystemClock.monotonicNanoseconds() < longest else {
          told.tell(HoldProgress(.over, reason: "the device was held for \(longestSeconds) s, the longest there is"))
          break
        }
        told.tell(HoldProgress(.held))
        try await Task.sleep(for: Self.holdPeriod)
      }
    } catch {
      await release(hold.id)
      throw error
    }
    await release(hold.id)
  }

  /// nil: the device is held now.
  private func obstacle(to hold: Hold) async throws -> String? {
    switch await self.hold(hold) {
    case .held: return nil
    case .refused(let reason): return reason
    case .waiting: return "somebody was before the device less than \(hold.quietSeconds) s ago"
    case .accepted: throw ControlRefusal("the device was not held")
    }
  }

  /// Says what is new, and the same again now and then.
  private struct Told {
    private let progress: @Sendable (HoldProgress) -> Bool
    private var last: HoldProgress?
    private var at: UInt64 = 0
    private(set) var isUnheard = false

    init(_ progress: @escaping @Sendable (HoldProgress) -> Bool) { self.progress = progress }

    mutating func tell(_ present: HoldProgress) {
      let now = SystemClock.monotonicNanoseconds()
      guard present != last || now - at >= wordEverySeconds * 1_000_000_000 else { return }
      (last, at) = (present, now)
      if !progress(present) { isUnheard = true }
    }
  }
}
