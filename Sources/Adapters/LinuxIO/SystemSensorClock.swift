import Glibc
import LocalFiles
import Thermography

/// The kernel's monotonic clock as a driver waits on it (CLOCK_MONOTONIC).
package struct SystemSensorClock: SensorClock {
  package init() {}

  package var nowMicroseconds: UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
  }

  package func sleep(untilMicroseconds deadlineMicroseconds: UInt64) {
    var deadline = timespec(
      tv_sec: Int(deadlineMicroseconds / 1_000_000), tv_nsec: Int(deadlineMicroseconds % 1_000_000) * 1000)
    do throws(SystemCallError) {
      // An absolute deadline: a signal only makes us ask again.
      try systemCallByCode("clock_nanosleep", on: "sensor clock") {
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nil)
      }
    } catch {
      // Only for a clock or a deadline that does not exist; both are fixed above.
    }
  }
}
