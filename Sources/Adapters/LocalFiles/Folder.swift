import Glibc

/// Folders and what their entries allow.
package enum Folder {
  /// Names in the folder without `.` and `..`, in byte order. More than `maximumNames` is an error.
  package static func names(in path: String, maximumNames: Int) throws(FileError) -> [String] {
    guard let stream = opendir(path) else { throw FileError(path: path, call: "opendir") }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw FileError(path: path, call: "readdir") }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      }
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
      if names.count > maximumNames {
        throw FileError(path: path, reason: "holds more than \(maximumNames) files; expected fewer")
      }
    }
  }

  /// The folder that `path` stands in.
  package static func holding(_ path: String) -> String {
    path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
  }

  /// Makes the folder if there is none; the one above it must exist.
  package static func make(_ path: String, mode: UInt32) throws(FileError) {
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileError(path: path, call: "mkdir") }
  }

  /// Bytes that an unprivileged process may still write on the file system of the folder.
  package static func freeBytes(at path: String) throws(FileError) -> Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw FileError(path: path, call: "statvfs") }
    return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
  }

  /// Permission bits of the file that `path` leads to, 0...07777.
  package static func permissions(of path: String) throws(FileError) -> UInt32 {
    var status = stat()
    guard stat(path, &status) == 0 else { throw FileError(path: path, call: "stat") }
    return UInt32(status.st_mode) & 0o7777
  }
}

extension FileError {
  package var isMissing: Bool { systemErrorNumber == ENOENT || systemErrorNumber == ENOTDIR }
  package var isThereAlready: Bool { systemErrorNumber == EEXIST }
  package var isForbidden: Bool { systemErrorNumber == EACCES || systemErrorNumber == EPERM }
}
