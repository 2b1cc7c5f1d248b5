import LocalFiles
import Provenance
import Remote

/// The record of updates and the units on disk, below the state directory:
///
/// ```
/// updates/state.json          UpdateBook, replaced as a whole: the one place that says which model decides
/// updates/incoming/           parts of a unit that is on its way
/// models/store/<sha256>       units, each named by its hash
/// ```
///
/// The service and the tools work on it, one at a time, under a lock between processes. A unit is on disk before the record
/// names it, and goes only after no record names it any more; so whatever the power does, what the record names is whole.
package struct UpdateStore: Sendable {
  private static let lockWaitMilliseconds = 10_000
  /// Parts of the largest unit, and a few files more.
  static let filesMaximum = 1024
  private static let heldMaximum = 4

  private let directory: String
  private let digests = OpenSSLDigests()

  package init(stateDirectory: String) {
    directory = stateDirectory
  }

  private var bookPath: String { "\(directory)/\(StateFiles.updates)/\(StateFiles.updateBook)" }
  private var storePath: String { "\(directory)/\(StateFiles.models)/\(StateFiles.unitStore)" }
  package var incomingPath: String { "\(directory)/\(StateFiles.updates)/\(StateFiles.incoming)" }

  /// Where a unit lies.
  package func path(of unit: UpdateUnit) -> String { "\(storePath)/\(unit.fileSHA256)" }

  // MARK: - The record

  /// What changes when the record does; nil: there is none, and the installed models decide.
  package func stamp() throws(UpdateStoreError) -> FileStatus? {
    try inFiles { () throws(FileError) in try BoundedFile.status(bookPath, followingLink: false) }
  }

  /// The record as it is; one that says nothing where there is none.
  package func read() throws(UpdateStoreError) -> UpdateBook {
    let bytes = try inFiles { () throws(FileError) in
      try BoundedFile.readIfThere(bookPath, maximumBytes: UpdateBook.bytesMaximum)
    }
    guard let bytes else { return UpdateBook() }
    do throws(UpdateBookError) { return try UpdateBook(json: bytes) } catch {
      throw .damaged(path: bookPath, reason: error.reason)
    }
  }

  /// Lets an event happen: on disk when this returns.
  ///
  /// - Returns: the record after it.
  /// - Throws: the refusal, or why it could not be written; the record is as it was.
  @discardableResult
  package func apply(_ event: UpdateEvent) throws(UpdateStoreError) -> UpdateBook {
    // An event that changes nothing costs no lock and no folder: most devices have no update under way.
    var trial = try read()
    do throws(UpdateRefusal) {
      let before = trial
      try trial.handle(event)
      if trial == before { return trial }
    } catch { throw .refused(error) }
    return try asOwner { () throws(UpdateStoreError) in
      let lock = try takeLock()
      defer { lock.release() }
      var book = try read()
      let before = book
      do throws(UpdateRefusal) { try book.handle(event) } catch { throw .refused(error) }
      if book != before { try write(book) }
      try collect(book)
      return book
    }
  }

  /// Root, of a tool, works as the owner of the state directory: the files must stay the service's.
  private func asOwner<Value>(
    _ body: () throws(UpdateStoreError) -> Value
  ) throws(UpdateStoreError) -> Value {
    let result = try inFiles { () throws(FileError) -> Result<Value, UpdateStoreError> in
      try OwnerRights.asOwner(of: directory) { () throws(FileError) -> Result<Value, UpdateStoreError> in
        do throws(UpdateStoreError) { return .success(try body()) } catch { return .failure(error) }
      }
    }
    return try result.get()
  }

  private func takeLock() throws(UpdateStoreError) -> FileLock {
    try inFiles { () throws(FileError) in
      try Folder.makeAll("\(directory)/\(StateFiles.updates)", mode: 0o700)
      return try FileLock(
        "\(directory)/\(StateFiles.updates)/\(StateFiles.updateLock)", waitMilliseconds: Self.lockWaitMilliseconds)
    }
  }

  private func write(_ book: UpdateBook) throws(UpdateStoreError) {
    let bytes: [UInt8]
    do { bytes = try book.encoded() } catch { throw .damaged(path: bookPath, reason: "\(error)") }
    guard bytes.count <= UpdateBook.bytesMaximum else {
      throw .damaged(
        path: bookPath, reason: "would have \(bytes.count) bytes; expected at most \(UpdateBook.bytesMaximum)")
    }
    try inFiles { () throws(FileError) in try BoundedFile.replace(bookPath, with: bytes, mode: 0o600) }
  }

  // MARK: - Units

  /// Puts a verified unit into the store and orders it, in this order, under one lock.
  ///
  /// - Parameter bytes: of the unit's file; their hash is held against the unit's once more.
  @discardableResult
  package func stage(
    _ unit: UpdateUnit, _ bytes: [UInt8], command: String? = nil, window: String? = nil
  ) throws(UpdateStoreError) -> UpdateBook {
    guard Hexadecimal.text(of: digests.sha256(bytes)) == unit.fileSHA256, bytes.count == unit.bytes else {
      throw .damaged(path: path(of: unit), reason: "is another file than the one that was verified")
    }
    return try asOwner { () throws(UpdateStoreError) in
      let lock = try takeLock()
      defer { lock.release() }
      var book = try read()
      let before = book
      do throws(UpdateRefusal) {
        try book.handle(.staged(unit, command: command, window: window))
      } catch { throw .refused(error) }
      try inFiles { () throws(FileError) in
        try Folder.makeAll(storePath, mode: 0o700)
        let present = try BoundedFile.readIfThere(path(of: unit), maximumBytes: UpdateRules.unitBytesMaximum)
        if present != bytes { try BoundedFile.replace(path(of: unit), with: bytes, mode: 0o600) }
      }
      if book != before { try write(book) }
      try collect(book)
      return book
    }
  }

  // MARK: - Units that wait for a word

  private func heldPath(_ target: UnitTarget) -> String { "\(incomingPath)/\(target.model)-\(target.version).tar" }

  /// Keeps a unit's file for a command that asks for it. The newest few are kept.
  package func hold(_ bytes: [UInt8], as target: UnitTarget) throws(UpdateStoreError) {
    try asOwner { () throws(UpdateStoreError) in try holdHere(bytes, as: target) }
  }

  private func holdHere(_ bytes: [UInt8], as target: UnitTarget) throws(UpdateStoreError) {
    let lock = try takeLock()
    defer { lock.release() }
    try inFiles { () throws(FileError) in
      try Folder.makeAll(incomingPath, mode: 0o700)
      let path = heldPath(target)
      let names = try Folder.names(in: incomingPath, maximumNames: Self.filesMaximum)
      var times: [(path: String, times: [Int])] = []
      for other in names.map({ "\(incomingPath)/\($0)" }) where other != path {
        if let status = try BoundedFile.status(other, followingLink: false) { times.append((other, status.times)) }
      }
      times.sort { $0.times.lexicographicallyPrecedes($1.times) }
      for old in times.dropLast(Self.heldMaximum - 1) { try BoundedFile.remove(old.path) }
      try BoundedFile.replace(path, with: bytes, mode: 0o600)
    }
  }

  /// A file that is kept; nil: none of that name. It is to be verified anew.
  package func held(_ target: UnitTarget) throws(UpdateStoreError) -> [UInt8]? {
    try inFiles { () throws(FileError) in
      try BoundedFile.readIfThere(heldPath(target), maximumBytes: UpdateRules.unitBytesMaximum)
    }
  }

  /// A unit's file, the one that was verified.
  package func bytes(of unit: UpdateUnit) throws(UpdateStoreError) -> [UInt8] {
    let bytes = try inFiles { () throws(FileError) in
      try BoundedFile.read(path(of: unit), maximumBytes: UpdateRules.unitBytesMaximum)
    }
    let sum = Hexadecimal.text(of: digests.sha256(bytes))
    guard sum == unit.fileSHA256 else {
      throw .damaged(
        path: path(of: unit),
        reason: "is damaged (SHA-256 \(sum.prefix(12))..., expected "
          + "\(unit.fileSHA256.prefix(12))...); the model before it takes its place")
    }
    return bytes
  }

  /// Removes what no record needs: units of updates that are over, and what a cut left half written.
  private func collect(_ book: UpdateBook) throws(UpdateStoreError) {
    try inFiles { () throws(FileError) in
      let updates = "\(directory)/\(StateFiles.updates)"
      for name in try Folder.names(in: updates, maximumNames: Self.filesMaximum) where name.hasSuffix(".tmp") {
        try BoundedFile.remove("\(updates)/\(name)", isDurable: false)
      }
      try dropParts(except: book.order)
      guard try BoundedFile.exists(storePath) else { return }
      let needed = book.neededFiles
      let spare = try Folder.names(in: storePath, maximumNames: Self.filesMaximum).filter { !needed.contains($0) }
      for name in spare { try BoundedFile.remove("\(storePath)/\(name)", isDurable: false) }
      if !spare.isEmpty { try Folder.synchronise(storePath) }
    }
  }
}

/// Why an update is not taken, or the record not written.
package enum UpdateStoreError: Error, Sendable, Equatable, CustomStringConvertible {
  case file(FileError)
  case refused(UpdateRefusal)
  case damaged(path: String, reason: String)

  package var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .refused(let refusal): "\(refusal)"
    case .damaged(let path, let reason): "\(path): \(reason)"
    }
  }
}

func inFiles<Result>(_ body: () throws(FileError) -> Result) throws(UpdateStoreError) -> Result {
  do throws(FileError) { return try body() } catch { throw .file(error) }
}
