import Device
import Foundation
import Screening
import Testing

@Suite struct SentenceFolderTests {
  private let folder = NSTemporaryDirectory() + "thermograph-languages-\(UUID().uuidString)"

  private func book(_ language: String, _ files: [String: String]) throws -> (book: SentenceBook, warnings: [String]) {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)")) }
    return SentenceFolder(path: folder).book(language: language)
  }

  @Test func englishNeedsNoFile() throws {
    let (book, warnings) = try book("en", [:])
    #expect(book == .english && warnings.isEmpty)
  }

  @Test func aMissingKeyIsEnglishAndSaidAtTheStart() throws {
    let (book, warnings) = try book(
      "de", ["de.json": #"{"language": "de", "sentences": {"gate.motion.failed": "Bitte still stehen.", "x": "y"}}"#])
    #expect(book.sentence("gate.motion.failed") == "Bitte still stehen.")
    #expect(book.sentence("gate.lens.failed") == SentenceBook.english.sentence("gate.lens.failed"))
    #expect(warnings.count == 2)
    #expect(warnings[0].contains("de.json: lacks") && warnings[0].contains("in English"))
    #expect(warnings[1].contains("does not need \"x\""))
  }

  @Test(arguments: ["", "{}", #"{"language": "de", "sentences": {"a": ""}}"#])
  func aFileThatCannotBeReadIsEnglishWithAWarning(text: String) throws {
    let (book, warnings) = try book("de", ["de.json": text])
    #expect(book == .english)
    #expect(warnings.count == 1 && warnings[0].hasSuffix("; patients are told in English"))
    #expect(warnings[0].contains("de.json"))
  }

  @Test func aFileThatIsNotThereOrIsOfAnotherLanguageIsSaid() throws {
    #expect(try book("fr", [:]).warnings.first?.contains("fr.json: file not found") == true)
    #expect(try book("../etc/x", [:]).warnings.count == 1)
    let all = String(decoding: try SentenceBook.english.json, as: UTF8.self)
    let (_, warnings) = try book("fr", ["fr.json": all])
    #expect(warnings.count == 1 && warnings[0].contains("is for the language \"en\""))
  }
}
