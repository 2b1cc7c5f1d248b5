import Glibc

/// Whole files of bounded size: word files, backups.
package enum SmallFile {
  /// The bytes of the file at `path`, at most `maximumBytes`; a larger one is refused with EFBIG.
  package static func read(_ path: String, maximumBytes: Int) throws(SystemCallError) -> [UInt8] {
    let descriptor = OwnedDescriptor(
      takingOver: try systemCall("open", on: path) { open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) })
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while bytes.count <= maximumBytes {
      let count = try systemCall("read", on: path) { Glibc.read(descriptor.number, &chunk, chunk.count) }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
    }
    throw SystemCallError(call: "read", subject: path, errorNumber: EFBIG)
  }

  /// Puts `bytes` at `path`, whole or not at all: a new file beside it is written, flushed and renamed over it.
  package static func replace(_ path: String, with bytes: [UInt8]) throws(SystemCallError) {
    let temporary = path + ".new"
    do {
      let descriptor = OwnedDescriptor(
        takingOver: try systemCall("open", on: temporary) {
          open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        })
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = try systemCall("write", on: temporary) {
          rest.withUnsafeBytes { Glibc.write(descriptor.number, $0.baseAddress, $0.count) }
        }
        rest = rest.dropFirst(count)
      }
      try systemCall("fsync", on: temporary) { fsync(descriptor.number) }
    }
    try systemCall("rename", on: path) { rename(temporary, path) }
    try flushFolder(of: path)
  }

  /// The new name is durable only when its folder is.
  private static func flushFolder(of path: String) throws(SystemCallError) {
    let end = path.lastIndex(of: "/")
    let folder = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = OwnedDescriptor(
      takingOver: try systemCall("open", on: folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
    try systemCall("fsync", on: folder) { fsync(descriptor.number) }
  }
}
