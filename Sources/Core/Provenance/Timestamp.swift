/// When something happened, in terms that survive a wrong wall clock.
///
/// A Raspberry Pi has no battery-backed clock: UTC may jump by years when the network comes up. Order therefore
/// never relies on `utcNanoseconds`; within one boot it is given by `monotonicNanoseconds`, across boots by the
/// outbox's sequence.
package struct Timestamp: Sendable, Hashable, Codable {
  /// Nanoseconds since 1970-01-01T00:00:00Z as the wall clock had it (CLOCK_REALTIME), leap seconds not counted.
  package var utcNanoseconds: Int64
  /// The kernel's boot id (`/proc/sys/kernel/random/boot_id`), lower case with hyphens.
  package var bootID: String
  /// Nanoseconds since boot, suspended time included (CLOCK_BOOTTIME).
  package var monotonicNanoseconds: UInt64
  /// Whether the kernel said that the wall clock was disciplined by a time source at that moment.
  package var synchronised: Bool

  package init(utcNanoseconds: Int64, bootID: String, monotonicNanoseconds: UInt64, synchronised: Bool) {
    self.utcNanoseconds = utcNanoseconds
    self.bootID = bootID
    self.monotonicNanoseconds = monotonicNanoseconds
    self.synchronised = synchronised
  }

  /// This instant re-dated by a later, synchronised instant of the same boot; nil when `anchor` belongs to another
  /// boot, is itself not synchronised, or the arithmetic would leave the range of Int64.
  package func redated(by anchor: Timestamp) -> Timestamp? {
    guard anchor.bootID == bootID, anchor.synchronised else { return nil }
    let (elapsed, elapsedOverflow) =
      anchor.monotonicNanoseconds >= monotonicNanoseconds
      ? Int64(clamping: anchor.monotonicNanoseconds - monotonicNanoseconds).multipliedReportingOverflow(by: -1)
      : (Int64(clamping: monotonicNanoseconds - anchor.monotonicNanoseconds), false)
    let (utc, overflow) = anchor.utcNanoseconds.addingReportingOverflow(elapsed)
    guard !elapsedOverflow, !overflow else { return nil }
    return Timestamp(
      utcNanoseconds: utc, bootID: bootID, monotonicNanoseconds: monotonicNanoseconds, synchronised: true)
  }
}

/// The only way the house learns the time. Tests give a clock of their own; the device gives `LinuxIO.SystemClock`.
package protocol TimeSource: Sendable {
  /// The present instant.
  func now() -> Timestamp
}
