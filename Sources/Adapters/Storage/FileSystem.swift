import Glibc

/// The few calls about files that the outbox makes beside SQLite's.
enum FileSystem {
  /// Bytes that an unprivileged process may still write on the file system of `path`'s directory.
  static func freeBytes(at path: String) throws(OutboxError) -> Int {
    var status = statvfs()
    guard statvfs(directory(of: path), &status) == 0 else {
      throw .file(path: path, operation: "ask for free space", code: errno)
    }
    return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
  }

  /// The size of a file, nil when there is none.
  static func size(_ path: String) -> Int? {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : nil
  }

  static func exists(_ path: String) -> Bool { size(path) != nil }

  /// Renames within a directory; a missing source is no error, an existing target is replaced.
  static func rename(_ from: String, to target: String) throws(OutboxError) {
    guard Glibc.rename(from, target) == 0 || errno == ENOENT else {
      throw .file(path: from, operation: "rename to \(target)", code: errno)
    }
  }

  /// Removes a file; a missing one is no error.
  static func remove(_ path: String) throws(OutboxError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw .file(path: path, operation: "remove", code: errno) }
  }

  /// Makes renames and removals in the directory of `path` durable.
  static func syncDirectory(of path: String) throws(OutboxError) {
    let descriptor = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, operation: "open its directory", code: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .file(path: path, operation: "sync its directory", code: errno) }
  }

  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Makes an empty file of mode 0600 when there is none; SQLite gives its log the same mode.
  static func createPrivate(_ path: String) throws(OutboxError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      if errno == ENOSPC || errno == EDQUOT { throw .noSpace(path: path) }
      throw .file(path: path, operation: "create", code: errno)
    }
    close(descriptor)
  }

  /// Makes a file of `count` bytes that really occupy the disk; false when there is no room.
  static func allocate(_ path: String, count: Int) throws(OutboxError) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      if errno == ENOSPC || errno == EDQUOT { return false }
      throw .file(path: path, operation: "create", code: errno)
    }
    defer { close(descriptor) }
    let code = posix_fallocate(descriptor, 0, off_t(count))
    if code == 0 { return true }
    unlink(path)
    if code == ENOSPC || code == EDQUOT || code == EFBIG { return false }
    throw .file(path: path, operation: "allocate \(count) bytes", code: code)
  }
}

/// Room held back for the moment when the file system is full: without it a write-ahead log can neither delete nor
/// checkpoint, so that a full disk would never empty itself.
struct Ballast {
  private let path: String
  private let bytes: Int
  private(set) var isHeld = false

  init(databasePath: String, bytes: Int) {
    path = databasePath + ".ballast"
    self.bytes = bytes
  }

  /// Takes the room, unless the file system is nearly full.
  mutating func take() throws(OutboxError) {
    guard bytes > 0, !isHeld else { return }
    if FileSystem.size(path) == bytes {
      isHeld = true
    } else if try FileSystem.freeBytes(at: path) > 2 * bytes {
      isHeld = try FileSystem.allocate(path, count: bytes)
    }
  }

  /// Gives the room back to the file system; true when there was some.
  mutating func release() throws(OutboxError) -> Bool {
    guard isHeld || FileSystem.exists(path) else { return false }
    isHeld = false
    try FileSystem.remove(path)
    return true
  }
}
