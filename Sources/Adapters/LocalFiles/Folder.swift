import Glibc

/// Folders and what their entries allow.
package enum Folder {
  /// Names in the folder without `.` and `..`, in byte order. More than `maximumNames` is an error.
  package static func names(in path: String, maximumNames: Int) throws(FileError) -> [String] {
    guard let stream = opendir(path) else {
      throw FileError(SystemCallError(call: "opendir", subject: path, errorNumber: errno))
    }
    return try names(in: stream, path: path, maximumNames: maximumNames)
  }

  /// Reads the list of names to its end and closes it.
  static func names(in stream: OpaquePointer, path: String, maximumNames: Int) throws(FileError) -> [String] {
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw FileError(SystemCallError(call: "readdir", subject: path, errorNumber: errno)) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      }
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
      if names.count > maximumNames {
        throw FileError(path: path, reason: "holds more than \(maximumNames) files; expected fewer")
      }
    }
  }

  /// The folder that `path` stands in, and its name there.
  package static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }

  /// The folder that `path` stands in.
  package static func holding(_ path: String) -> String { split(path).folder }

  /// Makes the folder if there is none; the one above it must exist.
  ///
  /// - Returns: false when it was there.
  @discardableResult
  package static func make(_ path: String, mode: UInt32) throws(FileError) -> Bool {
    do throws(FileError) { try fileCall("mkdir", on: path) { mkdir(path, mode) } } catch {
      guard error.isThereAlready else { throw error }
      guard try BoundedFile.status(path)?.kind == .folder else {
        throw FileError(path: path, reason: "is not a folder; expected one, or nothing")
      }
      return false
    }
    return true
  }

  /// Makes the folder and what is missing above it, durably.
  package static func makeAll(_ path: String, mode: UInt32) throws(FileError) {
    let above = holding(path)
    do throws(FileError) {
      if try make(path, mode: mode) { try synchronise(above) }
    } catch {
      guard error.isMissing, above != path, above != "." else { throw error }
      try makeAll(above, mode: mode)
      if try make(path, mode: mode) { try synchronise(above) }
    }
  }

  /// Removes a folder; one that is missing, or not empty, is left as it is.
  package static func removeIfEmpty(_ path: String) throws(FileError) {
    do throws(FileError) { try fileCall("rmdir", on: path) { rmdir(path) } } catch {
      guard error.isMissing || error.systemErrorNumber == ENOTEMPTY else { throw error }
    }
  }

  /// Brings the names within the folder to the disk: what was made, renamed or removed there stays so after a power cut.
  package static func synchronise(_ path: String) throws(FileError) { try OpenFolder(path).synchronise() }

  /// Makes a symbolic link.
  ///
  /// - Returns: false when something has the name already.
  package static func link(_ path: String, to target: String) throws(FileError) -> Bool {
    do throws(FileError) { try fileCall("symlink", on: path) { symlink(target, path) } } catch {
      if error.isThereAlready { return false }
      throw error
    }
    return true
  }

  /// Where a symbolic link points, at most 256 bytes.
  package static func target(ofLink path: String) throws(FileError) -> String {
    var text = [CChar](repeating: 0, count: 256)
    let count = try fileCall("readlink", on: path) { readlink(path, &text, text.count) }
    return String(decoding: text[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Bytes that an unprivileged process may still write on the file system of the folder.
  package static func freeBytes(at path: String) throws(FileError) -> Int {
    var status = statvfs()
    try fileCall("statvfs", on: path) { statvfs(path, &status) }
    return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
  }

  /// Permission bits of the file that `path` leads to, 0...07777.
  package static func permissions(of path: String) throws(FileError) -> UInt32 {
    var status = stat()
    try fileCall("stat", on: path) { stat(path, &status) }
    return FileStatus(status).permissions
  }
}
