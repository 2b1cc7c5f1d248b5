import Glibc

/// The names in a folder.
package enum FolderListing {
  /// In byte order, without `.` and `..`; more than `maximumCount` are refused.
  package static func names(in path: String, maximumCount: Int) throws(FileError) -> [String] {
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
      if name != "." && name != ".." { names.append(name) }
      guard names.count <= maximumCount else {
        throw FileError(path: path, reason: "holds more than \(maximumCount) entries; expected fewer")
      }
    }
  }
}
