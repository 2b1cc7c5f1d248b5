/// One wake-up at a time, by the monotonic clock.
struct Alarm {
  private var task: Task<Void, Never>?
  /// Monotonic nanoseconds; `.max` while none is set.
  private(set) var deadlineNanoseconds = UInt64.max

  /// Calls `ring` at the deadline, in place of what was set before.
  mutating func set(_ deadline: UInt64, now: UInt64, ring: @escaping @Sendable () -> Void) {
    cancel()
    deadlineNanoseconds = deadline
    task = Task {
      do {
        try await Task.sleep(nanoseconds: deadline > now ? deadline - now : 0)
        ring()
      } catch {
        // Cancelled: a newer deadline took its place.
      }
    }
  }

  /// Also to be called when it rang.
  mutating func cancel() {
    task?.cancel()
    task = nil
    deadlineNanoseconds = .max
  }
}
