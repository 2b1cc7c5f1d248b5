import Audit
import LocalFiles
import Provenance
import Trust

/// The device's audit log on disk: entries that are synced before what they speak of happens.
///
/// Several files, so that old ones can go: an entry is removed only with its whole file, only from the beginning, and only
/// when somebody else has cosigned the head behind it. The file that then comes first still says what the head before it was.
package struct AuditLog {
  package struct Limits: Sendable, Equatable {
    /// All files together.
    package var totalBytes = 64 * 1024 * 1024
    /// Beyond this only what the device itself has to say is taken: starts, ends, refusals.
    package var remoteBytes = 60 * 1024 * 1024
    /// A file takes no further entry beyond this.
    package var segmentBytes = 1024 * 1024
    /// What is cosigned is removed only beyond this: an old log is worth its room.
    package var keptBytes = 48 * 1024 * 1024

    package init() {}
  }

  static let originName = "origin.json"
  private static let maximumNames = 1024

  package let origin: AuditOrigin
  /// What the log is up to its last entry.
  package private(set) var head: AuditHead
  /// The head before the first entry that is kept.
  package private(set) var base: AuditHead
  /// Bytes of all files.
  package private(set) var byteCount: Int
  /// What an interrupted write left behind the last entry and was removed at the opening; 0 after an orderly end.
  package let removedBytes: Int

  private let directory: String
  let limits: Limits
  private let digests = OpenSSLDigests()
  private let segment: AuditSegment
  private let isReadOnly: Bool
  /// First entries of the files, ascending.
  private var bases: [UInt64]
  private var lastBytes: Int

  /// Opens the log in `directory`, or begins one as `origin` says when there is none.
  ///
  /// Only the last file is read: `examine` reads all.
  ///
  /// - Throws: `.damaged` when the last file cannot be read further than its middle, or belongs to another origin. Nothing
  ///   was changed then.
  package init(
    directory: String, keys: KeyRing, beginning newOrigin: AuditOrigin, limits: Limits = Limits()
  ) throws(AuditLogError) {
    isReadOnly = false
    self.directory = directory
    self.limits = limits
    let found = try Self.onDisk { () throws(FileError) in
      try Folder.make(directory, mode: 0o700)
      return try BoundedFile.readIfThere(directory + "/" + Self.originName, maximumBytes: 4096)
    }
    if let found {
      do throws(AuditFault) { origin = try AuditOrigin(reading: found) } catch { throw .damaged(error.description) }
      guard origin.site == newOrigin.site, origin.device == newOrigin.device, origin.key == newOrigin.key else {
        throw .damaged("the log in \(directory) belongs to \(origin.site)/\(origin.device) or to another audit key")
      }
    } else {
      origin = newOrigin
    }
    segment = try Self.segment(origin, keys)
    var bases = try Self.bases(in: directory)
    if found == nil, !bases.isEmpty {
      // Files without an origin: what an interrupted beginning left. Nobody has seen anything of it.
      guard bases == [0] else { throw .damaged("\(directory): \(Self.originName) is missing") }
      try Self.onDisk { () throws(FileError) in
        try BoundedFile.remove(directory + "/" + AuditSegment.name(base: 0))
      }
      bases = []
    }
    self.bases = bases
    if bases.isEmpty {
      guard found == nil else { throw .damaged("\(directory): the log's files are missing") }
      let first = AuditHead(of: origin, digests: digests)
      (head, base, byteCount, lastBytes, removedBytes) = (first, first, 0, 0, 0)
      try beginSegment()
      // Last: with it the log is there. A start that was interrupted before begins again, with a new id.
      try Self.onDisk { [origin] () throws(FileError) in
        try BoundedFile.replace(directory + "/" + Self.originName, with: origin.encoded, mode: 0o600)
      }
      return
    }
    let last = bases[bases.count - 1]
    let bytes = try Self.read(last, in: directory, limits)
    let content: AuditSegment.Content
    do throws(AuditFault) { content = try segment.read(bytes, base: last) } catch {
      throw .damaged(error.description)
    }
    removedBytes = bytes.count - content.legibleBytes
    // One frame is written at a time: whatever else is behind a frame that cannot be read was there before, and is damaged.
    guard removedBytes <= AuditSegment.maximumFrameBytes else {
      throw .damaged("\(AuditSegment.name(base: last)): \(content.fault ?? "") and more behind it")
    }
    if removedBytes > 0 {
      try Self.onDisk { () throws(FileError) in
        let file = try OpenFile(directory + "/" + AuditSegment.name(base: last), for: .writing(mode: 0o600))
        try file.truncate(to: content.legibleBytes)
        try file.synchronise()
      }
    }
    lastBytes = content.legibleBytes
    head = content.entries.reduce(content.base) { [digests] in $0.extended(by: $1, digests: digests) }
    base = last == bases[0] ? content.base : try Self.header(of: bases[0], in: directory, segment, limits)
    byteCount = try Self.byteCount(of: bases.dropLast(), in: directory) + lastBytes
  }

  /// Opens a log to read it, beside the service too: nothing is changed, and what an interrupted write left is passed over.
  ///
  /// - Throws: `.absent` where there is none.
  package init(
    reading directory: String, keys: KeyRing, limits: Limits = Limits()
  ) throws(AuditLogError) {
    isReadOnly = true
    self.directory = directory
    self.limits = limits
    let (found, names) = try Self.onDisk { () throws(FileError) in
      let found = try BoundedFile.readIfThere(directory + "/" + Self.originName, maximumBytes: 4096)
      return (found, found == nil ? [] : try Folder.names(in: directory, maximumNames: Self.maximumNames))
    }
    guard let found else { throw .absent(directory) }
    do throws(AuditFault) { origin = try AuditOrigin(reading: found) } catch { throw .damaged(error.description) }
    segment = try Self.segment(origin, keys)
    bases = names.compactMap(AuditSegment.base(ofName:)).sorted()
    guard let first = bases.first, let last = bases.last else {
      throw .damaged("\(directory): the log's files are missing")
    }
    base = try Self.header(of: first, in: directory, segment, limits)
    let bytes = try Self.read(last, in: directory, limits)
    let content: AuditSegment.Content
    do throws(AuditFault) { content = try segment.read(bytes, base: last) } catch {
      throw .damaged(error.description)
    }
    removedBytes = 0
    lastBytes = content.legibleBytes
    head = content.entries.reduce(content.base) { [digests] in $0.extended(by: $1, digests: digests) }
    byteCount = try Self.byteCount(of: bases.dropLast(), in: directory) + bytes.count
  }

  private static func segment(_ origin: AuditOrigin, _ keys: KeyRing) throws(AuditLogError) -> AuditSegment {
    do throws(SealingError) {
      return AuditSegment(log: origin.log, keys: keys, cipher: try PayloadCipher())
    } catch { throw .sealing(error) }
  }

  private static func byteCount(of bases: some Sequence<UInt64>, in directory: String) throws(AuditLogError) -> Int {
    try onDisk { () throws(FileError) in
      var count = 0
      for base in bases {
        count += try BoundedFile.status(directory + "/" + AuditSegment.name(base: base))?.byteCount ?? 0
      }
      return count
    }
  }

  // MARK: - Adding

  /// Whether remote actions still find room. Captures never ask.
  package var hasRoomForRemote: Bool { byteCount < limits.remoteBytes }

  /// Writes an entry and returns when it is on disk: the head with it.
  ///
  /// - Throws: `.full` when nothing more fits; nothing was written then.
  @discardableResult
  package mutating func append(
    _ kind: AuditKind, _ what: JSONObject = [:], at time: Timestamp
  ) throws(AuditLogError) -> AuditHead {
    _ = try appendText(kind, what, at: time)
    return head
  }

  /// The same; gives the entry's text.
  mutating func appendText(_ kind: AuditKind, _ what: JSONObject, at time: Timestamp) throws(AuditLogError) -> [UInt8] {
    let text: [UInt8]
    do throws(AuditFault) {
      text = try AuditEntry(index: head.size, kind: kind, time: time, what: what).encoded()
    } catch { throw .entry(error) }
    try append(text)
    return text
  }

  /// - Parameter text: of the entry whose index is the head's size.
  private mutating func append(_ text: [UInt8]) throws(AuditLogError) {
    precondition(!isReadOnly, "a log that was opened to be read")
    let frame: [UInt8]
    do throws(SealingError) { frame = try segment.entry(text, index: head.size) } catch { throw .sealing(error) }
    guard byteCount + frame.count + AuditSegment.maximumFrameBytes <= limits.totalBytes else { throw .full(byteCount) }
    if lastBytes + frame.count > limits.segmentBytes { try beginSegment() }
    let path = directory + "/" + AuditSegment.name(base: bases[bases.count - 1])
    try Self.onDisk { [lastBytes] () throws(FileError) in
      let file = try OpenFile(path, for: .writing(mode: 0o600))
      do throws(FileError) {
        // At its place, not at the end: a write that failed before may have left something there.
        try file.write(frame, at: lastBytes)
        try file.synchroniseContent()
      } catch {
        try file.truncate(to: lastBytes)
        throw error
      }
    }
    lastBytes += frame.count
    byteCount += frame.count
    head = head.extended(by: text, digests: digests)
  }

  private mutating func beginSegment() throws(AuditLogError) {
    let bytes: [UInt8]
    do throws(SealingError) { bytes = try segment.header(head) } catch { throw .sealing(error) }
    let path = directory + "/" + AuditSegment.name(base: head.size)
    try Self.onDisk { () throws(FileError) in try BoundedFile.replace(path, with: bytes, mode: 0o600) }
    if bases.last != head.size { bases.append(head.size) }
    lastBytes = bytes.count
    byteCount += bytes.count
  }

  // MARK: - Removing

  /// Whether the log once had this head; false also for one that lies before its first kept entry, or beyond its last.
  package func holds(_ known: AuditHead) throws(AuditLogError) -> Bool {
    guard known.size <= head.size, known.size >= base.size, let holder = bases.last(where: { $0 <= known.size })
    else { return false }
    let content = try read(holder)
    var reached = content.base
    for text in content.entries where reached.size < known.size {
      reached = reached.extended(by: text, digests: digests)
    }
    return reached == known
  }

  /// Whether files could go that somebody has cosigned.
  package var isLong: Bool { byteCount > limits.keptBytes }

  /// Removes the files that end before a head which somebody else has cosigned.
  ///
  /// - Parameter bytes: no more are removed once the log is not longer.
  /// - Returns: entries that were removed.
  /// - Throws: `.damaged` when the log never had this head: then nothing is removed.
  package mutating func prune(cosigned: AuditHead, downTo bytes: Int = 0) throws(AuditLogError) -> UInt64 {
    guard cosigned.size <= head.size, cosigned.size >= base.size else { return 0 }
    guard try holds(cosigned) else {
      throw .damaged("a cosignature names other first \(cosigned.size) entries than the log has")
    }
    let before = base.size
    while bases.count > 1, bases[1] <= cosigned.size, byteCount > bytes {
      let path = directory + "/" + AuditSegment.name(base: bases[0])
      let bytes = try Self.onDisk { () throws(FileError) in
        let count = try BoundedFile.status(path)?.byteCount ?? 0
        try BoundedFile.remove(path)
        return count
      }
      byteCount -= bytes
      bases.removeFirst()
      base = try Self.header(of: bases[0], in: directory, segment, limits)
    }
    return base.size - before
  }

  // MARK: - Reading

  /// The kept entries' texts, oldest first, file by file.
  ///
  /// - Parameter body: is given each text.
  /// - Throws: `.damaged` where a file cannot be read, after what lies before it was handed out.
  package func forEachEntry(_ body: ([UInt8]) throws -> Void) throws {
    for base in bases {
      let content = try read(base)
      // What the service has added since this was opened belongs to another head.
      let count = isReadOnly ? Int(clamping: head.size - min(base, head.size)) : content.entries.count
      for text in content.entries.prefix(count) { try body(text) }
      // Beside the service the last frame may just be written.
      if isReadOnly, base == bases.last { continue }
      if let fault = content.fault { throw AuditLogError.damaged("\(AuditSegment.name(base: base)): \(fault)") }
    }
  }

  /// The last entry; nil in a log that has none, or whose last one was removed.
  package func lastEntry() throws(AuditLogError) -> AuditEntry? {
    for base in bases.suffix(2).reversed() {
      guard let text = try read(base).entries.last else { continue }
      do throws(AuditFault) { return try AuditEntry(reading: text) } catch { throw .entry(error) }
    }
    return nil
  }

  /// At most `maximum` entries from `index` on, with the head behind each: for who hands them on.
  package func entries(from index: UInt64, maximum: Int) throws(AuditLogError) -> [(head: AuditHead, text: [UInt8])] {
    var found: [(head: AuditHead, text: [UInt8])] = []
    let first = bases.lastIndex { $0 <= index } ?? 0
    for base in bases[first...] {
      let content = try read(base)
      var reached = content.base
      for text in content.entries {
        reached = reached.extended(by: text, digests: digests)
        guard reached.size > index else { continue }
        found.append((reached, text))
        if found.count == maximum { return found }
      }
    }
    return found
  }

  /// Reads everything and holds it against what others know.
  package func examine(against anchors: some Sequence<AuditAnchor>) throws(AuditLogError) -> [AuditFinding] {
    var examination = AuditExamination(from: base, anchors: anchors, digests: digests)
    var findings: [AuditFinding] = []
    do { try forEachEntry { examination.take($0) } } catch let error as AuditLogError {
      guard case .damaged(let what) = error else { throw error }
      findings.append(.entry(position: examination.head.size, what))
    } catch { throw .entry(AuditFault("\(error)")) }
    return findings + examination.finish()
  }

  private func read(_ base: UInt64) throws(AuditLogError) -> AuditSegment.Content {
    let bytes = try Self.read(base, in: directory, limits)
    do throws(AuditFault) { return try segment.read(bytes, base: base) } catch { throw .damaged(error.description) }
  }

  private static func read(_ base: UInt64, in directory: String, _ limits: Limits) throws(AuditLogError) -> [UInt8] {
    try onDisk { () throws(FileError) in
      try BoundedFile.read(
        directory + "/" + AuditSegment.name(base: base),
        maximumBytes: limits.segmentBytes + 2 * AuditSegment.maximumFrameBytes)
    }
  }

  private static func header(
    of base: UInt64, in directory: String, _ segment: AuditSegment, _ limits: Limits
  ) throws(AuditLogError) -> AuditHead {
    let bytes = try read(base, in: directory, limits)
    do throws(AuditFault) { return try segment.read(bytes, base: base).base } catch {
      throw .damaged(error.description)
    }
  }

  private static func bases(in directory: String) throws(AuditLogError) -> [UInt64] {
    try onDisk { () throws(FileError) in
      // What a power cut left of a file that was about to take its place.
      let names = try Folder.names(in: directory, maximumNames: maximumNames)
      for name in names where name.hasPrefix(".") { try BoundedFile.remove(directory + "/" + name) }
      return names.compactMap(AuditSegment.base(ofName:)).sorted()
    }
  }

  private static func onDisk<Result>(
    _ body: () throws(FileError) -> Result
  ) throws(AuditLogError) -> Result {
    do throws(FileError) { return try body() } catch { throw .file(error) }
  }
}

/// Why the audit log was not read or written.
package enum AuditLogError: Error, Sendable, Equatable, CustomStringConvertible {
  case file(FileError)
  case sealing(SealingError)
  case entry(AuditFault)
  case damaged(String)
  /// Bytes that it has.
  case full(Int)
  /// There is no log in this folder.
  case absent(String)

  package var description: String {
    switch self {
    case .file(let error): "audit log: \(error)"
    case .sealing(let error): "audit log: \(error)"
    case .entry(let error): "audit log: \(error)"
    case .damaged(let what): "audit log: \(what)"
    case .absent(let directory):
      "audit log: there is none in \(directory); the service begins it at its first start"
    case .full(let bytes):
      "audit log: full with \(bytes) bytes, and nobody has cosigned them; connect the device to its receiver"
    }
  }
}
