import Provenance

/// Reads JSON (RFC 8259) that somebody signed, or claims to have: one text has one meaning or none.
///
/// Beyond the RFC it refuses what two readers may understand differently: a name twice in an object (compared by bytes),
/// integers outside of `Int64`, `-0`, surrogates without partner, U+0000, a byte order mark and anything behind the value.
struct JSONReader {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let limits: JSONLimits
  private var position = 0
  private var values = 0

  /// - Throws: `JSONFault` with the place of the first fault.
  static func read(_ bytes: some Collection<UInt8>, _ limits: JSONLimits) throws(JSONFault) -> JSONValue {
    guard bytes.count <= limits.bytesMaximum else {
      throw JSONFault(at: limits.bytesMaximum, "\(bytes.count) bytes; expected at most \(limits.bytesMaximum)")
    }
    let copy = ContiguousArray(bytes)
    let result = copy.withUnsafeBufferPointer { buffer -> Result<JSONValue, JSONFault> in
      var reader = JSONReader(bytes: buffer, limits: limits)
      do throws(JSONFault) { return .success(try reader.readAll()) } catch { return .failure(error) }
    }
    return try result.get()
  }

  private init(bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  private mutating func readAll() throws(JSONFault) -> JSONValue {
    let value = try readValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw fault("something follows the value") }
    return value
  }

  private func fault(_ what: String) -> JSONFault { JSONFault(at: position, what) }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    position += 1
    return true
  }

  private mutating func readValue(depth: Int) throws(JSONFault) -> JSONValue {
    skipSpace()
    values += 1
    guard values <= limits.valuesMaximum else { throw fault("more than \(limits.valuesMaximum) values") }
    guard let first = next else { throw fault("the text ends where a value was expected") }
    switch first {
    case UInt8(ascii: "{"): return .object(try readObject(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try readArray(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try readString())
    case UInt8(ascii: "t"): return try readWord("true", .boolean(true))
    case UInt8(ascii: "f"): return try readWord("false", .boolean(false))
    case UInt8(ascii: "n"): return try readWord("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try readNumber()
    default: throw fault("expected a value")
    }
  }

  private mutating func readWord(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
    let end = position + word.utf8CodeUnitCount
    let isWord =
      end <= bytes.count
      && word.withUTF8Buffer { UnsafeBufferPointer(rebasing: bytes[position..<end]).elementsEqual($0) }
    guard isWord else { throw fault("expected a value") }
    position = end
    return value
  }

  private func checkDepth(_ depth: Int) throws(JSONFault) {
    guard depth <= limits.depthMaximum else { throw fault("more than \(limits.depthMaximum) levels") }
  }

  private mutating func readArray(depth: Int) throws(JSONFault) -> [JSONValue] {
    try checkDepth(depth)
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return elements }
    while true {
      elements.append(try readValue(depth: depth))
      skipSpace()
      if take(UInt8(ascii: "]")) { return elements }
      guard take(UInt8(ascii: ",")) else { throw fault("expected ',' or ']'") }
    }
  }

  private mutating func readObject(depth: Int) throws(JSONFault) -> JSONObject {
    try checkDepth(depth)
    position += 1
    var members: [JSONObject.Member] = []
    var names: Set<ExactText> = []
    skipSpace()
    if take(UInt8(ascii: "}")) { return JSONObject(members) }
    while true {
      skipSpace()
      let start = position
      guard next == UInt8(ascii: "\"") else { throw fault("expected a member's name in quotation marks") }
      let name = try readString()
      guard names.insert(name).inserted else { throw JSONFault(at: start, "the name '\(name)' a second time") }
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw fault("expected ':'") }
      members.append(JSONObject.Member(name, try readValue(depth: depth)))
      skipSpace()
      if take(UInt8(ascii: "}")) { return JSONObject(members) }
      guard take(UInt8(ascii: ",")) else { throw fault("expected ',' or '}'") }
    }
  }
}

// MARK: - Numbers

extension JSONReader {
  private mutating func skipDigits() -> Int {
    let start = position
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    return position - start
  }

