import CTOML
import Configuration

/// The bytes of one TOML file, read into values. Nothing in the bytes can make it trap: lines, nesting and the number of
/// repairs are bounded before the parser sees them.
struct TOMLText {
  static let maximumBytes = 262_144
  static let maximumLineBytes = 1024
  /// Tables within tables; the settings need two.
  static let maximumDepth = 8
  static let maximumFaults = 50

  let file: String
  /// Without line ends. A line that could not be understood is emptied, so that the lines after it keep their numbers.
  private var lines: [[UInt8]]
  private(set) var faults: [ConfigurationFault] = []
  private(set) var isPartial = false
  private(set) var root: LocatedValue

  init(_ bytes: [UInt8], file: String) {
    self.file = file
    lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    root = LocatedValue(.table([]), at: SourcePlace(file: file, line: 1, column: 1))
    emptyLongLines()
    parse()
  }

  private mutating func emptyLongLines() {
    for index in lines.indices where lines[index].count > Self.maximumLineBytes {
      lines[index] = []
      report(index + 1, 1, "the line has more than \(Self.maximumLineBytes) bytes", expected: "shorter lines")
    }
  }

  /// The parser stops at its first fault, a person wants them all: the statement that holds the fault is emptied and the
  /// rest parsed again.
  private mutating func parse() {
    while faults.count < Self.maximumFaults {
      guard var fault = parseOnce(joined(lines[...])) else { return }
      if fault.line == 0 { fault.line = firstLineThatFailsAlike() }
      if fault.what.hasSuffix(Self.notUTF8), let column = columnOfForeignByte(inLine: fault.line) {
        fault.column = column
      }
      if hasBareText(atLine: fault.line) {
        fault.what = "not TOML: a text without quotes"
        fault.expected = "it in double quotes"
      }
      report(fault.line, fault.column, fault.what, expected: fault.expected)
      guard emptyStatement(around: fault.line) else { return }
    }
  }

  private func joined(_ lines: ArraySlice<[UInt8]>) -> [UInt8] {
    Array(lines.joined(separator: CollectionOfOne(UInt8(ascii: "\n"))))
  }

