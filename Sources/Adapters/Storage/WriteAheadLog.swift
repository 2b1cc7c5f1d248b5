import LocalFiles

/// A look at SQLite's write-ahead log without SQLite (sqlite.org/fileformat2.html section 4), to find out whether it is
/// whole before SQLite quietly drops what follows a damaged frame.
struct WriteAheadLog {
  static let headerBytes = 32
  static let frameHeaderBytes = 24
  static let frameBytes = frameHeaderBytes + DatabasePages.pageBytes

  /// One frame of the log's present generation.
  struct Frame {
    /// The page's number, from 1.
    let page: Int
    /// Where the page's content lies in the log.
    let offset: Int
    /// The last frame of a transaction.
    let isCommit: Bool
  }

  /// Frames with the salts of the present generation, in the order of writing, whole or not.
  private(set) var frames: [Frame] = []
  /// The log's header is what was written.
  private(set) var isHeaderValid = false
  /// Transactions that end behind the first frame whose checksum fails. A power cut can leave one, the one that was
  /// being written; two mean that something synced was damaged later.
  private(set) var commitsBehindDamage = 0

  /// A frame of the present generation whose checksum fails.
  private(set) var isTorn = false

  var isDamaged: Bool { !isHeaderValid || commitsBehindDamage >= 2 }

  /// Reads the log beside a database file; nil when there is none, or nothing was ever written to it.
  init?(databasePath: String) throws(FileError) {
    guard let file = try OpenFile.ifThere(databasePath + "-wal") else { return nil }
    let size = try file.status().byteCount
    guard size >= Self.headerBytes + Self.frameBytes,
      let header = file.legibleBytes(at: 0, count: Self.headerBytes)
    else { return nil }
    let magic = Self.number(header, 0)
    var sum = Checksum(isBigEndian: magic == 0x377F_0683)
    sum.add(header[0..<24])
    isHeaderValid = (magic | 1) == 0x377F_0683 && sum.matches(header[24..<32])
    var salts = header[16..<24]
    if !isHeaderValid, let first = file.legibleBytes(at: Self.headerBytes, count: Self.frameHeaderBytes) {
      salts = first[8..<16]
    }
    var isWhole = isHeaderValid
    for offset in stride(from: Self.headerBytes, through: size - Self.frameBytes, by: Self.frameBytes) {
      guard let frame = file.legibleBytes(at: offset, count: Self.frameBytes) else { break }
      let hasSalts = frame[8..<16].elementsEqual(salts)
      if isWhole {
        sum.add(frame[0..<8])
        sum.add(frame[Self.frameHeaderBytes...])
        isWhole = hasSalts && sum.matches(frame[16..<24])
      }
      guard hasSalts else { continue }
      let page = Self.number(frame, 0)
      let isCommit = Self.number(frame, 4) != 0
      if !isWhole { isTorn = true }
      if isCommit && !isWhole { commitsBehindDamage += 1 }
      guard (1...DatabasePages.maximumPages).contains(page) else { continue }
      frames.append(Frame(page: page, offset: offset + Self.frameHeaderBytes, isCommit: isCommit))
    }
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
    bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
  }

  /// The running checksum of section 4.2: two sums over pairs of 32-bit words.
  private struct Checksum {
    let isBigEndian: Bool
    var first: UInt32 = 0
    var second: UInt32 = 0

    init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

    mutating func add(_ bytes: ArraySlice<UInt8>) {
      bytes.withUnsafeBytes { raw in
        for offset in stride(from: 0, to: raw.count - 7, by: 8) {
          first = first &+ word(raw, offset) &+ second
          second = second &+ word(raw, offset + 4) &+ first
        }
      }
    }

    private func word(_ raw: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
      let value = raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      return isBigEndian ? UInt32(bigEndian: value) : UInt32(littleEndian: value)
    }

    /// Whether the sums are those stored, which are big endian always.
    func matches(_ stored: ArraySlice<UInt8>) -> Bool {
      stored.elementsEqual(
        [first, second].flatMap { sum in (0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32($0))) } })
    }
  }
}
