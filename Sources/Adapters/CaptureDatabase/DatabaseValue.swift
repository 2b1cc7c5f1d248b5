import Provenance

/// A parameter of a statement, in PostgreSQL's binary form.
enum DatabaseValue {
  case text(String)
  case integer(Int64)
  case bytes([UInt8])
  case identifier(RandomIdentifier)
  case texts([String?])
  case integers([Int64?])
  case manyBytes([[UInt8]?])
  case identifiers([RandomIdentifier?])
  /// Nanoseconds since 1970.
  case instants([Int64?])

  /// The type's number in `pg_type`.
  var type: UInt32 {
    switch self {
    case .text: 25
    case .integer: 20
    case .bytes: 17
    case .identifier: 2950
    case .texts: 1009
    case .integers: 1016
    case .manyBytes: 1001
    case .identifiers: 2951
    case .instants: 1185
    }
  }

  var encoded: [UInt8] {
    switch self {
    case .text(let text): Array(text.utf8)
    case .integer(let value): Self.bigEndian(value)
    case .bytes(let bytes): bytes
    case .identifier(let identifier): identifier.bytes
    case .texts(let values): Self.array(of: 25, values.map { $0.map { Array($0.utf8) } })
    case .integers(let values): Self.array(of: 20, values.map { $0.map(Self.bigEndian) })
    case .manyBytes(let values): Self.array(of: 17, values)
    case .identifiers(let values): Self.array(of: 2950, values.map { $0?.bytes })
    case .instants(let values): Self.array(of: 1184, values.map { $0.map(Self.instant) })
    }
  }

  private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  /// Microseconds since 2000-01-01.
  private static func instant(_ nanoseconds: Int64) -> [UInt8] {
    bigEndian(nanoseconds / 1000 - 946_684_800_000_000)
  }

  /// `array_send` of PostgreSQL: dimensions, whether there are nulls, type, then length and lower bound, then the elements.
  private static func array(of type: Int32, _ elements: [[UInt8]?]) -> [UInt8] {
    guard !elements.isEmpty else { return bigEndian(Int32(0)) + bigEndian(Int32(0)) + bigEndian(type) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(20 + elements.reduce(0) { $0 + 4 + ($1?.count ?? 0) })
    for head in [1, elements.contains { $0 == nil } ? 1 : 0, type, Int32(clamping: elements.count), 1] {
      bytes += bigEndian(head)
    }
    for element in elements {
      guard let element else {
        bytes += bigEndian(Int32(-1))
        continue
      }
      bytes += bigEndian(Int32(clamping: element.count))
      bytes += element
    }
    return bytes
  }
}