  /// For a fault without a place: the fewest lines from the start that show it, by halving. The parser reads forwards
  /// and stops at its first fault, so more lines than those show it too.
  private func firstLineThatFailsAlike() -> Int {
    var low = 1
    var high = lines.count
    while low < high {
      let middle = (low + high) / 2
      var trial = self
      if trial.parseOnce(joined(lines[..<middle]))?.line == 0 { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// `kind = rdm6300`: the parser calls that a bad number, date or boolean, according to its first letter.
  private func hasBareText(atLine line: Int) -> Bool {
    guard lines.indices.contains(line - 1), let sign = lines[line - 1].firstIndex(of: UInt8(ascii: "=")) else {
      return false
    }
    let value = lines[line - 1][(sign + 1)...].drop(while: isBlank)
    let word = String(decoding: value.prefix { !isBlank($0) && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    guard let first = word.unicodeScalars.first else { return false }
    return (first.properties.isAlphabetic || first == "/") && !["true", "false", "inf", "nan"].contains(word)
  }

  /// Of the first byte that is no UTF-8, counted in characters from 1; the parser names the one before it.
  private func columnOfForeignByte(inLine line: Int) -> Int? {
    guard lines.indices.contains(line - 1) else { return nil }
    let bytes = lines[line - 1]
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var column = 1
    while true {
      switch decoder.decode(&iterator) {
      case .scalarValue: column += 1
      case .emptyInput: return nil
      case .error: return column
      }
    }
  }

  private mutating func report(_ line: Int, _ column: Int, _ what: String, expected: String?) {
    isPartial = true
    let place = SourcePlace(file: file, line: max(line, 1), column: max(column, 1))
    faults.append(ConfigurationFault(at: place, what, expected: expected))
  }

  /// Empties the lines from the key or header at or above `line` to `line`; for a header, also the keys below it, which
  /// would otherwise seem to belong to the table before.
  /// - Returns: `false` when nothing was left to empty.
  private mutating func emptyStatement(around line: Int) -> Bool {
    guard !lines.isEmpty else { return false }
    let last = min(max(line, 1), lines.count) - 1
    var first = last
    while first > 0, !startsStatement(lines[first]) { first -= 1 }
    var end = last
    if startsHeader(lines[first]) {
      while end + 1 < lines.count, !startsHeader(lines[end + 1]) { end += 1 }
    }
    guard (first...end).contains(where: { !lines[$0].isEmpty }) else { return false }
    for index in first...end { lines[index] = [] }
    return true
  }

  private func startsHeader(_ line: [UInt8]) -> Bool { line.first { !isBlank($0) } == UInt8(ascii: "[") }

  private func startsStatement(_ line: [UInt8]) -> Bool {
    guard let first = line.first(where: { !isBlank($0) }) else { return false }
    return first == UInt8(ascii: "[") || (line.contains(UInt8(ascii: "=")) && first != UInt8(ascii: "#"))
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

// MARK: - The parser

extension TOMLText {
  private struct SyntaxFault {
    var line: Int
    var column: Int
    var what: String
    var expected: String?
  }

  /// Sets `root` and returns `nil`, or returns the first fault.
  private mutating func parseOnce(_ text: [UInt8]) -> SyntaxFault? {
    let document = text.withUnsafeBytes { ctoml_parse($0.baseAddress, $0.count) }
    guard let document else { return SyntaxFault(line: 1, column: 1, what: "memory is exhausted") }
    defer { ctoml_free(document) }
    var line: UInt32 = 0
    var column: UInt32 = 0
    let message = string(ctoml_fault(document, &line, &column))
    guard message.isEmpty else {
      return Self.explain(message, line: Int(line), column: Int(column))
    }
    root = tree(document)
    return nil
  }

  private static let notUTF8 = "bytes that are no UTF-8"

  private static let translations = [
    ("not representable in 64 bits", "a number that does not fit", "a whole number of at most 64 bits"),
    ("invalid utf-8", notUTF8, "the file saved as UTF-8"),
    ("could not determine value type", "no value", "a number, a text in double quotes, true, false or a list"),
  ]

  /// toml++'s words, made a sentence of ours. What is not recognised is passed on.
  private static func explain(_ message: String, line: Int, column: Int) -> SyntaxFault {
    let marker = "cannot redefine existing "
    if let start = message.firstRange(of: marker)?.upperBound,
      let name = message[start...].split(separator: "'").dropFirst().first
    {
      return SyntaxFault(line: line, column: column, what: "\(name) is given twice", expected: "it once in a file")
    }
    if message.contains("unescaped control characters") {
      return SyntaxFault(
        line: line, column: column, what: "not TOML: a text is not closed on its line or holds a control character",
        expected: "a closing quote")
    }
    let prefix = "Error while parsing "
    let printable = String(
      String.UnicodeScalarView(message.unicodeScalars.prefix(300).map { isControl($0) ? " " : $0 }))
    let detail = printable.hasPrefix(prefix) ? "in a " + printable.dropFirst(prefix.count) : printable
    for (words, what, expected) in Self.translations where detail.contains(words) {
      return SyntaxFault(line: line, column: column, what: "not TOML: \(what)", expected: expected)
    }
    // "in a table header: expected ']', saw '\\n'"
    if let start = detail.firstRange(of: ": expected "),
      let middle = detail[start.upperBound...].firstRange(of: ", saw ")
    {
      let found = detail[middle.upperBound...]
      return SyntaxFault(
        line: line, column: column,
        what: "not TOML: \(detail[..<start.lowerBound]): \(found == "'\\n'" ? "the line ends" : "\(found)")",
        expected: String(detail[start.upperBound..<middle.lowerBound]))
    }
    return SyntaxFault(line: line, column: column, what: "not TOML: \(detail)")
  }

  private func string(_ text: ctoml_text) -> String {
    String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.length), as: UTF8.self)
  }

  /// Children stand after their parents in the flat list, so that one backward pass builds every node before its parent
  /// needs it, without recursion.
  private mutating func tree(_ document: OpaquePointer) -> LocatedValue {
    let count = ctoml_count(document)
    var depths = [Int](repeating: 0, count: count)
    var entries = [[LocatedValue.Entry]](repeating: [], count: count)
    var tooDeep: (line: Int, column: Int)?
    for index in 1..<max(count, 1) {
      let node = ctoml_node_at(document, index)
      depths[index] = depths[Int(node.parent)] + 1
      if depths[index] == Self.maximumDepth, tooDeep == nil { tooDeep = (Int(node.key_line), Int(node.key_column)) }
    }
    if let tooDeep {
      report(tooDeep.line, tooDeep.column, "nested too deeply", expected: "at most \(Self.maximumDepth) levels")
    }
    for index in stride(from: count - 1, to: 0, by: -1) where depths[index] < Self.maximumDepth {
      let node = ctoml_node_at(document, index)
      let value = LocatedValue(content(node, entries[index]), at: place(node.line, node.column))
      entries[index] = []
      entries[Int(node.parent)].append(
        LocatedValue.Entry(key: string(node.key), keyPlace: place(node.key_line, node.key_column), value: value))
    }
    return LocatedValue(.table(inFileOrder(entries.first ?? [])), at: place(1, 1))
  }

  private func content(_ node: ctoml_node, _ children: [LocatedValue.Entry]) -> LocatedValue.Content {
    switch node.kind {
    case CTOML_TABLE: .table(inFileOrder(children))
    case CTOML_ARRAY: .array(children.reversed().map(\.value))
    case CTOML_STRING: .string(string(node.string))
    case CTOML_INTEGER: .integer(node.integer)
    case CTOML_FLOAT: .real(node.real)
    case CTOML_BOOLEAN: .boolean(node.boolean)
    default: .dateOrTime
    }
  }

  private func inFileOrder(_ entries: [LocatedValue.Entry]) -> [LocatedValue.Entry] {
    entries.sorted {
      ($0.keyPlace.line ?? 0, $0.keyPlace.column ?? 0) < ($1.keyPlace.line ?? 0, $1.keyPlace.column ?? 0)
    }
  }

  private func place(_ line: UInt32, _ column: UInt32) -> SourcePlace {
    SourcePlace(file: file, line: Int(line), column: Int(column))
  }
}
