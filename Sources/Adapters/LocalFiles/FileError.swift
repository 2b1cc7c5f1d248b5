import Glibc

/// Why a file could not be read or written: which file, what is wrong, what to do.
package struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
  package var path: String
  /// What is wrong, the call that failed in brackets, and after a semicolon what to do.
  package var reason: String
  /// The call that failed, e.g. `open`; empty when the file itself is not what was expected.
  package var call: String
  /// errno of the failed call; 0 when the file itself is not what was expected.
  package var systemErrorNumber: Int32

  package init(path: String, reason: String, call: String = "", systemErrorNumber: Int32 = 0) {
    self.path = path
    self.reason = reason
    self.call = call
    self.systemErrorNumber = systemErrorNumber
  }

  package init(_ error: SystemCallError) {
    let advice =
      switch error.errorNumber {
      case ENOENT, ENOTDIR: "; check the path"
      case EACCES, EPERM: "; check its owner and mode"
      case ENOSPC, EDQUOT: "; free space there"
      case EROFS: "; make it writable, or name another place"
      case ELOOP: "; name the real file, links are not followed here"
      case EIO: "; the medium may be failing: copy what matters and replace it"
      default: ""
      }
    self.init(
      path: error.subject, reason: "\(SystemCallError.text(of: error.errorNumber)) (\(error.call))\(advice)",
      call: error.call, systemErrorNumber: error.errorNumber)
  }

  package var description: String { "\(path): \(reason)" }

  package var isMissing: Bool { systemErrorNumber == ENOENT || systemErrorNumber == ENOTDIR }
  /// Another process replaced or wrote the file while it was read.
  var isChanging: Bool { call == "read" && systemErrorNumber == EAGAIN }
  package var isThereAlready: Bool { systemErrorNumber == EEXIST }
  package var isForbidden: Bool { systemErrorNumber == EACCES || systemErrorNumber == EPERM }
  package var isFull: Bool { systemErrorNumber == ENOSPC || systemErrorNumber == EDQUOT }

  package var isTooLarge: Bool { systemErrorNumber == EFBIG }

  static func notRegular(_ path: String) -> FileError {
    FileError(path: path, reason: "is not a regular file; expected one")
  }
}

/// `systemCall` on a file.
@discardableResult
func fileCall<Result: FixedWidthInteger>(
  _ call: StaticString, on path: String, _ body: () -> Result
) throws(FileError) -> Result {
  do throws(SystemCallError) { return try systemCall(call, on: path, body) } catch { throw FileError(error) }
}
