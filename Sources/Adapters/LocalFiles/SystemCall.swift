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

  package var description: String { "\(subject): \(Self.text(of: errorNumber)) (\(call))" }

  /// What an error number means, in plain words, e.g. `file not found`.
  package static func text(of errorNumber: Int32) -> String {
    switch errorNumber {
    case ENOENT: return "file not found"
    case ENOTDIR: return "a part of the path is not a folder"
    case EISDIR: return "is a folder; expected a file"
    case EEXIST: return "is there already"
    case EACCES: return "permission denied"
    case EPERM: return "not permitted to this user"
    case ENOSPC: return "no space left on the device"
    case EDQUOT: return "the user's disk quota is used up"
    case EFBIG: return "the file is too large"
    case EROFS: return "the file system is read-only"
    case EIO: return "the device failed to read or write"
    case ELOOP: return "a symbolic link is in the path"
    case ENAMETOOLONG: return "the name is too long"
    case EMFILE, ENFILE: return "too many open files"
    case ENODEV, ENXIO: return "no such device"
    case EBUSY, EAGAIN: return "is in use"
    case ENOTEMPTY: return "the folder is not empty"
    case EXDEV: return "is on another file system"
    default:
      guard let text = strerror(errorNumber) else { return "error \(errorNumber)" }
      return String(cString: text)
    }
  }
}

/// Makes a system call that answers -1 on failure, again when a signal interrupted it (EINTR), and throws its errno
/// together with its name. The one place that knows of EINTR; `close` alone goes past it: it must not be repeated.
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

/// The same for a call that answers its error number instead of leaving it in errno, such as `posix_fallocate`.
package func systemCallByCode(
  _ call: StaticString, on subject: @autoclosure () -> String, _ body: () -> Int32
) throws(SystemCallError) {
  try systemCall(call, on: subject()) { () -> Int32 in
    let code = body()
    errno = code
    return code == 0 ? 0 : -1
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
    // Linux closes the descriptor even when it reports an interruption or EIO; there is nothing left to be done.
    close(number)
  }
}
