import LocalFiles

/// A database file and its write-ahead log as pages, read without SQLite: for the case that SQLite gave up.
/// Format: sqlite.org/fileformat2.html.
///
/// The log's running checksum is not asked: behind one damaged frame it condemns all that follow, and every record
/// proves itself by its own tag. A sector that cannot be read counts as zeros: what lies in it is lost, the rest is not.
struct DatabasePages: ~Copyable {
  static let pageBytes = 4096
  /// 64 GiB: beyond any outbox, so that a page number from damaged bytes is bounded.
  static let maximumPages = 1 << 24

  private let file: OpenFile?
  private let log: OpenFile?
  private let filePages: Int
  /// Where the versions of a page lie in the log, oldest first.
  private let logged: [Int: [Int]]
  /// The highest page number of file and log.
  let pageCount: Int

  /// Opens both files for reading; one that is absent is an empty one.
  init(path: String) throws(OutboxError) {
    // Values first, properties last: a value that cannot be copied must not be left half made by an error.
    let file = try onDisk { () throws(FileError) in try OpenFile.ifThere(path) }
    let log = try onDisk { () throws(FileError) in try OpenFile.ifThere(path + "-wal") }
    let (size, frames) = try onDisk { () throws(FileError) in
      (try BoundedFile.status(path)?.byteCount ?? 0, try WriteAheadLog(databasePath: path)?.frames ?? [])
    }
    let filePages = min(Self.maximumPages, (size + Self.pageBytes - 1) / Self.pageBytes)
    var logged: [Int: [Int]] = [:]
    var pageCount = filePages
    for frame in frames {
      logged[frame.page, default: []].append(frame.offset)
      pageCount = max(pageCount, frame.page)
    }
    self.file = file
    self.log = log
    self.filePages = filePages
    self.logged = logged
    self.pageCount = pageCount
  }

  /// All versions of a page (from 1), newest first.
  func versions(of page: Int) -> [[UInt8]] {
    guard page >= 1 else { return [] }
    var versions = (logged[page] ?? []).reversed().compactMap { log?.legibleBytes(at: $0, count: Self.pageBytes) }
    if page <= filePages, let content = file?.legibleBytes(at: (page - 1) * Self.pageBytes, count: Self.pageBytes) {
      versions.append(content)
    }
    return versions
  }

  func newest(_ page: Int) -> [UInt8]? {
    if let offset = logged[page]?.last { return log?.legibleBytes(at: offset, count: Self.pageBytes) }
    guard page >= 1, page <= filePages else { return nil }
    return file?.legibleBytes(at: (page - 1) * Self.pageBytes, count: Self.pageBytes)
  }
}
