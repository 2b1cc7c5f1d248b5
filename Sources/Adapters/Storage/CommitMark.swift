import Forwarding
import LocalFiles
import Provenance

/// How many transactions the database has seen, and a digest of them all: kept beside it, sealed, and written behind
/// every commit, so that an older copy of the database or of its log, or none at all, does not pass for the present one.
///
/// The write behind a commit is not synced; a power cut may leave the mark a little behind the database, never ahead of
/// it. A database that is behind its mark was taken back: by a file system that lost what it had reported as synced, or
/// by whoever put an older file in its place.
///
/// The file holds two slots of 512 bytes that are written in turn, so that a torn write leaves the other one:
///
/// ```
/// 0 "TGCOMIT1"   8 id of the key, big-endian   16 nonce, 12 bytes   28 ciphertext, 96 bytes   124 tag, 16 bytes
/// ```
///
/// The clear text, integers little-endian; the associated data of the seal are the bytes 0..<16:
///
/// ```
/// 0 commits   8 next sequence   16 next message id   24 captures that wait   32 outbox id, 16 bytes
/// 48 digest of the history, 16 bytes   64 first 16 bytes of SHA-256 of the boot's id   80 1 after an orderly end, else 0
/// ```
struct CommitMark: Equatable {
  static let suffix = ".commits"
  static let slotBytes = 512
  static let historyBytes = 16
  private static let magic = Array("TGCOMIT1".utf8)
  private static let headerBytes = 16
  private static let clearBytes = 96
  private static let sealedBytes = headerBytes + clearBytes + PayloadCipher.overheadBytes

  var outboxID: RandomIdentifier
  /// Transactions that changed something, since the outbox was made.
  var commits: Int64
  var nextSequence: Int64
  var nextMessage: Int64
  /// Captures, not messages, that were not delivered then.
  var waitingCaptures: Int64
  var history: [UInt8]
  var boot: [UInt8]
  var isEnd: Bool

  /// What lies beside a database.
  enum Found: Equatable {
    case none
    case mark(CommitMark)
    /// There is a file, but no slot of it opens: it is damaged, or sealed, as it says, with keys that are not loaded.
    case illegible(missingKeys: Set<Int64>)
  }

  static func read(beside path: String, keys: KeyRing, cipher: PayloadCipher) throws(OutboxError) -> Found {
    try onDisk { () throws(FileError) in
      guard let file = try OpenFile.ifThere(path + suffix) else { return .none }
      var newest: CommitMark?
      var missingKeys: Set<Int64> = []
      for slot in 0..<2 {
        guard let bytes = file.legibleBytes(at: slot * slotBytes, count: sealedBytes) else { continue }
        if let keyID = keyID(sealed: bytes), !keys.holds(id: keyID) { missingKeys.insert(keyID) }
        guard let mark = CommitMark(sealed: bytes, keys: keys, cipher: cipher), mark.commits > newest?.commits ?? -1
        else { continue }
        newest = mark
      }
      return newest.map { .mark($0) } ?? .illegible(missingKeys: missingKeys)
    }
  }

  func sealed(with key: SealingKey, cipher: PayloadCipher) throws(SealingError) -> [UInt8] {
    var header = Self.magic
    withUnsafeBytes(of: key.id.bigEndian) { header += $0 }
    var clear: [UInt8] = []
    clear.reserveCapacity(Self.clearBytes)
    for number in [commits, nextSequence, nextMessage, waitingCaptures] {
      withUnsafeBytes(of: number.littleEndian) { clear += $0 }
    }
    clear += outboxID.bytes + history + boot
    clear.append(isEnd ? 1 : 0)
    clear += [UInt8](repeating: 0, count: Self.clearBytes - clear.count)
    return header + (try cipher.seal(clear, associatedData: header, key: key))
  }

  /// The key that a slot names; nil when it is none.
  private static func keyID(sealed: [UInt8]) -> Int64? {
    guard sealed.starts(with: magic) else { return nil }
    return Int64(bitPattern: sealed[8..<headerBytes].reduce(0) { $0 << 8 | UInt64($1) })
  }

  private init?(sealed: [UInt8], keys: KeyRing, cipher: PayloadCipher) {
    guard let keyID = Self.keyID(sealed: sealed) else { return nil }
    let header = Array(sealed[..<Self.headerBytes])
    let clear: [UInt8]
    do throws(SealingError) {
      clear = try cipher.open(Array(sealed[Self.headerBytes...]), associatedData: header, key: keys.key(id: keyID))
    } catch {
      return nil
    }
    func number(_ offset: Int) -> Int64 {
      Int64(bitPattern: clear[offset..<(offset + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }
    guard clear.count == Self.clearBytes, let outboxID = RandomIdentifier(bytes: clear[32..<48]),
      (0...OutboxItem.largestNumber).contains(number(0)), OutboxItem.isNumber(number(8)),
      OutboxItem.isNumber(number(16)), (0...OutboxItem.largestNumber).contains(number(24))
    else { return nil }
    self.outboxID = outboxID
    commits = number(0)
    nextSequence = number(8)
    nextMessage = number(16)
    waitingCaptures = number(24)
    history = Array(clear[48..<64])
    boot = Array(clear[64..<80])
    isEnd = clear[80] == 1
  }

  init(
    outboxID: RandomIdentifier, commits: Int64, nextSequence: Int64, nextMessage: Int64, waitingCaptures: Int64,
    history: [UInt8], boot: [UInt8], isEnd: Bool
  ) {
    self.outboxID = outboxID
    self.commits = commits
    self.nextSequence = nextSequence
    self.nextMessage = nextMessage
    self.waitingCaptures = waitingCaptures
    self.history = history
    self.boot = boot
    self.isEnd = isEnd
  }
}

/// Writes the mark of an open database; it keeps the file open.
final class CommitMarkWriter {
  private let file: OpenFile

  init(beside path: String) throws(OutboxError) {
    file = try onDisk { () throws(FileError) in
      let path = path + CommitMark.suffix
      let isNew = try !BoundedFile.exists(path)
      let file = try OpenFile(path, for: .writing(mode: 0o600))
      if isNew {
        // Room for both slots, so that no later write meets a full disk.
        try file.write([UInt8](repeating: 0, count: 2 * CommitMark.slotBytes), at: 0)
        try file.synchronise()
        try Folder.synchronise(Folder.holding(path))
      }
      return file
    }
  }

  func write(_ mark: CommitMark, with key: SealingKey, cipher: PayloadCipher, isSynced: Bool) throws(OutboxError) {
    let bytes: [UInt8]
    do throws(SealingError) {
      bytes = try mark.sealed(with: key, cipher: cipher)
    } catch {
      throw .sealing(error, id: 0)
    }
    try onDisk { () throws(FileError) in
      try file.write(bytes, at: Int(mark.commits % 2) * CommitMark.slotBytes)
      if isSynced { try file.synchroniseContent() }
    }
  }
}

/// How a database stands beside its commit counter.
enum CommitStanding: Equatable {
  /// There is nothing to compare with, or what there is may be behind.
  case unknown
  /// No commit is missing.
  case whole
  /// The database is behind.
  case takenBack(CommitMark)
  /// It has other commits than those that were counted.
  case forked(CommitMark)
  /// Another outbox was here; nil when nothing is known of it.
  case gone(CommitMark?)
  /// The counter is gone.
  case counterGone
}
