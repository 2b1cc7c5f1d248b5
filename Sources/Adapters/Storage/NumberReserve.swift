import Forwarding
import LocalFiles
import Provenance

/// Which sequence numbers and message ids may have been used: kept apart from the database, and ahead of it.
///
/// A file system that loses what it reported as synced takes the database back to a state from before captures that a
/// receiver has already, and so does a person who puts an older copy in its place. Numbers given again would name two
/// captures each: receivers go by (device, outbox_id, sequence) and would refuse the second for ever. So numbers are
/// reserved here in blocks, synced, before a commit uses the first of them, and given back by an orderly end. What a
/// start finds reserved and the database does not know is left out.
///
/// The file holds two slots of 512 bytes that are written in turn, so that a torn write leaves the other one. All
/// integers are little-endian:
///
/// ```
/// 0 "TGNUMBR1"   8 writes so far   16 first free sequence   24 first free message id
/// 32 outbox id, 16 bytes   48 1 after an orderly end, else 0   64 SHA-256 of bytes 0..<64
/// ```
struct NumberReserve {
  /// Numbers that are always reserved beyond those in use: what the disk may lose without one being given twice.
  static let sequenceBlock: Int64 = 64
  static let messageBlock: Int64 = 1024
  static let slotBytes = 512
  private static let contentBytes = 64
  private static let magic = Array("TGNUMBR1".utf8)

  /// What was written last.
  struct Mark: Equatable {
    var outboxID: RandomIdentifier
    /// The first sequence number and message id that were certainly never used.
    var nextSequence: Int64
    var nextMessage: Int64
    /// Written by an orderly end: nothing beyond is reserved, and the numbers below were all used.
    var isExact: Bool
  }

  private let path: String
  private let digests: OpenSSLDigests
  private(set) var mark: Mark?
  private var writes: UInt64 = 0

  /// Reads the file beside the database; there is no mark when it is missing or neither slot is whole.
  init(databasePath: String, digests: OpenSSLDigests) throws(OutboxError) {
    path = databasePath + ".numbers"
    self.digests = digests
    guard let file = try onDisk({ () throws(FileError) in try OpenFile.ifThere(path) }) else { return }
    for slot in 0..<2 {
      guard let bytes = file.legibleBytes(at: slot * Self.slotBytes, count: Self.slotBytes),
        let (found, number) = decode(bytes), mark == nil || number > writes
      else { continue }
      (mark, writes) = (found, number)
    }
  }

  /// Makes sure that the numbers below these, and a block beyond, are reserved on the disk.
  mutating func reserve(nextSequence: Int64, nextMessage: Int64, of outboxID: RandomIdentifier) throws(OutboxError) {
    if let mark, !mark.isExact, mark.outboxID == outboxID, mark.nextSequence - nextSequence >= Self.sequenceBlock,
      mark.nextMessage - nextMessage >= Self.messageBlock
    {
      return
    }
    try write(
      Mark(
        outboxID: outboxID, nextSequence: nextSequence + 2 * Self.sequenceBlock,
        nextMessage: nextMessage + 2 * Self.messageBlock, isExact: false))
  }

  /// An orderly end: what was reserved and not used is free again.
  mutating func giveBack(nextSequence: Int64, nextMessage: Int64, of outboxID: RandomIdentifier) throws(OutboxError) {
    try write(Mark(outboxID: outboxID, nextSequence: nextSequence, nextMessage: nextMessage, isExact: true))
  }

  private mutating func write(_ new: Mark) throws(OutboxError) {
    let slot = encode(new, number: writes + 1)
    try onDisk { () throws(FileError) in
      let isNew = try !BoundedFile.exists(path)
      let file = try OpenFile(path, for: .writing(mode: 0o600))
      try file.write(slot, at: Int((writes + 1) % 2) * Self.slotBytes)
      try file.synchroniseContent()
      if isNew { try Folder.synchronise(Folder.holding(path)) }
    }
    writes += 1
    mark = new
  }

  private func encode(_ mark: Mark, number: UInt64) -> [UInt8] {
    var bytes = Self.magic
    for value in [number, UInt64(bitPattern: mark.nextSequence), UInt64(bitPattern: mark.nextMessage)] {
      withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }
    bytes += mark.outboxID.bytes
    bytes.append(mark.isExact ? 1 : 0)
    bytes += [UInt8](repeating: 0, count: Self.contentBytes - bytes.count)
    bytes += digests.sha256(bytes)
    return bytes + [UInt8](repeating: 0, count: Self.slotBytes - bytes.count)
  }

  private func decode(_ bytes: [UInt8]) -> (Mark, UInt64)? {
    let content = Array(bytes[..<Self.contentBytes])
    guard content.starts(with: Self.magic), digests.sha256(content).elementsEqual(bytes[64..<96]),
      let outboxID = RandomIdentifier(bytes: Array(content[32..<48]))
    else { return nil }
    func integer(_ offset: Int) -> UInt64 {
      content[offset..<(offset + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    let mark = Mark(
      outboxID: outboxID, nextSequence: Int64(bitPattern: integer(16)), nextMessage: Int64(bitPattern: integer(24)),
      isExact: content[48] == 1)
    // A whole slot with a number that none can be is somebody else's work.
    guard OutboxItem.isNumber(mark.nextSequence), OutboxItem.isNumber(mark.nextMessage) else { return nil }
    return (mark, integer(8))
  }
}
