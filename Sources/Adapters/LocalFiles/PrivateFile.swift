import Glibc

extension BoundedFile {
  /// Makes a file of mode 0600 that did not exist before, owned by whoever owns its folder, on disk when this returns.
  package static func createPrivate(_ path: String, with bytes: [UInt8]) throws(FileError) {
    let folder = Folder.holding(path)
    var status = stat()
    guard stat(folder, &status) == 0 else { throw FileError(path: folder, call: "stat") }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw errno == EEXIST
        ? FileError(path: path, reason: "is there already and is never replaced", systemErrorNumber: EEXIST)
        : FileError(path: path, call: "open")
    }
    defer { close(descriptor) }
    do throws(FileError) {
      try writeAll(bytes, to: descriptor, path)
      // Root makes it for the service; anybody else already is the owner.
      if geteuid() == 0, fchown(descriptor, status.st_uid, status.st_gid) != 0 {
        throw FileError(path: path, call: "fchown")
      }
      guard fsync(descriptor) == 0 else { throw FileError(path: path, call: "fsync") }
    } catch {
      unlink(path)
      throw error
    }
    try synchroniseFolder(of: path)
  }

  /// Overwrites a file, syncs and removes it. Flash may keep the old block: what must never be read again is encrypted,
  /// and it is the key that is erased.
  ///
  /// - Returns: false when there was none.
  package static func erase(_ path: String) throws(FileError) -> Bool {
    let descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return false }
      throw FileError(path: path, call: "open")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw FileError(path: path, reason: "is not a regular file; expected one")
    }
    let zeros = [UInt8](repeating: 0, count: 65_536)
    var left = Int(status.st_size)
    while left > 0 {
      let count = min(left, zeros.count)
      try writeAll(Array(zeros[..<count]), to: descriptor, path)
      left -= count
    }
    guard fsync(descriptor) == 0, ftruncate(descriptor, 0) == 0, unlink(path) == 0 else {
      throw FileError(path: path, call: "unlink")
    }
    try synchroniseFolder(of: path)
    return true
  }

  private static func writeAll(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(FileError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError(path: path, call: "write") }
      written += count
    }
  }
}
