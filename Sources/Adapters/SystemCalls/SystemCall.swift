import CLinux
import Glibc

/// A system call that failed: which one, on what, and why. One line for a person, and `errorNumber` for a decision.
package struct SystemCallError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The call's name, e.g. `open`.
  package var call: String
  /// What it was done to: a path, or what the descriptor is.
  package var subject: String
  /// errno as the call left it.
  package var errorNumber: Int32

  package init(call: String, subject: String, errorNumber: Int32) {
    self.call = call
    self.subject = subject
    self.errorNumber = errorNumber
  }

  package var description: String { "\(subject): \(call) failed: \(Self.text(of: errorNumber))" }

  /// The system's words for an error number, e.g. `No such file or directory`.
  package static func text(of errorNumber: Int32) -> String {
    guard let text = strerror(errorNumber) else { return "error \(errorNumber)" }
    return String(cString: text)
  }
}

/// Makes a system call that answers -1 on failure, again when a signal interrupted it (EINTR), and throws its errno
/// together with its name. Every call of this module goes through here, `close` excepted: it must not be repeated.
@discardableResult
package func systemCall<Result: FixedWidthInteger>(
  _ call: StaticString, on subject: @autoclosure () -> String, _ body: () -> Result
) throws(SystemCallError) -> Result {
  while true {
    let result = body()
    if result != -1 { return result }
    let errorNumber = errno
    if errorNumber != EINTR {
      throw SystemCallError(call: "\(call)", subject: subject(), errorNumber: errorNumber)
    }
  }
}

/// An open file descriptor that closes itself, once.
package struct OwnedDescriptor: ~Copyable, Sendable {
  package let number: Int32

  /// Takes over `number`, which must be open and owned by nobody else.
  package init(takingOver number: Int32) {
    self.number = number
  }

  deinit {
    // Linux closes the descriptor even when it reports EINTR or EIO; there is nothing left to be done about either.
    close(number)
  }
}
