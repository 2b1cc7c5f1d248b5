import Glibc

/// What a file is.
package struct FileStatus: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    case file, folder, link
    /// A device, a pipe or a socket.
    case other
  }

  package var kind: Kind
  package var byteCount: Int
  /// Permission bits, 0...07777.
  package var permissions: UInt32
  package var owner: UInt32
  package var group: UInt32
  /// Names that lead to the file.
  package var linkCount: Int
  /// Changes with the content: modification and change times in nanoseconds.
  package var times: [Int]

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      case S_IFLNK: .link
      default: .other
      }
    byteCount = Int(status.st_size)
    permissions = UInt32(status.st_mode) & 0o7777
    owner = status.st_uid
    group = status.st_gid
    linkCount = Int(status.st_nlink)
    times = [
      Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec), Int(status.st_ctim.tv_sec), Int(status.st_ctim.tv_nsec),
    ]
  }
}

/// An open regular file. Opening never waits: a pipe or a device is refused.
package struct OpenFile: ~Copyable, Sendable {
  package enum Access: Sendable {
    case reading
    /// Made when it is missing, with these permission bits.
    case writing(mode: UInt32)
    /// Every write goes to the end, in one piece when it is one call.
    case appending(mode: UInt32)

    fileprivate var flags: Int32 {
      switch self {
      case .reading: O_RDONLY
      case .writing: O_WRONLY | O_CREAT
      case .appending: O_WRONLY | O_CREAT | O_APPEND
      }
    }

    fileprivate var mode: UInt32 {
      switch self {
      case .reading: 0
      case .writing(let mode), .appending(let mode): mode
      }
    }
  }

  package let path: String
  private let descriptor: OwnedDescriptor

  package init(_ path: String, for access: Access = .reading) throws(FileError) {
    let descriptor = OwnedDescriptor(
      takingOver: try fileCall("open", on: path) {
        open(path, access.flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, access.mode)
      })
    try self.init(takingOver: descriptor, path: path)
  }

  /// Takes over a descriptor, and refuses what is no regular file.
  init(takingOver descriptor: consuming OwnedDescriptor, path: String) throws(FileError) {
    guard try Self.status(descriptor.number, path).kind == .file else { throw .notRegular(path) }
    self.path = path
    self.descriptor = descriptor
  }

  /// The file for reading, nil when there is none.
  package static func ifThere(_ path: String) throws(FileError) -> OpenFile? {
    do throws(FileError) { return try OpenFile(path) } catch {
      if error.isMissing { return nil }
      throw error
    }
  }

  package func status() throws(FileError) -> FileStatus { try Self.status(descriptor.number, path) }

  private static func status(_ number: Int32, _ path: String) throws(FileError) -> FileStatus {
    var status = stat()
    try fileCall("fstat", on: path) { fstat(number, &status) }
    return FileStatus(status)
  }

  /// The whole file, at most `maximumBytes`. A file that changes meanwhile is refused: half of two contents is neither.
  package func read(maximumBytes: Int) throws(FileError) -> [UInt8] {
    try read(maximumBytes: maximumBytes, meanwhile: {})
  }

  /// - Parameter meanwhile: called when the size is known and nothing is read: what another process may do then.
  func read(maximumBytes: Int, meanwhile: () -> Void) throws(FileError) -> [UInt8] {
    let before = try status()
    guard before.byteCount <= maximumBytes else {
      throw FileError(path: path, reason: "has \(before.byteCount) bytes; expected at most \(maximumBytes)")
    }
    meanwhile()
    // One byte more than it has, so that its growth shows.
    var bytes = [UInt8](repeating: 0, count: before.byteCount + 1)
    let filled = try fill(&bytes, at: 0)
    guard filled == before.byteCount, try status() == before else {
      throw FileError(
        path: path, reason: "changed while it was read; try again", call: "read", systemErrorNumber: EAGAIN)
    }
    bytes.removeLast()
    return bytes
  }

  /// `count` bytes from `offset`; what lies behind the end or cannot be read counts as zeros. nil when nothing can be read.
  /// For saving what is left of a damaged file.
  package func legibleBytes(at offset: Int, count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    do throws(FileError) {
      while filled < count {
        let more = try readOnce(&bytes, from: filled, at: offset + filled)
        if more == 0 { break }
        filled += more
      }
    } catch {
      // As the comment above says: an illegible sector is zeros.
    }
    return filled == 0 ? nil : bytes
  }

  private func fill(_ bytes: inout [UInt8], at offset: Int) throws(FileError) -> Int {
    var filled = 0
    while filled < bytes.count {
      let more = try readOnce(&bytes, from: filled, at: offset + filled)
      if more == 0 { break }
      filled += more
    }
    return filled
  }

  private func readOnce(_ bytes: inout [UInt8], from index: Int, at offset: Int) throws(FileError) -> Int {
    let number = descriptor.number
    return try fileCall("read", on: path) {
      bytes.withUnsafeMutableBytes {
        pread(number, $0.baseAddress.map { $0 + index }, $0.count - index, off_t(offset))
      }
    }
  }

  /// Writes all of `bytes` where the last write ended (from the beginning at first; at the end of a file that is open for
  /// appending).
  package func write(_ bytes: [UInt8]) throws(FileError) {
    let number = descriptor.number
    var written = 0
    while written < bytes.count {
      written += try fileCall("write", on: path) {
        bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress.map { $0 + written }, $0.count - written) }
      }
    }
  }

  /// Writes all of `bytes` from `offset`.
  package func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
    let number = descriptor.number
    var written = 0
    while written < bytes.count {
      written += try fileCall("write", on: path) {
        bytes.withUnsafeBytes {
          pwrite(number, $0.baseAddress.map { $0 + written }, $0.count - written, off_t(offset + written))
        }
      }
    }
  }

  /// Brings content and size to the disk.
  package func synchronise() throws(FileError) {
    let number = descriptor.number
    try fileCall("fsync", on: path) { fsync(number) }
  }

  /// The same without times of access and change, which is one write less.
  package func synchroniseContent() throws(FileError) {
    let number = descriptor.number
    try fileCall("fdatasync", on: path) { fdatasync(number) }
  }

  /// Makes the file occupy its first `count` bytes on the disk.
  package func allocate(_ count: Int) throws(FileError) {
    let number = descriptor.number
    do throws(SystemCallError) {
      try systemCallByCode("posix_fallocate", on: path) { posix_fallocate(number, 0, off_t(count)) }
    } catch {
      throw FileError(error)
    }
  }

  /// Cuts it off behind its first `count` bytes, or lengthens it with zeros.
  package func truncate(to count: Int) throws(FileError) {
    let number = descriptor.number
    try fileCall("ftruncate", on: path) { ftruncate(number, off_t(count)) }
  }

  func setPermissions(_ mode: UInt32) throws(FileError) {
    let number = descriptor.number
    try fileCall("fchmod", on: path) { fchmod(number, mode) }
  }

  func give(to owner: UInt32, group: UInt32) throws(FileError) {
    let number = descriptor.number
    try fileCall("fchown", on: path) { fchown(number, owner, group) }
  }
}
