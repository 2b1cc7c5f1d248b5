import Foundation
import Screening
import Testing

@Suite struct SentenceBookTests {
  private static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private func book(_ json: String) throws(SentenceBookError) -> SentenceBook {
    try SentenceBook(json: Array(json.utf8))
  }

  @Test func theShippedFileAndTheCompiledTextAreTheSame() throws {
    let file = Self.repository.appendingPathComponent("Languages/en.json")
    let shipped = try SentenceBook(json: [UInt8](Data(contentsOf: file)))
    #expect(shipped == SentenceBook.english)
    #expect(shipped.missing.isEmpty && shipped.unknown.isEmpty)
  }

  @Test func everyGateHasItsSentences() {
    for code in QualityGate.Code.allCases {
      let endings = code == .ambientRange ? ["passed", "too-cold", "too-warm"] : ["passed", "failed"]
      for ending in endings {
        let key = "gate.\(code.rawValue).\(ending)"
        #expect(SentenceBook.english.sentence(key) != key, "\(key)")
      }
    }
  }

  @Test func noSentenceSaysADiagnosis() throws {
    let text = String(decoding: try SentenceBook.english.json, as: UTF8.self).lowercased()
    for word in ["benign", "malignant", "positive", "negative", "cancer", "tumour", "diagnos", "risk"] {
      #expect(!text.contains(word), "\(word)")
    }
  }

  @Test func aTranslationIsUsedAndWhatItLacksIsNamedAndToldInEnglish() throws {
    let german = try book(
      #"{"language": "de", "sentences": {"gate.too-near.failed": "Sie sind zu nah.", "gate.to-far.failed": "x"}}"#)
    #expect(german.sentence("gate.too-near.failed") == "Sie sind zu nah.")
    #expect(german.sentence("gate.motion.failed") == SentenceBook.english.sentence("gate.motion.failed"))
    #expect(german.missing.contains("gate.motion.failed") && !german.missing.contains("gate.too-near.failed"))
    #expect(german.unknown == ["gate.to-far.failed"])
  }

  @Test func valuesStandInTheSentenceWithOneDecimal() {
    let english = SentenceBook.english
    #expect(
      english.sentence("gate.ambient-range.too-cold", value: 12.34, limit: 18)
        == "The room is too cold (12.3 degrees). It should be at least 18.")
    #expect(english.sentence("gate.ambient-range.too-warm", value: -0.04, limit: 25).contains("(0 degrees)"))
    #expect(english.sentence("no.such.key") == "no.such.key")
  }

  @Test(arguments: [
    "", "[]", "{}", #"{"language": "de"}"#, #"{"language": "DE", "sentences": {}}"#,
    #"{"language": "../x", "sentences": {}}"#, #"{"language": "de", "sentences": {"a": ""}}"#,
    #"{"language": "de", "sentences": {"a": "x\ny"}}"#, #"{"language": "de", "sentences": {"a": "{name}"}}"#,
    #"{"language": "de", "sentences": {"a": 1}}"#,
  ])
  func whatIsNoBookIsRefused(json: String) {
    #expect(throws: SentenceBookError.self) { try book(json) }
  }

  @Test func aFileTooLargeIsRefused() {
    #expect(throws: SentenceBookError.self) { try SentenceBook(json: [UInt8](repeating: 32, count: 65_537)) }
  }

  @Test func languageTags() {
    for tag in ["en", "de", "pt-br", "es-419"] { #expect(SentenceBook.isLanguage(tag), "\(tag)") }
    for tag in ["", "e", "EN", "de_DE", "de-", "-de", "a/b", "..", "de-de-de", "english-"] {
      #expect(!SentenceBook.isLanguage(tag), "\(tag)")
    }
  }
}
