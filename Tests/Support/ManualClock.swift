import Provenance
import Synchronization

/// A clock that moves only when a test moves it: weeks pass in no time, and what must not happen is seen not to happen.
package final class ManualClock: TimeSource {
  private let instant: Mutex<Timestamp>

  /// - Parameter start: 2026-02-25, synchronised, unless the test says otherwise.
  package init(
    _ start: Timestamp = Timestamp(
      utcNanoseconds: 1_772_000_000_000_000_000, bootID: "boot-a", monotonicNanoseconds: 1_000_000_000_000,
      synchronised: true)
  ) {
    instant = Mutex(start)
  }

  package func now() -> Timestamp { instant.withLock { $0 } }

  package func change(_ body: (inout Timestamp) -> Void) { instant.withLock { body(&$0) } }

  package func advance(seconds: Int) {
    change {
      $0.utcNanoseconds += Int64(seconds) * 1_000_000_000
      $0.monotonicNanoseconds += UInt64(seconds) * 1_000_000_000
    }
  }

  package func reboot(_ bootID: String) {
    change {
      $0.bootID = bootID
      $0.monotonicNanoseconds = 1_000_000_000
    }
  }
}
