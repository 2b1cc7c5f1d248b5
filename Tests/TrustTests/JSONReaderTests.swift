import Foundation
import Provenance
import TestSupport
import Testing
import Trust

private let limits = JSONLimits(bytes: 4096)

private func read(_ text: String, _ limits: JSONLimits = limits) throws(JSONFault) -> JSONValue {
  try JSONValue(reading: Array(text.utf8), within: limits)
}

/// Where and why `bytes` are refused; nil when they are taken.
private func fault(_ bytes: [UInt8], _ limits: JSONLimits = limits) -> JSONFault? {
  do throws(JSONFault) {
    _ = try JSONValue(reading: bytes, within: limits)
    return nil
  } catch { return error }
}

@Suite struct JSONReaderTests {
  @Test func aTreeKeepsEverythingInItsOrder() throws {
    let tree = try read(#" {"b": [1, -9223372036854775808, true], "a": {"x": null}, "later": "\u00e9\ud83d\ude00\n"} "#)
    #expect(
      tree
        == .object([
          "b": .array([.integer(1), .integer(.min), .boolean(true)]), "a": .object(["x": .null]),
          "later": .string("é😀\n"),
        ]))
    guard case .object(let object) = tree else { return }
    #expect(object.members.map(\.name.string) == ["b", "a", "later"])
    #expect(object.members(beyond: ["b", "a"]).map(\.name.string) == ["later"])
  }

