import Glibc

/// A database file and its write-ahead log as pages, read without SQLite: for the case that SQLite gave up.
/// Formats: sqlite.org/fileformat2.html sections 1.2 to 1.6 and 4 ("The Write-Ahead Log").
struct DatabasePages: ~Copyable {
  static let pageBytes = 4096
  private static let logHeaderBytes = 32
  private static let frameHeaderBytes = 24
  /// 64 GiB: beyond any outbox, so that a page number from damaged bytes is bounded.
  private static let maximumPages = 1 << 24

  private let file: Int32
  private let log: Int32
  /// Pages of the main file, a torn last one included.
  let filePages: Int
  /// Frames of the log by page, oldest first: where their content lies in the log.
  private var frames: [Int: [Int]] = [:]
  /// The highest page number of file and log.
  private(set) var pageCount: Int

  /// Opens both files for reading; one that is absent is an empty one.
  init(path: String) throws(OutboxError) {
    file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 || errno == ENOENT else { throw .file(path: path, operation: "open for recovery", code: errno) }
    log = open(path + "-wal", O_RDONLY | O_CLOEXEC)
    let size = file >= 0 ? lseek(file, 0, SEEK_END) : 0
    filePages = min(Self.maximumPages, (Int(size) + Self.pageBytes - 1) / Self.pageBytes)
    pageCount = filePages
    if log >= 0 { readFrames() }
  }

  deinit {
    if file >= 0 { close(file) }
    if log >= 0 { close(log) }
  }

  /// Lists the frames of the log's present generation (those with the header's salts). The running checksum is not
  /// asked: behind one damaged frame it condemns all that follow, and every record proves itself by its own tag.
  private mutating func readFrames() {
    let size = Int(lseek(log, 0, SEEK_END))
    guard let header = Self.read(log, at: 0, count: Self.logHeaderBytes) else { return }
    let salts = header[16..<24]
    var offset = Self.logHeaderBytes
    while offset + Self.frameHeaderBytes + Self.pageBytes <= size {
      if let frame = Self.read(log, at: offset, count: Self.frameHeaderBytes), frame[8..<16].elementsEqual(salts) {
        let page = frame[0..<4].reduce(0) { $0 << 8 | Int($1) }
        if (1...Self.maximumPages).contains(page) {
          frames[page, default: []].append(offset + Self.frameHeaderBytes)
          pageCount = max(pageCount, page)
        }
      }
      offset += Self.frameHeaderBytes + Self.pageBytes
    }
  }

  /// All versions of a page (from 1), newest first; a short one is filled up with zeros.
  func versions(of page: Int) -> [[UInt8]] {
    guard page >= 1 else { return [] }
    var versions = (frames[page] ?? []).reversed().compactMap { Self.read(log, at: $0, count: Self.pageBytes) }
    if page <= filePages, let content = Self.read(file, at: (page - 1) * Self.pageBytes, count: Self.pageBytes) {
      versions.append(content)
    }
    return versions
  }

  func newest(_ page: Int) -> [UInt8]? { versions(of: page).first }

  private static func read(_ descriptor: Int32, at offset: Int, count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
      }
      if got < 0 && errno == EINTR { continue }
      // A sector that cannot be read counts as zeros: what lies in it is lost, the rest is not.
      guard got > 0 else { break }
      filled += got
    }
    return filled == 0 ? nil : bytes
  }
}
