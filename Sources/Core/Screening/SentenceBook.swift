import FoundationEssentials
import Provenance

/// What a patient is told, in one language, by key: `gate.too-near.failed` and its like.
///
/// English is compiled in, so that there always is a sentence; `Languages/en.json` is the same text for translators.
/// Another language is another file of that form. A key that it lacks is told in English, and `missing` names it so
/// that the start can warn.
package struct SentenceBook: Sendable, Equatable {
  /// The largest file that is read.
  package static let sizeLimitBytes = 64 * 1024
  package static let sentenceLimitCharacters = 240

  /// `en`, `de`, `pt-br` ...: `[a-z]{2,3}(-[a-z0-9]{2,8})?`.
  package let language: String
  /// Keys of the English book that this one lacks, in order; they are told in English.
  package let missing: [String]
  /// Keys that mean nothing to this program, in order: misspelt, or of another version.
  package let unknown: [String]
  private let sentences: [String: String]

  private init(language: String, sentences: [String: String], missing: [String], unknown: [String]) {
    self.language = language
    self.sentences = sentences
    self.missing = missing
    self.unknown = unknown
  }

  package static let english = SentenceBook(
    language: "en", sentences: englishSentences, missing: [], unknown: [])

  /// Reads a language's file: `{"language": "de", "sentences": {"gate.too-near.failed": "...", ...}}`.
  ///
  /// A sentence may hold `{value}` and `{limit}`: what was measured, and what it was held against.
  package init(json: [UInt8]) throws(SentenceBookError) {
    guard json.count <= Self.sizeLimitBytes else {
      throw SentenceBookError("\(json.count) bytes; expected at most \(Self.sizeLimitBytes)")
    }
    let document: Document
    do {
      document = try JSONDecoder().decode(Document.self, from: Data(json))
    } catch {
      throw SentenceBookError("is no JSON object with the texts \"language\" and \"sentences\": \(error)")
    }
    guard Self.isLanguage(document.language) else {
      throw SentenceBookError("language \"\(document.language)\"; expected a tag such as \"de\" or \"pt-br\"")
    }
    for (key, sentence) in document.sentences.sorted(by: { $0.key < $1.key }) {
      guard !sentence.isEmpty, sentence.count <= Self.sentenceLimitCharacters,
        sentence.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
      else {
        throw SentenceBookError(
          "\"\(key)\": expected 1 to \(Self.sentenceLimitCharacters) characters without line ends")
      }
      guard Self.placeholders(of: sentence).isSubset(of: ["value", "limit"]) else {
        throw SentenceBookError("\"\(key)\": only {value} and {limit} may stand in braces")
      }
    }
    let english = Set(Self.englishSentences.keys)
    let found = Set(document.sentences.keys)
    self.init(
      language: document.language, sentences: document.sentences.filter { english.contains($0.key) },
      missing: english.subtracting(found).sorted(), unknown: found.subtracting(english).sorted())
  }

  /// Whether `text` may be a language's name, and so part of a file's.
  package static func isLanguage(_ text: String) -> Bool {
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    func isPart(_ part: Substring.UTF8View.SubSequence, _ counts: ClosedRange<Int>, digits: Bool) -> Bool {
      counts.contains(part.count)
        && part.allSatisfy { (97...122).contains($0) || (digits && (48...57).contains($0)) }
    }
    guard (1...2).contains(parts.count), isPart(parts[0], 2...3, digits: false) else { return false }
    return parts.count == 1 || isPart(parts[1], 2...8, digits: true)
  }

  /// The sentence of `key`; in English where this language lacks it, and the key itself where English does too.
  package func sentence(_ key: String, value: Double? = nil, limit: Double? = nil) -> String {
    var text = sentences[key] ?? Self.englishSentences[key] ?? key
    if let value { text = Self.replace("{value}", in: text, by: Self.number(value)) }
    if let limit { text = Self.replace("{limit}", in: text, by: Self.number(limit)) }
    return text
  }

  /// All of it, as the file for translators holds it: keys in order.
  package var json: [UInt8] {
    get throws {
      [UInt8](try CanonicalJSON.indentedText(of: Document(language: language, sentences: sentences)).utf8) + [0x0A]
    }
  }

  private struct Document: Codable {
    let language: String
    let sentences: [String: String]
  }

  /// The names in braces.
  private static func placeholders(of sentence: String) -> Set<String> {
    var names: Set<String> = []
    for part in sentence.split(separator: "{", omittingEmptySubsequences: false).dropFirst() {
      names.insert(String(part.prefix { $0 != "}" }))
    }
    return names
  }

  private static func replace(_ name: String, in text: String, by value: String) -> String {
    guard text.contains(name) else { return text }
    return text.replacing(name, with: value)
  }

  /// One decimal, none for a whole number.
  private static func number(_ value: Double) -> String {
    let tenths = (value * 10).rounded()
    guard abs(tenths) < 1e9 else { return "\(value)" }
    let whole = Int(abs(tenths)) / 10
    let tenth = Int(abs(tenths)) % 10
    return "\(tenths < 0 ? "-" : "")\(whole)\(tenth == 0 ? "" : ".\(tenth)")"
  }
}

/// Why a file of sentences cannot be used; the owner adds the path.
package struct SentenceBookError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ description: String) {
    self.description = description
  }
}
