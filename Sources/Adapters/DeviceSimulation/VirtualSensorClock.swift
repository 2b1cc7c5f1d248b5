import Synchronization
import Thermography

/// A clock that stands still until somebody waits on it: simulated hours pass at once.
package final class VirtualSensorClock: SensorClock {
  private let time: Mutex<UInt64>

  package init(nowMicroseconds: UInt64 = 1_000_000) { time = Mutex(nowMicroseconds) }

  package var nowMicroseconds: UInt64 { time.withLock { $0 } }

  package func sleep(untilMicroseconds deadlineMicroseconds: UInt64) {
    time.withLock { $0 = max($0, deadlineMicroseconds) }
  }

  /// Time that passes while the host does something else.
  package func advance(byMicroseconds duration: UInt64) { time.withLock { $0 += duration } }
}
