import Forwarding
import Provenance

/// Finds the rows of a damaged outbox by reading every leaf page by itself, without the tree above it.
///
/// Pages on the free list hold messages that were delivered long ago; they are left alone as long as the list can be
/// followed. Should it be damaged, some delivered messages may come back: the receiver knows them by their key.
struct DatabaseSalvage: ~Copyable {
  /// Where a payload was found.
  struct Found {
    let page: Int
    /// Which version of the page, 0 for the newest.
    let version: Int
    let cell: Int
  }

  /// What the index said of a message.
  struct Mark {
    let deliveryClass: DeliveryClass
    let state: DeliveryState
    let attempts: Int
    let sequence: Int64?
    let settled: OutboxDatabase.SettledRow
  }

  // A variable for Swift 6.2, which holds that a mutating method changes a constant that cannot be copied.
  private var pages: DatabasePages
  /// Every place at which a payload of this message id lies, newest first.
  private(set) var payloads: [Int64: [Found]] = [:]
  private(set) var marks: [Int64: Mark] = [:]
  /// The counters of the `outbox` row, when it could be read.
  private(set) var nextMessage: Int64 = 0
  private(set) var nextSequence: Int64 = 0
  private(set) var outboxID: RandomIdentifier?

  /// Reads every leaf of `pages`. Opening them is the caller's: Swift 6.2 cannot compile an initialiser that throws when
  /// half of a value that cannot be copied is made.
  init(_ pages: consuming DatabasePages) {
    self.pages = pages
    let free = Self.freePages(self.pages)
    for page in stride(from: 1, through: self.pages.pageCount, by: 1) where !free.contains(page) {
      for (version, content) in self.pages.versions(of: page).enumerated() {
        guard let leaf = LeafPage(content, isFirst: page == 1) else { continue }
        var usable = false
        for (index, cell) in leaf.cells.enumerated() where note(cell, page: page, version: version, index: index) {
          usable = true
        }
        // An older version is asked only when the newest is no leaf of ours: it may list what was deleted since.
        if usable || leaf.cells.isEmpty { break }
      }
    }
  }

  /// Sorts one row by its shape. False when it belongs to none of our tables.
  private mutating func note(_ cell: LeafPage.Cell, page: Int, version: Int, index: Int) -> Bool {
    guard cell.rowID > 0 else { return false }
    if cell.isPayload {
      payloads[cell.rowID, default: []].append(Found(page: page, version: version, cell: index))
      return true
    }
    guard cell.overflow == 0, case let bytes = Array(cell.local), let columns = RecordColumns(bytes) else {
      return false
    }
    switch columns.values.count {
    // Later programs add columns behind ours.
    case 5..<OutboxSchema.messageColumns:
      guard cell.rowID == 1, case .blob(let range) = columns.values[1], case .integer(let message) = columns.values[2],
        case .integer(let sequence) = columns.values[3]
      else { return false }
      outboxID = RandomIdentifier(bytes: Array(bytes[range]))
      nextMessage = message
      nextSequence = sequence
    case OutboxSchema.messageColumns...:
      guard case .integer(let number) = columns.values[1], case .integer(let state) = columns.values[2],
        case .integer(let attempts) = columns.values[3],
        let deliveryClass = DeliveryClass(rawValue: Int(clamping: number)),
        let known = DeliveryState(rawValue: Int(clamping: state))
      else { return false }
      var sequence: Int64?
      if case .integer(let number) = columns.values[OutboxSchema.sequenceColumn] { sequence = number }
      guard marks[cell.rowID] == nil else { return true }
      let settled = settledRow(columns, bytes)
      // As in `IndexRow`: a state without its witness does not count.
      let hasWitness =
        switch known {
        case .pending, .awaitingReceipt: true
        case .delivered: settled.bootID != nil && settled.monotonic != nil && settled.reason == nil
        case .quarantined: settled.reason != nil
        }
      marks[cell.rowID] = Mark(
        deliveryClass: deliveryClass, state: hasWitness ? known : .pending,
        attempts: Int(min(max(attempts, 0), IndexRow.maximumAttempts)), sequence: sequence,
        settled: hasWitness ? settled : OutboxDatabase.SettledRow())
    default: return false
    }
    return true
  }

  private func settledRow(_ columns: RecordColumns, _ bytes: [UInt8]) -> OutboxDatabase.SettledRow {
    func text(_ column: Int) -> String? {
      guard case .text(let range) = columns.values[column] else { return nil }
      return String(decoding: bytes[range], as: UTF8.self)
    }
    var settled = OutboxDatabase.SettledRow()
    settled.bootID = text(OutboxSchema.settledBootColumn)
    if case .integer(let monotonic) = columns.values[OutboxSchema.settledMonotonicColumn] {
      settled.monotonic = monotonic
    }
    settled.reason = text(OutboxSchema.reasonColumn)
    return settled
  }

  /// The stored bytes of a payload, its overflow pages followed; nil when the chain is broken.
  func stored(_ found: Found) -> [UInt8]? {
    let versions = pages.versions(of: found.page)
    guard found.version < versions.count, let leaf = LeafPage(versions[found.version], isFirst: found.page == 1),
      found.cell < leaf.cells.count
    else { return nil }
    let cell = leaf.cells[found.cell]
    var record = Array(cell.local)
    record.reserveCapacity(cell.recordBytes)
    var next = cell.overflow
    while record.count < cell.recordBytes {
      guard next > 1, let page = pages.newest(next) else { return nil }
      let count = min(cell.recordBytes - record.count, DatabasePages.pageBytes - 4)
      record += page[4..<(4 + count)]
      next = page[0..<4].reduce(0) { $0 << 8 | Int($1) }
    }
    guard let columns = RecordColumns(record), columns.values.count == 2, case .blob(let range) = columns.values[1]
    else {
      return nil
    }
    return Array(record[range])
  }

  /// The pages of the free list (section 1.5); empty when the list cannot be followed to its end.
  private static func freePages(_ pages: borrowing DatabasePages) -> Set<Int> {
    guard let header = pages.newest(1), header.starts(with: "SQLite format 3\0".utf8) else { return [] }
    func number(_ bytes: [UInt8], _ offset: Int) -> Int { bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) } }
    var trunk = number(header, 32)
    let expected = number(header, 36)
    var free: Set<Int> = []
    while trunk != 0 {
      // A list that comes back to itself has no end.
      guard free.count < expected, trunk <= pages.pageCount, !free.contains(trunk), let page = pages.newest(trunk)
      else { return [] }
      free.insert(trunk)
      let leaves = number(page, 4)
      guard leaves <= DatabasePages.pageBytes / 4 - 2 else { return [] }
      for index in 0..<leaves { free.insert(number(page, 8 + 4 * index)) }
      trunk = number(page, 0)
    }
    return free.count == expected ? free : []
  }
}