  private mutating func readNumber() throws(JSONFault) -> JSONValue {
    let start = position
    let isNegative = take(UInt8(ascii: "-"))
    let firstDigit = next
    let digits = skipDigits()
    guard digits > 0 else { throw fault("expected a digit") }
    guard firstDigit != UInt8(ascii: "0") || digits == 1 else {
      throw JSONFault(at: start, "a number with a leading zero")
    }
    var isDecimal = false
    if take(UInt8(ascii: ".")) {
      isDecimal = true
      guard skipDigits() > 0 else { throw fault("expected a digit after '.'") }
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isDecimal = true
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      guard skipDigits() > 0 else { throw fault("expected a digit in the exponent") }
    }
    let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    if isDecimal {
      guard limits.decimals == .kept else {
        throw JSONFault(at: start, "a number with a fraction or an exponent; expected an integer")
      }
      return .decimal(text)
    }
    guard let integer = Int64(text), !(isNegative && integer == 0) else {
      throw JSONFault(at: start, "an integer outside of -2^63...2^63-1, or -0")
    }
    return .integer(integer)
  }
}

// MARK: - Strings

extension JSONReader {
  private mutating func readString() throws(JSONFault) -> ExactText {
    let start = position
    position += 1
    let content = position
    // Most strings have nothing to unescape and are taken as they stand.
    while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
    if next == UInt8(ascii: "\"") {
      defer { position += 1 }
      return try text(bytes[content..<position], from: start)
    }
    var unescaped = ContiguousArray(bytes[content..<position])
    while true {
      guard let byte = next else { throw JSONFault(at: start, "text without its closing quotation mark") }
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try text(unescaped, from: start)
      case UInt8(ascii: "\\"): try readEscape(into: &unescaped)
      case ..<0x20: throw fault("a control character within text")
      default:
        unescaped.append(byte)
        position += 1
      }
    }
  }

  private func text(_ content: some Collection<UInt8>, from start: Int) throws(JSONFault) -> ExactText {
    guard let string = String(validating: content, as: UTF8.self) else {
      throw JSONFault(at: start, "text that is not UTF-8")
    }
    return ExactText(string)
  }

  private mutating func readEscape(into unescaped: inout ContiguousArray<UInt8>) throws(JSONFault) {
    let start = position
    position += 1
    guard let letter = next else { throw fault("the text ends within an escape") }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(letter)
    case UInt8(ascii: "b"): unescaped.append(0x08)
    case UInt8(ascii: "f"): unescaped.append(0x0C)
    case UInt8(ascii: "n"): unescaped.append(0x0A)
    case UInt8(ascii: "r"): unescaped.append(0x0D)
    case UInt8(ascii: "t"): unescaped.append(0x09)
    case UInt8(ascii: "u"):
      let scalar = try readScalar(from: start)
      // C and file systems end a name there; no name needs it.
      guard scalar.value != 0 else { throw JSONFault(at: start, "U+0000 within text") }
      unescaped.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
    default: throw JSONFault(at: start, "an unknown escape")
    }
  }

  /// What stands behind `\u`, with the second half of a pair.
  private mutating func readScalar(from start: Int) throws(JSONFault) -> Unicode.Scalar {
    let first = try readFourDigits()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard (0xD800...0xDBFF).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
      throw JSONFault(at: start, "half of a surrogate pair")
    }
    let second = try readFourDigits()
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw JSONFault(at: start, "half of a surrogate pair") }
    return scalar
  }

  private mutating func readFourDigits() throws(JSONFault) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let nibble = Hexadecimal.value(of: byte) else {
        throw fault("expected four hexadecimal digits")
      }
      value = value << 4 | UInt32(nibble)
      position += 1
    }
    return value
  }
}

extension JSONValue {
  /// Reads one JSON text.
  ///
  /// - Throws: `JSONFault` with the place of the first fault.
  package init(reading bytes: some Collection<UInt8>, within limits: JSONLimits) throws(JSONFault) {
    self = try JSONReader.read(bytes, limits)
  }
}
