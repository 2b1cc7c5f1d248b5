/// The line of a fault with a caret below its column, for a terminal.
package struct SourceExcerpt: Sendable {
  private static let maximumColumns = 120
  /// What follows such a key is not shown, whatever the fault: it may be the secret itself.
  private static let privateWords = ["key", "password", "secret", "token", "roster"]

  /// Two lines.
  package let text: String

  /// - Parameters:
  ///   - line: The line of the file, without its end.
  ///   - column: From 1, in Unicode scalars.
  package init(line: String, column: Int) {
    var shown = line.unicodeScalars.prefix(Self.maximumColumns).map { isControl($0) ? " " : $0 }
    let sign = shown.firstIndex(of: "=") ?? shown.count
    let name = String(String.UnicodeScalarView(shown[..<sign])).lowercased()
    if sign < shown.count, Self.privateWords.contains(where: name.contains) {
      shown = shown[...sign] + Array(" ...".unicodeScalars)
    }
    let caret = String(repeating: " ", count: max(0, min(column - 1, shown.count)))
    text = "    \(String(String.UnicodeScalarView(shown)))\n    \(caret)^"
  }
}
