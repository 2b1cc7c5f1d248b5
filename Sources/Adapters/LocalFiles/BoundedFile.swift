import Glibc

/// Whole files of bounded size.
package enum BoundedFile {
  /// How often a file is opened that is replaced or written meanwhile each time.
  static let maximumReads = 8

  /// Reads a regular file of at most `maximumBytes`. Never waits: a pipe or a device is refused. One that another process
  /// replaces meanwhile is opened anew, so that the service's own files can be read at any moment.
  package static func read(_ path: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
    try read(path, maximumBytes: maximumBytes, meanwhile: {})
  }

  /// - Parameter meanwhile: called between the parts of each reading: what another process may do then.
  static func read(_ path: String, maximumBytes: Int, meanwhile: () -> Void) throws(FileError) -> [UInt8] {
    for _ in 1..<maximumReads {
      do throws(FileError) {
        return try OpenFile(path).read(maximumBytes: maximumBytes, meanwhile: meanwhile)
      } catch {
        guard error.isChanging else { throw error }
      }
    }
    return try OpenFile(path).read(maximumBytes: maximumBytes, meanwhile: meanwhile)
  }

  /// The same, nil when there is no such file.
  package static func readIfThere(_ path: String, maximumBytes: Int) throws(FileError) -> [UInt8]? {
    do throws(FileError) { return try read(path, maximumBytes: maximumBytes) } catch {
      if error.isMissing { return nil }
      throw error
    }
  }

  /// Reads a file of /proc or /sys, whose size the kernel does not state, at most `maximumBytes` of it.
  package static func readStream(_ path: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
    let descriptor = OwnedDescriptor(
      takingOver: try fileCall("open", on: path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) })
    let number = descriptor.number
    var bytes = [UInt8](repeating: 0, count: maximumBytes)
    let count = try fileCall("read", on: path) {
      bytes.withUnsafeMutableBytes { Glibc.read(number, $0.baseAddress, $0.count) }
    }
    return Array(bytes[..<count])
  }

  /// Replaces `path` as a whole, durably: a reader sees the old content or the new one, also after a power cut.
  ///
  /// - Parameters:
  ///   - mode: permission bits of the new file, less the process's mask.
  ///   - isModeExact: with the mask left aside.
  ///   - isDurable: false when the caller brings the new name to the disk itself, with `Folder.synchronise`.
  package static func replace(
    _ path: String, with bytes: [UInt8], mode: UInt32 = 0o644, isModeExact: Bool = false, isDurable: Bool = true
  ) throws(FileError) {
    let (folder, name) = Folder.split(path)
    try OpenFolder(folder).replace(name, with: bytes, mode: mode, isModeExact: isModeExact, isDurable: isDurable)
  }

  /// Makes a file of mode 0600 that did not exist before, owned by whoever owns its folder, on disk when this returns.
  package static func createPrivate(_ path: String, with bytes: [UInt8]) throws(FileError) {
    let (folder, name) = Folder.split(path)
    try OpenFolder(folder).createPrivate(name, with: bytes)
  }

  /// Removes `path`. A file that is not there is no error.
  ///
  /// - Parameter isDurable: false when the caller brings it to the disk itself, with `Folder.synchronise`.
  package static func remove(_ path: String, isDurable: Bool = true) throws(FileError) {
    do throws(FileError) { try fileCall("unlink", on: path) { unlink(path) } } catch {
      if error.isMissing { return }
      throw error
    }
    if isDurable { try Folder.synchronise(Folder.holding(path)) }
  }

  /// Renames within a file system; what has the new name is replaced, and a source that is missing is no error. Durable
  /// after `Folder.synchronise`.
  package static func rename(_ path: String, to target: String) throws(FileError) {
    do throws(FileError) { try fileCall("rename", on: path) { Glibc.rename(path, target) } } catch {
      if !error.isMissing { throw error }
    }
  }

  /// Overwrites a file, syncs and removes it. Flash may keep the old block: what must never be read again is encrypted,
  /// and it is the key that is erased.
  ///
  /// - Returns: false when there was none.
  package static func erase(_ path: String) throws(FileError) -> Bool {
    let descriptor: OwnedDescriptor
    do throws(FileError) {
      descriptor = OwnedDescriptor(
        takingOver: try fileCall("open", on: path) { open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) })
    } catch {
      if error.isMissing { return false }
      throw error
    }
    let file = try OpenFile(takingOver: descriptor, path: path)
    let zeros = [UInt8](repeating: 0, count: 65_536)
    var left = try file.status().byteCount
    while left > 0 {
      let count = min(left, zeros.count)
      try file.write(Array(zeros[..<count]))
      left -= count
    }
    try file.synchronise()
    try file.truncate(to: 0)
    try remove(path)
    return true
  }

  /// What stands at `path`, nil when nothing does.
  ///
  /// - Parameter followingLink: whether a link is looked through.
  package static func status(_ path: String, followingLink: Bool = true) throws(FileError) -> FileStatus? {
    var status = stat()
    do throws(FileError) {
      try fileCall("stat", on: path) { followingLink ? stat(path, &status) : lstat(path, &status) }
    } catch {
      if error.isMissing { return nil }
      throw error
    }
    return FileStatus(status)
  }

  /// Whether anything stands at `path`. A link that leads nowhere does not, unless links are not followed.
  package static func exists(_ path: String, followingLink: Bool = true) throws(FileError) -> Bool {
    try status(path, followingLink: followingLink) != nil
  }
}
