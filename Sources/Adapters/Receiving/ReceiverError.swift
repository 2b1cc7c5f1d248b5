import Glibc

/// A file or folder of the receiver that could not be read or written.
package struct ReceiverError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was being done, e.g. `write`.
  package var operation: String
  package var path: String
  /// errno of the call; 0 when `reason` says it all.
  package var errnoCode: Int32
  package var reason: String

  init(_ operation: String, _ path: String, errnoCode: Int32) {
    self.operation = operation
    self.path = path
    self.errnoCode = errnoCode
    reason = String(cString: strerror(errnoCode))
  }

  init(_ operation: String, _ path: String, reason: String) {
    self.operation = operation
    self.path = path
    errnoCode = 0
    self.reason = reason
  }

  package var description: String { "\(path): cannot \(operation): \(reason)" }
}
