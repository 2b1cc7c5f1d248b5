/// The time a driver sees: monotonic, and able to wait. A virtual clock lets weeks pass in milliseconds.
package protocol SensorClock: Sendable {
  /// Microseconds since an arbitrary instant; never goes back.
  var nowMicroseconds: UInt64 { get }
  /// Returns no earlier than `deadlineMicroseconds`; at once when that has passed.
  func sleep(untilMicroseconds deadlineMicroseconds: UInt64)
}
