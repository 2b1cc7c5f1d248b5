import LocalFiles

/// Room held back for the moment when the file system is full: without it a write-ahead log can neither delete nor
/// checkpoint, so that a full disk would never empty itself.
struct Ballast {
  private let path: String
  private let bytes: Int
  private(set) var isHeld = false

  init(databasePath: String, bytes: Int) {
    path = databasePath + ".ballast"
    self.bytes = bytes
  }

  /// Takes the room, unless the file system is nearly full.
  mutating func take() throws(OutboxError) {
    guard bytes > 0, !isHeld else { return }
    isHeld = try onDisk { () throws(FileError) in
      if try BoundedFile.status(path)?.byteCount == bytes { return true }
      guard try Folder.freeBytes(at: Folder.holding(path)) > 2 * bytes else { return false }
      return try allocate()
    }
  }

  /// Makes the file occupy its room on the disk; false when there is none.
  private func allocate() throws(FileError) -> Bool {
    do throws(FileError) {
      try OpenFile(path, for: .writing(mode: 0o600)).allocate(bytes)
      return true
    } catch {
      try BoundedFile.remove(path, isDurable: false)
      guard error.isFull || error.isTooLarge else { throw error }
      return false
    }
  }

  /// Gives the room back to the file system; true when there was some.
  mutating func release() throws(OutboxError) -> Bool {
    let mayBeThere = isHeld
    isHeld = false
    return try onDisk { () throws(FileError) in
      if !mayBeThere {
        guard try BoundedFile.exists(path) else { return false }
      }
      try BoundedFile.remove(path, isDurable: false)
      return true
    }
  }
}

/// Work on files in the outbox's terms: a full file system is `.noSpace`.
func onDisk<Result: ~Copyable>(_ body: () throws(FileError) -> Result) throws(OutboxError) -> Result {
  do throws(FileError) { return try body() } catch {
    throw error.isFull ? .noSpace(path: error.path) : .file(error)
  }
}
