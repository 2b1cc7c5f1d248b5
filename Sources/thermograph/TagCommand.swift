import ArgumentParser
import Identification

struct TagCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tag",
    abstract: "Reads RFID tags, live or from recorded bytes.",
    discussion: """
      Tag numbers are a patient's identity: these commands print them on purpose, for whoever enrols tags. The \
      running service never does.
      """,
    subcommands: [TagDecodeCommand.self, TagReadCommand.self, TagFindCommand.self])
}

extension ReaderKind: ExpressibleByArgument {}

extension LinePattern.Number: ExpressibleByArgument {}

/// What line readers need to be told.
struct LinePatternOptions: ParsableArguments {
  @Option(name: .long, help: "How a line reader writes the number: hexadecimal bytes or one decimal number.")
  var lineNumber = LinePattern.Number.hexadecimal

  @Option(name: .long, parsing: .unconditional, help: "Text that a line reader puts before the digits.")
  var linePrefix = ""

  @Option(name: .long, parsing: .unconditional, help: "Text that a line reader puts after the digits.")
  var lineSuffix = ""

  @Option(name: .long, parsing: .unconditional, help: "Bytes that a decimal number stands for, 1 to 16.")
  var lineBytes = 4

  func validate() throws {
    for text in [linePrefix, lineSuffix]
    where text.utf8.count > 16 || !text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
      throw ValidationError("a line's prefix or suffix is at most 16 printable ASCII characters, not \"\(text)\"")
    }
    guard (1...16).contains(lineBytes) else { throw ValidationError("--line-bytes is 1 to 16, not \(lineBytes)") }
  }

  var pattern: LinePattern {
    LinePattern(
      number: lineNumber, decimalByteCount: lineBytes, prefix: Array(linePrefix.utf8), suffix: Array(lineSuffix.utf8))
  }
}
