import LocalFiles
import Screening

/// The folder of languages: one file a language, `de.json`.
package struct SentenceFolder: Sendable {
  package static let installed = "/usr/share/thermograph/languages"

  package let path: String

  package init(path: String = SentenceFolder.installed) {
    self.path = path
  }

  /// The sentences of a language, and what must be told a technician about them.
  ///
  /// A capture never waits for a translation: what cannot be read is told in English, and a warning says so. English
  /// itself is compiled in, and needs no file.
  package func book(language: String) -> (book: SentenceBook, warnings: [String]) {
    if language == SentenceBook.english.language { return (.english, []) }
    guard SentenceBook.isLanguage(language) else {
      return (.english, ["language \"\(language)\" is no language tag such as \"de\"; patients are told in English"])
    }
    let file = "\(path)/\(language).json"
    let book: SentenceBook
    do {
      book = try SentenceBook(json: BoundedFile.read(file, maximumBytes: SentenceBook.sizeLimitBytes))
    } catch let error as FileError {
      return (.english, ["\(error); patients are told in English"])
    } catch {
      return (.english, ["\(file): \(error); patients are told in English"])
    }
    var warnings: [String] = []
    if book.language != language {
      warnings.append("\(file): is for the language \"\(book.language)\"; expected \"\(language)\"")
    }
    if !book.missing.isEmpty {
      warnings.append("\(file): lacks \(Self.list(book.missing)); patients are told these in English")
    }
    if !book.unknown.isEmpty {
      warnings.append("\(file): does not need \(Self.list(book.unknown)); misspelt, or of another version?")
    }
    return (book, warnings)
  }

  private static func list(_ keys: [String]) -> String {
    let shown = keys.prefix(8).map { "\"\($0)\"" }.joined(separator: ", ")
    return keys.count > 8 ? "\(shown) and \(keys.count - 8) more" : shown
  }
}
