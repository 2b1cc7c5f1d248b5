/// A bounds-checked view of a FlatBuffers file (flatbuffers.dev, "FlatBuffer internals"). Every read names a position
/// and is checked against the file's length; nothing is followed recursively.
struct FlatBuffer: Sendable {
  let bytes: [UInt8]

  func check(_ position: Int, _ count: Int) throws(ModelError) {
    guard position >= 0, count >= 0, count <= bytes.count, position <= bytes.count - count else {
      throw ModelError(
        .malformed, "a read of \(count) bytes at offset \(position) of a file of \(bytes.count) bytes",
        expected: "offsets inside the file")
    }
  }

  func uint8(at position: Int) throws(ModelError) -> UInt8 {
    try check(position, 1)
    return bytes[position]
  }

  func uint16(at position: Int) throws(ModelError) -> UInt16 {
    try check(position, 2)
    return UInt16(bytes[position]) | UInt16(bytes[position + 1]) << 8
  }

  func uint32(at position: Int) throws(ModelError) -> UInt32 {
    try check(position, 4)
    return UInt32(bytes[position]) | UInt32(bytes[position + 1]) << 8 | UInt32(bytes[position + 2]) << 16
      | UInt32(bytes[position + 3]) << 24
  }

  func int32(at position: Int) throws(ModelError) -> Int32 {
    Int32(bitPattern: try uint32(at: position))
  }

  func int64(at position: Int) throws(ModelError) -> Int64 {
    let low = UInt64(try uint32(at: position))
    let high = UInt64(try uint32(at: position + 4))
    return Int64(bitPattern: low | high << 32)
  }

  /// The position an unsigned 32-bit offset stored at `position` points to.
  func target(at position: Int) throws(ModelError) -> Int {
    let offset = Int(try uint32(at: position))
    guard offset != 0 else {
      throw ModelError(.malformed, "a zero offset at \(position)", expected: "an offset that points forward")
    }
    try check(position, offset)
    return position + offset
  }

  func table(at position: Int) throws(ModelError) -> FlatTable {
    try FlatTable(buffer: self, position: position)
  }
}

/// One table and its vtable.
struct FlatTable: Sendable {
  private let buffer: FlatBuffer
  private let position: Int
  private let vtable: Int
  private let vtableLength: Int
  private let tableLength: Int

  init(buffer: FlatBuffer, position: Int) throws(ModelError) {
    self.buffer = buffer
    self.position = position
    vtable = position - Int(try buffer.int32(at: position))
    vtableLength = Int(try buffer.uint16(at: vtable))
    tableLength = Int(try buffer.uint16(at: vtable + 2))
    guard vtableLength >= 4, vtableLength.isMultiple(of: 2), tableLength >= 4 else {
      throw ModelError(
        .malformed, "a vtable of \(vtableLength) bytes for a table of \(tableLength) at \(position)",
        expected: "an even vtable of at least 4 bytes")
    }
    try buffer.check(vtable, vtableLength)
    try buffer.check(position, tableLength)
  }

  /// The absolute position of a field of `size` bytes, or nil when the table leaves it at its default.
  func field(_ id: Int, size: Int) throws(ModelError) -> Int? {
    let slot = 4 + 2 * id
    guard slot + 2 <= vtableLength else { return nil }
    let offset = Int(try buffer.uint16(at: vtable + slot))
    guard offset != 0 else { return nil }
    guard offset >= 4, offset + size <= tableLength else {
      throw ModelError(
        .malformed, "field \(id) at byte \(offset) of a table of \(tableLength) bytes",
        expected: "a field inside its table")
    }
    return position + offset
  }

  func has(_ id: Int) throws(ModelError) -> Bool {
    try field(id, size: 1) != nil
  }

  func uint8(_ id: Int, default value: UInt8 = 0) throws(ModelError) -> UInt8 {
    guard let at = try field(id, size: 1) else { return value }
    return try buffer.uint8(at: at)
  }

  func bool(_ id: Int) throws(ModelError) -> Bool {
    try uint8(id) != 0
  }

  func int32(_ id: Int, default value: Int32 = 0) throws(ModelError) -> Int {
    guard let at = try field(id, size: 4) else { return Int(value) }
    return Int(try buffer.int32(at: at))
  }

  func uint32(_ id: Int) throws(ModelError) -> Int {
    guard let at = try field(id, size: 4) else { return 0 }
    return Int(try buffer.uint32(at: at))
  }

  func float(_ id: Int) throws(ModelError) -> Float {
    guard let at = try field(id, size: 4) else { return 0 }
    return Float(bitPattern: try buffer.uint32(at: at))
  }

  func table(_ id: Int) throws(ModelError) -> FlatTable? {
    guard let at = try field(id, size: 4) else { return nil }
    return try buffer.table(at: try buffer.target(at: at))
  }

  /// At most `limit` bytes of a string; what is longer is cut.
  func string(_ id: Int, atMost limit: Int) throws(ModelError) -> String {
    guard let vector = try vector(id, elementSize: 1) else { return "" }
    return String(decoding: buffer.bytes[vector.range].prefix(limit), as: UTF8.self)
  }

  func vector(_ id: Int, elementSize: Int) throws(ModelError) -> FlatVector? {
    guard let at = try field(id, size: 4) else { return nil }
    return try FlatVector(buffer: buffer, position: try buffer.target(at: at), elementSize: elementSize)
  }

  /// A vector of int32; many tables may point at one vector, so its length is bounded before it is copied.
  func int32s(_ id: Int, atMost limit: Int) throws(ModelError) -> [Int] {
    guard let vector = try vector(id, elementSize: 4) else { return [] }
    guard vector.count <= limit else {
      throw ModelError(.tooLarge, "a vector of \(vector.count) numbers", expected: "at most \(limit)")
    }
    return try vector.int32s()
  }
}

/// A vector whose whole extent lies inside the file.
struct FlatVector: Sendable {
  private let buffer: FlatBuffer
  let start: Int
  private let elementSize: Int
  let count: Int

  init(buffer: FlatBuffer, position: Int, elementSize: Int) throws(ModelError) {
    self.buffer = buffer
    self.elementSize = elementSize
    start = position + 4
    count = Int(try buffer.uint32(at: position))
    try buffer.check(start, count * elementSize)
  }

  /// The bytes of the vector as positions in the file.
  var range: Range<Int> { start..<start + count * elementSize }

  func table(at index: Int) throws(ModelError) -> FlatTable {
    try buffer.table(at: try buffer.target(at: start + index * elementSize))
  }

  func int32s() throws(ModelError) -> [Int] {
    var values: [Int] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      values.append(Int(try buffer.int32(at: start + index * 4)))
    }
    return values
  }

  func int64s() throws(ModelError) -> [Int64] {
    var values: [Int64] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      values.append(try buffer.int64(at: start + index * 8))
    }
    return values
  }

  func floats() throws(ModelError) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      values.append(Float(bitPattern: try buffer.uint32(at: start + index * 4)))
    }
    return values
  }
}