  /// Text, bytes before the fault, and a part of the reason.
  @Test(arguments: [
    (#"{"a":1,"a":2}"#, 7, "a second time"),
    ("{\"a\":1,\"\\u0061\":2}", 7, "a second time"),
    (#"{"a":{"b":1,"b":1}}"#, 12, "a second time"),
    ("1.0", 0, "fraction"), ("1e2", 0, "exponent"), ("1E2", 0, "exponent"), ("-1.5e-3", 0, "fraction"),
    ("9223372036854775808", 0, "outside"), ("-9223372036854775809", 0, "outside"),
    ("99999999999999999999999999999999", 0, "outside"), ("-0", 0, "-0"),
    ("01", 0, "leading zero"), ("-01", 0, "leading zero"), ("+1", 0, "expected a value"), ("-", 1, "digit"),
    ("1.", 2, "digit"), (".5", 0, "expected a value"), ("1e", 2, "digit"), ("0x10", 1, "follows"),
    ("NaN", 0, "expected a value"), ("Infinity", 0, "expected a value"), ("-Infinity", 1, "digit"),
    ("nul", 0, "expected a value"), ("True", 0, "expected a value"), ("truefalse", 4, "follows"),
    (#"{"a":1}{"a":2}"#, 7, "follows"), ("{} x", 3, "follows"), ("1 2", 2, "follows"),
    ("", 0, "ends"), ("   ", 3, "ends"), ("[", 1, "ends"), ("{", 1, "name"), ("[1", 2, "','"), ("[1,]", 3, "a value"),
    ("[,1]", 1, "a value"), (#"{"a":1,}"#, 7, "name"), (#"{"a"}"#, 4, "':'"), (#"{"a":}"#, 5, "a value"),
    ("{a:1}", 1, "name"), ("{'a':1}", 1, "name"), ("{1:1}", 1, "name"), ("[1 2]", 3, "','"), ("]", 0, "a value"),
    ("// no\n1", 0, "a value"), ("[1]/**/", 3, "follows"),
    (#""abc"#, 0, "closing"), (#""\x41""#, 1, "unknown escape"), (#""\u12g4""#, 5, "four hexadecimal"),
    (#""\u12"#, 5, "four hexadecimal"), ("\"\\", 2, "ends within"),
    (#""\ud800""#, 1, "surrogate"), (#""\udc00""#, 1, "surrogate"), (#""\ud800\ud800""#, 1, "surrogate"),
    (#""\ud800x""#, 1, "surrogate"), (#""\ud800\n""#, 1, "surrogate"),
    (#""a\u0000b""#, 2, "U+0000"), ("\"a\nb\"", 2, "control"), ("\"a\tb\"", 2, "control"), ("\"\u{0}\"", 1, "control"),
    ("\u{FEFF}{}", 0, "a value"), ("{}\u{0}", 2, "follows"), ("{}\u{A0}", 2, "follows"), ("\u{B}1", 0, "a value"),
  ])
  func hostileTextsAreRefusedWithTheirPlace(text: String, offset: Int, reason: String) throws {
    let found = try #require(fault(Array(text.utf8)), "'\(text)' was taken")
    #expect(found.offset == offset, "\(text): \(found)")
    #expect(found.what.contains(reason), "\(text): \(found)")
  }

  @Test(
    arguments: [
      [0xFF], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
      [0xF8, 0x88, 0x80, 0x80, 0x80], [0xC3], [0x80],
    ] as [[UInt8]])
  func textThatIsNotUTF8IsRefused(content: [UInt8]) {
    #expect(fault([0x22] + content + [0x22])?.what == "text that is not UTF-8")
    #expect(fault([0x7B, 0x22] + content + [0x22, 0x3A, 0x31, 0x7D])?.what == "text that is not UTF-8")
    #expect(fault([0x22, 0x5C, 0x6E] + content + [0x22])?.what == "text that is not UTF-8")
  }

  @Test func namesThatLookTheSameAreTwoNames() throws {
    // One code point, and a letter with a combining accent: equal as String.
    let composed = "\u{E9}", decomposed = "e\u{301}"
    #expect(composed == decomposed)
    guard case .object(let object) = try read("{\"\(composed)\":1,\"\(decomposed)\":2,\"\u{212A}\":3}") else { return }
    #expect(object[ExactText(composed)] == .integer(1))
    #expect(object[ExactText(decomposed)] == .integer(2))
    // The Kelvin sign equals K as String.
    #expect("K" == "\u{212A}")
    #expect(object["K"] == nil)
    #expect(ExactText(composed).hashValue != ExactText(decomposed).hashValue)
    #expect(ExactText("\u{FFFF}") < ExactText("\u{10000}"))
  }

  @Test func everythingIsBounded() throws {
    #expect(try read("[[[[[[[[1]]]]]]]]").kind == "a list")
    #expect(fault(Array("[[[[[[[[[1]]]]]]]]]".utf8))?.what == "more than 8 levels")
    #expect(fault(Array("[[[[[[[{\"a\":{}}]]]]]]]".utf8))?.what == "more than 8 levels")
    #expect(fault([UInt8](repeating: 0x5B, count: 4096))?.what == "more than 8 levels")
    #expect(fault([UInt8](repeating: 0x20, count: 4097))?.offset == 4096)
    #expect(fault(Array("[1,2,3]".utf8), JSONLimits(bytes: 100, values: 3))?.what == "more than 3 values")
    // The depth that may be asked for has an end of its own.
    #expect(JSONLimits(bytes: 1, depth: 1_000_000).depthMaximum == 64)
    let deep = [UInt8](repeating: 0x5B, count: 1 << 20)
    #expect(fault(deep, JSONLimits(bytes: 1 << 20, depth: 1_000_000))?.what == "more than 64 levels")
  }

  @Test func decimalsAreKeptOnlyWhereTheyAreAllowedAndNeverAreIntegers() throws {
    let kept = JSONLimits(bytes: 100, decimals: .kept)
    guard case .object(let object) = try read(#"{"version":1e2,"x":1.50}"#, kept) else { return }
    #expect(throws: ShapeFault("'version' is a number with a fraction or an exponent; expected an integer")) {
      try object.integer("version", in: 0...1000)
    }
    #expect(JSONValue.object(object).encoded() == Array(#"{"version":1e2,"x":1.50}"#.utf8))
    #expect(throws: ShapeFault.self) { try JSONValue.object(object).canonicallyEncoded() }
  }

  @Test func manyMembersTakeNoSquareOfTime() throws {
    let text = "{" + (0..<20_000).map { "\"name-\($0)\":\($0)" }.joined(separator: ",") + "}"
    let began = processorSeconds()
    _ = try JSONValue(reading: Array(text.utf8), within: JSONLimits(bytes: 1 << 20))
    #expect(processorSeconds() - began < 2)
  }

  @Test func shapeFaultsNameTheMember() throws {
    guard case .object(let object) = try read(#"{"n":5,"t":"x","l":[1,"y"],"o":{}}"#) else { return }
    #expect(try object.integer("n", in: 1...5) == 5)
    #expect(throws: ShapeFault("'n' is 5; expected 1...4")) { try object.integer("n", in: 1...4) }
    #expect(throws: ShapeFault("'m' is missing")) { try object.text("m") }
    #expect(throws: ShapeFault("'n' is an integer; expected text")) { try object.optionalText("n") }
    #expect(try object.optionalText("m") == nil)
    #expect(throws: ShapeFault("'l' has 2 elements; expected at most 1")) { try object.list("l", maximum: 1) }
    #expect(throws: ShapeFault("'l' element 0 is an integer; expected text")) { try object.texts("l", maximum: 2) }
    #expect(throws: ShapeFault("'l' element 0 is an integer; expected an object")) {
      try object.objects("l", maximum: 2)
    }
    #expect(throws: ShapeFault("'o' is an object; expected true or false")) { try object.boolean("o") }
  }

  /// Members sorted by bytes, and of all escapes only two.
  @Test func canonicalFormIsTheOneOfTUF() throws {
    let tree = try read("{\"b\":\"line\\nend \\\"q\\\" \\\\ \\/ \u{E9}\",\"a\":[{\"z\":true,\"y\":null},-7],\"B\":1}")
    let expected = "{\"B\":1,\"a\":[{\"y\":null,\"z\":true},-7],\"b\":\"line\nend \\\"q\\\" \\\\ / \u{E9}\"}"
    #expect(String(decoding: try tree.canonicallyEncoded(), as: UTF8.self) == expected)
  }
}

@Suite struct JSONMutationTests {
  private static let seeds = [
    #"{"schema":"x","entries":[{"capture_id":"9f0c","name":"record","sha256":"00ff"}],"n":-12,"t":[true,false,null]}"#,
    #"{"a":{"b":{"c":[1,2,[3,{"d":"\u00e9\ud83d\ude00\\\"\n"}]]}},"é":"e","":""}"#,
    #"[0,9223372036854775807,-9223372036854775808,"",{},[]]"#,
  ]

  /// 30,000 damaged texts: no trap; what is taken, another reader takes too and means the same; and writing it down
  /// and reading it again gives the same tree.
  @Test func whatIsTakenMeansTheSameToAnotherReader() throws {
    var random = SeededGenerator(seed: 0x7472_7573)
    var taken = 0
    for round in 0..<30_000 {
      var bytes = Array(Self.seeds[round % Self.seeds.count].utf8)
      for _ in 0...Int.random(in: 0...3, using: &random) { bytes.mutate(using: &random) }
      guard let tree = try? JSONValue(reading: bytes, within: JSONLimits(bytes: 4096)) else { continue }
      taken += 1
      #expect(try JSONValue(reading: tree.encoded(), within: JSONLimits(bytes: 16_384)) == tree)
      let other = try JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
      #expect(Self.means(tree, other), "\(String(decoding: bytes, as: UTF8.self))")
    }
    // The test would say nothing if hardly any were taken.
    #expect(taken > 1000, "\(taken)")
  }

  private static func means(_ tree: JSONValue, _ other: Any) -> Bool {
    switch tree {
    case .null: return other is NSNull
    case .boolean(let value): return (other as? Bool) == value
    case .integer(let value): return (other as? NSNumber)?.int64Value == value
    case .decimal: return false
    case .string(let text): return (other as? String).map { ExactText($0) == text } == true
    case .array(let elements):
      guard let others = other as? [Any], others.count == elements.count else { return false }
      return zip(elements, others).allSatisfy { means($0, $1) }
    case .object(let object):
      guard let others = other as? [String: Any] else { return false }
      return object.members.allSatisfy { member in
        others[member.name.string].map { means(member.value, $0) } == true
      }
    }
  }
}
