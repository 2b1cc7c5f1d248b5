import Glibc

/// A folder held by its descriptor: what is done in it is done in this folder, whatever its path leads to by then.
package struct OpenFolder: ~Copyable, Sendable {
  package let path: String
  private let descriptor: OwnedDescriptor

  package init(_ path: String) throws(FileError) {
    descriptor = OwnedDescriptor(
      takingOver: try fileCall("open", on: path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
    self.path = path
  }

  /// Where `name` stands, for errors.
  private func place(_ name: String) -> String { path == "." ? name : path == "/" ? "/" + name : "\(path)/\(name)" }

  package func status() throws(FileError) -> FileStatus {
    let number = descriptor.number
    var status = stat()
    try fileCall("fstat", on: path) { fstat(number, &status) }
    return FileStatus(status)
  }

  /// Brings the names within it to the disk.
  package func synchronise() throws(FileError) {
    let number = descriptor.number
    try fileCall("fsync", on: path) { fsync(number) }
  }

  /// Makes a file that was not there before, whatever kind of thing has the name.
  private func create(_ name: String, mode: UInt32) throws(FileError) -> OpenFile {
    let number = descriptor.number
    let place = place(name)
    let file = OwnedDescriptor(
      takingOver: try fileCall("open", on: place) {
        openat(number, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
      })
    return try OpenFile(takingOver: file, path: place)
  }

  /// Replaces `name` as a whole: a reader sees the old content or the new one, also after a power cut. The temporary file
  /// has a name that nobody can know before, and is never one that was there.
  ///
  /// - Parameters:
  ///   - mode: permission bits of the new file.
  ///   - isDurable: false when the caller brings the new name to the disk itself, with `synchronise`.
  package func replace(
    _ name: String, with bytes: [UInt8], mode: UInt32, isDurable: Bool = true
  ) throws(FileError) {
    let number = descriptor.number
    let temporary = Self.temporaryName()
    let file = try create(temporary, mode: mode)
    do throws(FileError) {
      try file.write(bytes)
      try file.synchronise()
      try fileCall("rename", on: place(name)) { renameat(number, temporary, number, name) }
    } catch {
      unlinkat(number, temporary, 0)
      // A person knows the file, not its temporary name.
      throw error.at(place(name))
    }
    if isDurable { try synchronise() }
  }

  private static func temporaryName() -> String {
    let text = String(UInt64.random(in: .min ... .max), radix: 16)
    return ".thermograph-" + String(repeating: "0", count: 16 - text.utf8.count) + text + ".tmp"
  }

  /// Makes a file of mode 0600 that did not exist before, owned by whoever owns the folder, on disk when this returns.
  package func createPrivate(_ name: String, with bytes: [UInt8]) throws(FileError) {
    let number = descriptor.number
    let folder = try status()
    let file: OpenFile
    do throws(FileError) { file = try create(name, mode: 0o600) } catch {
      guard error.isThereAlready else { throw error }
      throw FileError(
        path: error.path, reason: "is there already and is never replaced", call: error.call, systemErrorNumber: EEXIST)
    }
    do throws(FileError) {
      try file.write(bytes)
      // Root makes it for the service; anybody else already is the owner.
      if geteuid() == 0 { try file.give(to: folder.owner, group: folder.group) }
      try file.synchronise()
    } catch {
      unlinkat(number, name, 0)
      throw error
    }
    try synchronise()
  }
}

extension FileError {
  fileprivate func at(_ path: String) -> FileError {
    var error = self
    error.path = path
    return error
  }
}
