/// The rows of a table's leaf page (sqlite.org/fileformat2.html section 1.6), read with suspicion: every number is
/// checked, because the page may be damaged or may be no leaf at all.
struct LeafPage {
  private static let leafTable: UInt8 = 0x0D
  private static let usable = DatabasePages.pageBytes
  /// Section 1.6: the most of a record that stays on a leaf, and the least when it spills over.
  private static let maximumLocal = usable - 35
  private static let minimumLocal = (usable - 12) * 32 / 255 - 23

  struct Cell {
    let rowID: Int64
    /// Length of the whole record.
    let recordBytes: Int
    /// What of it lies on this page.
    let local: ArraySlice<UInt8>
    /// The first overflow page, 0 for none.
    let overflow: Int
  }

  let cells: [Cell]

  /// - Parameter isFirst: page 1 begins with the file's header of 100 bytes.
  init?(_ page: [UInt8], isFirst: Bool) {
    let base = isFirst ? 100 : 0
    guard page.count == Self.usable, page[base] == Self.leafTable else { return nil }
    let count = Int(page[base + 3]) << 8 | Int(page[base + 4])
    guard base + 8 + 2 * count <= Self.usable else { return nil }
    var cells: [Cell] = []
    for index in 0..<count {
      let place = base + 8 + 2 * index
      var offset = Int(page[place]) << 8 | Int(page[place + 1])
      guard let length = Self.varint(page, &offset), let rowID = Self.varint(page, &offset), length >= 0,
        length <= Int64(OutboxDatabase.maximumPayloadBytes + SealedEnvelope.maximumDescriptionBytes + 64)
      else { continue }
      let recordBytes = Int(length)
      var local = recordBytes
      if recordBytes > Self.maximumLocal {
        let candidate = Self.minimumLocal + (recordBytes - Self.minimumLocal) % (Self.usable - 4)
        local = candidate <= Self.maximumLocal ? candidate : Self.minimumLocal
      }
      let hasOverflow = local < recordBytes
      guard offset + local + (hasOverflow ? 4 : 0) <= Self.usable else { continue }
      let overflow = hasOverflow ? page[(offset + local)..<(offset + local + 4)].reduce(0) { $0 << 8 | Int($1) } : 0
      cells.append(
        Cell(rowID: rowID, recordBytes: recordBytes, local: page[offset..<(offset + local)], overflow: overflow))
    }
    self.cells = cells
  }

  /// A variable-length integer of 1 to 9 bytes at `offset`, which moves behind it.
  static func varint(_ bytes: some RandomAccessCollection<UInt8>, _ offset: inout Int) -> Int64? {
    var value: UInt64 = 0
    for index in 0..<9 {
      guard offset < bytes.count else { return nil }
      let byte = bytes[bytes.index(bytes.startIndex, offsetBy: offset)]
      offset += 1
      if index == 8 { return Int64(bitPattern: value << 8 | UInt64(byte)) }
      value = value << 7 | UInt64(byte & 0x7F)
      if byte & 0x80 == 0 { return Int64(bitPattern: value) }
    }
    return nil
  }
}

extension LeafPage.Cell {
  /// Whether the record's header, which always lies on the leaf, is that of `payload`: a null for the row's own id and
  /// one blob.
  var isPayload: Bool {
    var offset = 0
    guard let header = LeafPage.varint(local, &offset), header <= 16, let first = LeafPage.varint(local, &offset),
      first == 0, let second = LeafPage.varint(local, &offset)
    else { return false }
    return offset == Int(header) && second >= 12 && second % 2 == 0 && (Int(second) - 12) / 2 + offset == recordBytes
  }
}

/// The columns of a record (section 2.1), as far as recovery needs them.
struct RecordColumns {
  enum Value: Equatable {
    case null
    case integer(Int64)
    case other
    /// A text's or blob's place in the record.
    case text(Range<Int>)
    case blob(Range<Int>)
  }

  let values: [Value]

  /// - Parameter limit: no table of the outbox has more columns.
  init?(_ record: [UInt8], limit: Int = 32) {
    var offset = 0
    guard let headerBytes = LeafPage.varint(record, &offset), headerBytes >= 1, headerBytes <= Int64(record.count)
    else {
      return nil
    }
    var place = Int(headerBytes)
    var values: [Value] = []
    while offset < Int(headerBytes) {
      guard values.count < limit, let type = LeafPage.varint(record, &offset), offset <= Int(headerBytes), type >= 0
      else {
        return nil
      }
      let length: Int
      switch type {
      case 0, 8, 9: length = 0
      case 1...4: length = Int(type)
      case 5: length = 6
      case 6, 7: length = 8
      case 12...:
        length = (type - (type % 2 == 0 ? 12 : 13)) / 2 > Int64(record.count) ? record.count + 1 : Int(type - 12) / 2
      default: return nil
      }
      guard place + length <= record.count else { return nil }
      switch type {
      case 0: values.append(.null)
      case 8: values.append(.integer(0))
      case 9: values.append(.integer(1))
      case 1...6:
        let negative = record[place] & 0x80 != 0
        let value = record[place..<(place + length)].reduce(negative ? UInt64.max : 0) { $0 << 8 | UInt64($1) }
        values.append(.integer(Int64(bitPattern: value)))
      case 12...: values.append(type % 2 == 0 ? .blob(place..<(place + length)) : .text(place..<(place + length)))
      default: values.append(.other)
      }
      place += length
    }
    self.values = values
  }
}
