import Configuration
import Foundation
import Provenance
import Testing

@Suite struct SyntaxTests {
  @Test func everyFaultOfAFileInOneRun() throws {
    let text = """
      schema = 1
      schema = 2
      [device]
      id = "d
      site = "s"
      [camera
      emissivity = 0.9
      [reader]
      baud = 99999999999999999999
      kind = id12la
      [log]
      levle = "info"
      """
    let faults = try Scratch().faults(of: text)
    #expect(
      faults.map { String($0.prefix { $0 != ";" }) } == [
        "thermograph.toml:2:10: schema is given twice",
        "thermograph.toml:4:8: not TOML: a text is not closed on its line or holds a control character",
        "thermograph.toml:6:8: not TOML: in a table header: the line ends",
        "thermograph.toml:9:28: not TOML: a number that does not fit",
        "thermograph.toml:10:9: not TOML: a text without quotes",
        "thermograph.toml:12:1: unknown key log.levle",
      ])
  }

  @Test func windowsFilesAreRead() throws {
    let scratch = try Scratch()
    let text =
      "\u{FEFF}" + (identity + "[camera]\nemissivity = 0.95\nframes_averaged = 0\n").replacing("\n", with: "\r\n")
    try scratch.write(text)
    let reading = scratch.read()
    #expect(reading.settings.camera.emissivity == 0.95)
    #expect(
      scratch.lines(reading.faults) == [
        "thermograph.toml:7:19: camera.frames_averaged is 0; expected a whole number from 1 to 128"
      ])
  }

  @Test func emptyFileIsMissingItsKeys() throws {
    #expect(try Scratch().faults(of: "").count == 3)
  }

  struct Hostile: CustomTestStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    var line: Int?
    var testDescription: String { name }
    init(_ name: String, _ bytes: [UInt8], line: Int?) {
      self.name = name
      self.bytes = bytes
      self.line = line
    }
    init(_ name: String, _ text: String, line: Int?) { self.init(name, [UInt8](text.utf8), line: line) }
  }

  /// Each must be answered with a fault at its place.
  @Test(arguments: [
    Hostile("not UTF-8", [UInt8]("a = 1\nb = \"".utf8) + [0xFF, 0xFE, UInt8(ascii: "\"")], line: 2),
    Hostile("overlong UTF-8", [UInt8]("a = 1\nb = \"".utf8) + [0xC0, 0x80, UInt8(ascii: "\"")], line: 2),
    Hostile("UTF-16", Array("schema = 1\n".utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }), line: 1),
    Hostile("NUL", "a = 1\n\0\n", line: 2),
    Hostile("nested lists", "a = 1\nb = " + String(repeating: "[", count: 900), line: 2),
    Hostile("nested inline tables", "a = 1\nb = " + String(repeating: "{a=", count: 300), line: 2),
    Hostile("dotted key", "b" + String(repeating: ".a", count: 500) + " = 1", line: 1),
    Hostile("dotted header", "[b" + String(repeating: ".a", count: 500) + "]", line: 1),
    Hostile(
      "dotted keys in nested lists",
      String(repeating: "b" + String(repeating: ".a", count: 500) + " = [{\n", count: 15), line: 15),
    Hostile("long line", "a = 1\n#" + String(repeating: "x", count: 2000), line: 2),
    Hostile("unclosed text", "a = 1\nb = \"\"\"\nx", line: 3),
    Hostile("integer beyond 64 bits", "a = 1\nb = -9223372036854775809", line: 2),
    Hostile("float beyond double", "a = 1\nb = 1e999", line: 2),
    Hostile("impossible date", "a = 1\nb = 2026-02-30", line: 2),
    Hostile("lone surrogate", "a = 1\nb = \"\\ud800\"", line: 2),
    Hostile("header of an assertion", "a = 1\n[=]\nb = 1", line: 2),
    Hostile("letter outside ASCII", "a = 1\n\u{e9} = 1", line: 2),
    Hostile("no-break space", "a =\u{a0}1", line: 1),
    Hostile("list element not TOML", "a = [1,\n2,\nb = 3\n", line: 3),
    Hostile("huge", [UInt8](repeating: UInt8(ascii: "\n"), count: 262_145), line: nil),
  ]) func hostileText(_ hostile: Hostile) throws {
    let scratch = try Scratch()
    let path = try scratch.write(hostile.bytes)
    let faults = scratch.read().faults
    #expect(faults.contains { $0.place.file == path && $0.place.line == hostile.line }, "\(scratch.lines(faults))")
  }

  /// A name that a Windows editor wrote: the place is that of the letter, and not of the one before.
  @Test(arguments: [0, 1, 7]) func aLatin1LetterIsNamedAtItsColumn(before: Int) throws {
    let scratch = try Scratch()
    let start = [UInt8]("schema = 1\nname = \"".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: before)
    try scratch.write(start + [0xE9, UInt8(ascii: "\""), UInt8(ascii: "\n")])
    let fault = try #require(scratch.read().faults.first { $0.place.line == 2 })
    // `name = "` has eight bytes.
    #expect(fault.place.column == 9 + before, "\(fault)")
    #expect(fault.description.contains("UTF-8"), "\(fault)")
  }

  @Test func numberOfFaultsIsBounded() throws {
    let faults = try Scratch().faults(of: String(repeating: "x\n", count: 10_000))
    #expect(faults.count == 50)
  }

  @Test func theLargestFileThatIsAllowed() throws {
    let scratch = try Scratch()
    let comment = "#" + String(repeating: "x", count: 62) + "\n"
    try scratch.write(identity + String(repeating: comment, count: (262_144 - identity.utf8.count) / 64))
    #expect(scratch.read().isUsable)
  }

  /// Bytes of the example file are changed, cut, doubled and swapped at random. Whatever comes out, the answer is
  /// settings without a fault, or faults that are lines of text with places inside the file.
  @Test(arguments: [1, 2, 3, 4]) func mutatedFiles(seed: UInt64) throws {
    let original = try [UInt8](Data(contentsOf: URL(fileURLWithPath: Scratch.repository + "/systemd/thermograph.toml")))
      .split(separator: UInt8(ascii: "\n")).filter {
        !$0.starts(with: [UInt8]("# ".utf8)) && !$0.starts(with: [UInt8]("#board".utf8))
      }
      .flatMap { ($0.first == UInt8(ascii: "#") ? $0.dropFirst() : $0) + [UInt8(ascii: "\n")] }
    var generator = SeededGenerator(seed: seed)
    let scratch = try Scratch()
    var usable = 0
    for _ in 0..<mutations {
      var bytes = original
      for _ in 0..<Int.random(in: 1...6, using: &generator) { mutate(&bytes, &generator) }
      try scratch.write(bytes)
      let reading = scratch.read()
      if reading.isUsable { usable += 1 }
      let lineCount = bytes.count { $0 == UInt8(ascii: "\n") } + 1
      for fault in reading.faults {
        if let line = fault.place.line { #expect((1...lineCount + 1).contains(line), "\(fault)") }
        #expect(!fault.description.unicodeScalars.contains(where: isControl), "\(fault)")
      }
      // Shown settings read back, whatever strange texts they hold.
      if reading.isUsable { _ = reading.effectiveListing() }
    }
    // Most changes hit a comment's rest or a value; if none or all were usable the test would look at nothing.
    #expect(usable > 0 && usable < mutations)
  }

  private var mutations: Int {
    ProcessInfo.processInfo.environment["THERMOGRAPH_CONFIGURATION_MUTATIONS"].flatMap(Int.init) ?? 500
  }

  private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    guard !bytes.isEmpty else { return }
    let at = Int.random(in: bytes.indices, using: &generator)
    let tokens = [
      "\"", "'", "\"\"\"", "[", "]", "[[", "{", "}", "=", ".", ",", "#", "\n", "\r", "\\u", "0x", "1e", "-", "inf",
      "\u{FEFF}",
    ]
    switch Int.random(in: 0..<7, using: &generator) {
    case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &generator)
    case 1: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &generator)
    case 2: bytes.insert(contentsOf: [UInt8](tokens[Int.random(in: tokens.indices, using: &generator)].utf8), at: at)
    case 3: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...40, using: &generator)))
    case 4:
      let piece = bytes[at..<min(bytes.count, at + Int.random(in: 1...200, using: &generator))]
      bytes.insert(contentsOf: piece, at: Int.random(in: bytes.indices, using: &generator))
    case 5: bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
    default: bytes.swapAt(at, Int.random(in: bytes.indices, using: &generator))
    }
  }
}
