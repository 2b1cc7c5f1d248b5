import Glibc

/// Files that are there as a whole or not at all, and stay when the power goes.
enum DurableFiles {
  /// Writes `bytes` beside `path`, brings them to the disk and puts the file in place. The name itself is only on the
  /// disk after `synchronise(folder:)`. `writer` keeps the temporary files of several processes apart.
  static func write(_ bytes: [UInt8], to path: String, writer: String) throws(ReceiverError) {
    let (folder, name) = split(path)
    let temporary = "\(folder)/.\(name).\(writer).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw ReceiverError("create", temporary, errnoCode: errno) }
    defer { close(descriptor) }
    try writeAll(bytes, to: descriptor, path: temporary)
    guard fsync(descriptor) == 0 else { throw ReceiverError("bring to the disk", temporary, errnoCode: errno) }
    guard rename(temporary, path) == 0 else { throw ReceiverError("put in place", path, errnoCode: errno) }
  }

  /// Brings the names within `folder` to the disk.
  static func synchronise(folder: String) throws(ReceiverError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ReceiverError("open", folder, errnoCode: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw ReceiverError("bring to the disk", folder, errnoCode: errno) }
  }

  /// Makes `path` and what is missing above it, and brings the new names to the disk.
  static func makeFolder(_ path: String) throws(ReceiverError) {
    if mkdir(path, 0o755) == 0 { return try synchronise(folder: split(path).folder) }
    switch errno {
    case EEXIST:
      guard isFolder(path) else { throw ReceiverError("make the folder", path, reason: "a file is in its place") }
    case ENOENT:
      let above = split(path).folder
      guard above != path, above != "." else { throw ReceiverError("make the folder", path, errnoCode: ENOENT) }
      try makeFolder(above)
      guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
        throw ReceiverError("make the folder", path, errnoCode: errno)
      }
      try synchronise(folder: above)
    default: throw ReceiverError("make the folder", path, errnoCode: errno)
    }
  }

  /// The whole file, or nil when there is none. Throws when it has more than `bytesMaximum` bytes.
  static func read(_ path: String, bytesMaximum: Int) throws(ReceiverError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw ReceiverError("open", path, errnoCode: errno)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw ReceiverError("look at", path, errnoCode: errno) }
    guard status.st_size <= bytesMaximum else {
      throw ReceiverError("read", path, reason: "\(status.st_size) bytes; expected at most \(bytesMaximum)")
    }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes { buffer in
        Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw ReceiverError("read", path, errnoCode: errno) }
      guard count > 0 else { break }
      filled += count
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  /// Names of the folders within `path`, in their order; links and hidden ones are left out.
  static func folders(in path: String) throws(ReceiverError) -> [String] {
    guard let directory = opendir(path) else { throw ReceiverError("list", path, errnoCode: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      var status = stat()
      guard !name.hasPrefix("."), lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        continue
      }
      names.append(name)
    }
    return names.sorted()
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// Where a symbolic link points.
  static func target(ofLink path: String) throws(ReceiverError) -> String {
    var text = [CChar](repeating: 0, count: 256)
    let count = readlink(path, &text, text.count)
    guard count >= 0 else { throw ReceiverError("read", path, errnoCode: errno) }
    return String(decoding: text[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(ReceiverError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw ReceiverError("write", path, errnoCode: errno) }
      written += count
    }
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The folder and the last name of `path`.
  static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let folder = slash == path.startIndex ? "/" : String(path[..<slash])
    return (folder, String(path[path.index(after: slash)...]))
  }
}
