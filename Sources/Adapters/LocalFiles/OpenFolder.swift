import CLinux
import Glibc

/// A folder held by its descriptor: what is done in it is done in this folder, whatever its path leads to by then.
///
/// Safe for a medium that a stranger prepared: names within it are never followed as links, what is read is a regular file
/// with one name (no pipe, device or socket is even opened), and what is written has a name that was not there before and
/// then takes the place of whatever had the name, links included. For such a medium open the folder `withoutLinks`.
package struct OpenFolder: ~Copyable, Sendable {
  package let path: String
  private let descriptor: OwnedDescriptor

  private static let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC

  /// Opens a folder of our own, to which links may lead.
  package init(_ path: String) throws(FileError) {
    descriptor = OwnedDescriptor(takingOver: try fileCall("open", on: path) { open(path, Self.flags) })
    self.path = path
  }

  /// Opens a folder on a medium that a stranger may have prepared: a symbolic link anywhere in `path` is an error.
  package init(withoutLinks path: String) throws(FileError) {
    self.init(descriptor: try Self.openWithoutLinks(path), path: path)
  }

  private static func openWithoutLinks(_ path: String) throws(FileError) -> OwnedDescriptor {
    do throws(FileError) {
      return OwnedDescriptor(
        takingOver: try fileCall("openat2", on: path) { clinux_open_without_links(AT_FDCWD, path, flags) })
    } catch {
      // EPERM: an older sandbox refuses calls that it does not know.
      guard error.systemErrorNumber == ENOSYS || error.systemErrorNumber == EPERM else { throw error }
      return try openStepByStep(path)
    }
  }

  /// The same where the kernel has no openat2: one step after another, each from the folder before.
  init(stepByStep path: String) throws(FileError) {
    self.init(descriptor: try Self.openStepByStep(path), path: path)
  }

  private static func openStepByStep(_ path: String) throws(FileError) -> OwnedDescriptor {
    guard !path.isEmpty else {
      throw FileError(SystemCallError(call: "openat", subject: path, errorNumber: ENOENT))
    }
    var folder = try OpenFolder(path.hasPrefix("/") ? "/" : ".")
    for step in path.split(separator: "/") where step != "." { folder = try folder.step(String(step), whole: path) }
    return folder.takeDescriptor()
  }

  private init(descriptor: consuming OwnedDescriptor, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  private consuming func takeDescriptor() -> OwnedDescriptor { descriptor }

  private borrowing func step(_ name: String, whole: String) throws(FileError) -> OpenFolder {
    let number = descriptor.number
    do throws(FileError) {
      let next = OwnedDescriptor(
        takingOver: try fileCall("openat", on: whole) { openat(number, name, Self.flags | O_NOFOLLOW) })
      return OpenFolder(descriptor: next, path: whole)
    } catch {
      // The kernel says "no folder" of a link; a person should hear that it is one.
      guard error.systemErrorNumber == ENOTDIR, try status(of: name)?.kind == .link else { throw error }
      throw FileError(SystemCallError(call: "openat", subject: whole, errorNumber: ELOOP))
    }
  }

  /// Where `name` stands, for errors.
  private func place(_ name: String) -> String { path == "." ? name : path == "/" ? "/" + name : "\(path)/\(name)" }

  package func status() throws(FileError) -> FileStatus {
    let number = descriptor.number
    var status = stat()
    try fileCall("fstat", on: path) { fstat(number, &status) }
    return FileStatus(status)
  }

  /// What has the name, a link not looked through; nil when nothing has.
  package func status(of name: String) throws(FileError) -> FileStatus? {
    let number = descriptor.number
    var status = stat()
    do throws(FileError) {
      try fileCall("stat", on: place(name)) { fstatat(number, name, &status, AT_SYMLINK_NOFOLLOW) }
    } catch {
      if error.isMissing { return nil }
      throw error
    }
    return FileStatus(status)
  }

  /// Brings the names within it to the disk.
  package func synchronise() throws(FileError) {
    let number = descriptor.number
    try fileCall("fsync", on: path) { fsync(number) }
  }

  /// Names in the folder, as `Folder.names`.
  package func names(maximumNames: Int) throws(FileError) -> [String] {
    let number = descriptor.number
    // A descriptor of its own: the list takes it over, and its position too.
    let own = try fileCall("openat", on: path) { openat(number, ".", Self.flags) }
    guard let stream = fdopendir(own) else {
      let error = FileError(SystemCallError(call: "fdopendir", subject: path, errorNumber: errno))
      close(own)
      throw error
    }
    return try Folder.names(in: stream, path: path, maximumNames: maximumNames)
  }

  // MARK: Names

  /// Whether `name` is one name: no path, and neither this folder nor the one above.
  package static func isName(_ name: String) -> Bool {
    (1...255).contains(name.utf8.count) && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
  }

  private func check(_ name: String) throws(FileError) {
    guard Self.isName(name) else {
      throw FileError(path: path, reason: "'\(name)' is no name of a file; expected one without '/' and not '..'")
    }
  }

  // MARK: Folders within

  /// A folder within this one, nil when there is none. A link is an error.
  package func folder(_ name: String) throws(FileError) -> OpenFolder? {
    try check(name)
    guard let status = try status(of: name) else { return nil }
    guard status.kind != .link else {
      throw FileError(SystemCallError(call: "openat", subject: place(name), errorNumber: ELOOP))
    }
    return try step(name, whole: place(name))
  }

  /// The folder of that name within this one, made when there is none.
  package func makeFolder(_ name: String, mode: UInt32) throws(FileError) -> OpenFolder {
    try check(name)
    let number = descriptor.number
    do throws(FileError) { try fileCall("mkdir", on: place(name)) { mkdirat(number, name, mode) } } catch {
      guard error.isThereAlready else { throw error }
    }
    return try step(name, whole: place(name))
  }

  // MARK: Reading

  /// Reads a regular file of at most `maximumBytes` that has this name alone.
  package func read(_ name: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
    guard let bytes = try readIfThere(name, maximumBytes: maximumBytes) else {
      throw FileError(SystemCallError(call: "open", subject: place(name), errorNumber: ENOENT))
    }
    return bytes
  }

  /// The same, nil when there is no such file.
  package func readIfThere(_ name: String, maximumBytes: Int) throws(FileError) -> [UInt8]? {
    try check(name)
    let place = place(name)
    guard let status = try status(of: name) else { return nil }
    // Asked first: to open a device can do something, and a pipe waits.
    try Self.checkReadable(status, place)
    let number = descriptor.number
    let file = OwnedDescriptor(
      takingOver: try fileCall("open", on: place) {
        openat(number, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
      })
    let open = try OpenFile(takingOver: file, path: place)
    // And asked again: by now the name may be another file's.
    try Self.checkReadable(try open.status(), place)
    return try open.read(maximumBytes: maximumBytes)
  }

  private static func checkReadable(_ status: FileStatus, _ place: String) throws(FileError) {
    switch status.kind {
    case .link: throw FileError(SystemCallError(call: "open", subject: place, errorNumber: ELOOP))
    case .folder, .other: throw .notRegular(place)
    case .file:
      // Whoever made a second name may have taken the first from a folder that is closed to them.
      guard status.linkCount == 1 else {
        throw FileError(path: place, reason: "has \(status.linkCount) names (hard links); expected one: copy the file")
      }
    }
  }

  // MARK: Writing

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
  ///   - mode: permission bits of the new file, less the process's mask.
  ///   - isModeExact: with the mask left aside. Not for a FAT file system, which has no such bits.
  ///   - isDurable: false when the caller brings the new name to the disk itself, with `synchronise`.
  package func replace(
    _ name: String, with bytes: [UInt8], mode: UInt32, isModeExact: Bool = false, isDurable: Bool = true
  ) throws(FileError) {
    try replace(
      name, with: bytes, mode: mode, isModeExact: isModeExact, isDurable: isDurable, temporary: Self.temporaryName())
  }

  func replace(
    _ name: String, with bytes: [UInt8], mode: UInt32, isModeExact: Bool, isDurable: Bool, temporary: String
  ) throws(FileError) {
    try check(name)
    let number = descriptor.number
    let file: OpenFile
    do throws(FileError) { file = try create(temporary, mode: mode) } catch { throw error.at(place(name)) }
    do throws(FileError) {
      try file.write(bytes)
      if isModeExact { try file.setPermissions(mode) }
      try file.synchronise()
      try fileCall("rename", on: place(name)) { renameat(number, temporary, number, name) }
    } catch {
      unlinkat(number, temporary, 0)
      // A person knows the file, not its temporary name.
      throw error.at(place(name))
    }
    if isDurable { try synchronise() }
  }

  static func temporaryName() -> String {
    let text = String(UInt64.random(in: .min ... .max), radix: 16)
    return temporaryPrefix + String(repeating: "0", count: 16 - text.utf8.count) + text + temporarySuffix
  }

  private static let temporaryPrefix = ".thermograph-"
  private static let temporarySuffix = ".tmp"

  /// Whether a file has the name of one that was being written when the program was killed.
  package static func isTemporary(_ name: String) -> Bool {
    name.hasPrefix(temporaryPrefix) && name.hasSuffix(temporarySuffix)
  }

  /// Makes a file of mode 0600 that did not exist before, owned by whoever owns the folder, on disk when this returns.
  package func createPrivate(_ name: String, with bytes: [UInt8]) throws(FileError) {
    try check(name)
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

extension BoundedFile {
  /// Reads a file on a medium that a stranger may have prepared: see `OpenFolder.read`.
  package static func read(withoutLinks path: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
    let (folder, name) = Folder.split(path)
    return try OpenFolder(withoutLinks: folder).read(name, maximumBytes: maximumBytes)
  }
}

extension FileError {
  fileprivate func at(_ path: String) -> FileError {
    var error = self
    error.path = path
    return error
  }
}
