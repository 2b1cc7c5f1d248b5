import Foundation

/// The checkout as text: where it is, its Swift files and what they import.
enum House {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  static func path(_ relative: String) -> String { root + "/" + relative }

  /// Paths relative to the root of every Swift file below `folder`, in name order.
  static func swiftFiles(under folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: path(folder))
      .filter { $0.hasSuffix(".swift") }
      .map { folder + "/" + $0 }
      .sorted()
  }

  static func lines(of file: String) throws -> [Substring] {
    try String(contentsOfFile: path(file), encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// The modules that `file` imports, with line numbers from 1. Understands access levels, attributes and
  /// `import struct A.B`.
  static func imports(of file: String) throws -> [(line: Int, module: String)] {
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
    var found: [(Int, String)] = []
    for (index, line) in try lines(of: file).enumerated() {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard let position = words.firstIndex(of: "import"), words[..<position].allSatisfy(isImportModifier) else {
        continue
      }
      let rest = words[(position + 1)...].drop { kinds.contains($0) }
      guard let name = rest.first?.split(separator: ".").first else { continue }
      found.append((index + 1, String(name)))
    }
    return found
  }

  private static func isImportModifier(_ word: Substring) -> Bool {
    word.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains(word)
  }
}
