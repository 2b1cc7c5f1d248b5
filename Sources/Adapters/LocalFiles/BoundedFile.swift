import Glibc

/// Why a file could not be read or written: which file, what is wrong, what to do.
package struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
  package var path: String
  package var reason: String
  /// errno of the failed call; 0 when the file itself is not what was expected.
  package var systemErrorNumber: Int32

  package init(path: String, reason: String, systemErrorNumber: Int32 = 0) {
    self.path = path
    self.reason = reason
    self.systemErrorNumber = systemErrorNumber
  }

  init(path: String, call: String) {
    let code = errno
    let hint =
      switch code {
      case ENOENT, ENOTDIR: "does not exist; check the path"
      case EACCES, EPERM: "may not be opened by this user; check its owner and mode"
      case ENOSPC, EDQUOT: "cannot be written: the file system is full; free space there"
      case EROFS: "cannot be written: the file system is read-only"
      default: "\(call): \(String(cString: strerror(code)))"
      }
    self.init(path: path, reason: hint, systemErrorNumber: code)
  }

  package var description: String { "\(path): \(reason)" }
}

/// Whole files of bounded size.
package enum BoundedFile {
  /// Reads a regular file of at most `maximumBytes`. Never waits: a pipe or a device is refused.
  package static func read(_ path: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
    let descriptor = try retrying(path, "open") { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
    defer { close(descriptor) }
    var status = stat()
    _ = try retrying(path, "fstat") { fstat(descriptor, &status) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw FileError(path: path, reason: "is not a regular file; expected one")
    }
    guard status.st_size <= maximumBytes else {
      throw FileError(path: path, reason: "has \(status.st_size) bytes; expected at most \(maximumBytes)")
    }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      let count = try retrying(path, "read") {
        bytes.withUnsafeMutableBytes {
          Glibc.read(descriptor, $0.baseAddress.map { $0 + filled }, $0.count - filled)
        }
      }
      if count == 0 { break }
      filled += count
    }
    guard filled == bytes.count else {
      throw FileError(path: path, reason: "became shorter while it was read; try again")
    }
    return bytes
  }

  /// Reads a file of /proc or /sys, whose size the kernel does not state, at most `maximumBytes` of it.
  package static func readStream(_ path: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
    let descriptor = try retrying(path, "open") { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: maximumBytes)
    let count = try retrying(path, "read") {
      bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
    }
    return Array(bytes[..<count])
  }

  /// Replaces `path` as a whole, durably: a reader sees the old content or the new one, also after a power cut.
  ///
  /// - Parameter mode: permission bits of a new file.
  package static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644) throws(FileError) {
    let temporary = path + ".tmp"
    let descriptor = try retrying(temporary, "open") {
      open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    }
    do throws(FileError) {
      var written = 0
      while written < bytes.count {
        written += try retrying(temporary, "write") {
          bytes.withUnsafeBytes {
            write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written)
          }
        }
      }
      _ = try retrying(temporary, "fsync") { fsync(descriptor) }
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    guard close(descriptor) == 0, rename(temporary, path) == 0 else {
      let error = FileError(path: path, call: "rename")
      unlink(temporary)
      throw error
    }
    try synchroniseFolder(of: path)
  }

  /// Removes `path`, durably. A file that is not there is no error.
  package static func remove(_ path: String) throws(FileError) {
    guard unlink(path) == 0 else {
      let error = FileError(path: path, call: "unlink")
      if error.isMissing { return }
      throw error
    }
    try synchroniseFolder(of: path)
  }

  /// Makes a rename durable.
  static func synchroniseFolder(of path: String) throws(FileError) {
    let folder = Folder.holding(path)
    let descriptor = try retrying(folder, "open") { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    defer { close(descriptor) }
    _ = try retrying(folder, "fsync") { fsync(descriptor) }
  }

  private static func retrying<Result: SignedInteger>(
    _ path: String, _ call: String, _ body: () -> Result
  ) throws(FileError) -> Result {
    while true {
      let result = body()
      if result >= 0 { return result }
      if errno != EINTR { throw FileError(path: path, call: call) }
    }
  }
}
