import ArgumentParser
import Glibc
import Identification
import LinuxIO
import LocalFiles
import Provenance

struct TagDecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Decodes a reader's bytes: one JSON object for each frame whose checksum is right.",
    discussion: """
      Reads raw bytes from standard input, or hexadecimal text with --hex. Frames with a tag go to standard output as \
      {"kind", "uid", "technology", "suspect"}; "suspect" marks a frame like those that readers send with no tag near. \
      Rejected bytes and their reasons go to standard error. Exit status 1 when there was no tag at all.

        thermograph tag decode --reader rdm6300 < recording.bin
        echo 0236373030334235314336434203 | thermograph tag decode --reader rdm6300 --hex -
        thermograph tag decode --reader pn532-hsu --hex dialogue.txt
        thermograph tag decode --reader rdm6300 --runs 20 < recording.bin
      """)

  @Option(name: .long, help: "The reader's protocol: rdm6300, id12la, pn532-hsu or line.")
  var reader: ReaderKind

  @Option(name: .long, help: "A file of hexadecimal digits, blanks and line ends; - is standard input.")
  var hex: String?

  @OptionGroup var line: LinePatternOptions

  @Flag(name: .long, help: "Accepted for uniformity: the output is always JSON.")
  var json = false

  @Option(
    name: .long, parsing: .unconditional,
    help: "Print no tags: decode all of the input so many times and print the time it took.")
  var runs: Int?

  func validate() throws {
    if let runs, !(1...10_000).contains(runs) { throw ValidationError("--runs is 1 to 10000, not \(runs)") }
  }

  func run() throws {
    if let runs { return try measure(runs: runs) }
    var decoder = makeTagDecoder(for: reader, linePattern: line.pattern)
    var tally = Tally()
    var digits = HexDigits()
    let isHex = hex != nil
    let source = try ByteSource(path: hex ?? "-")
    while let bytes = try source.next() {
      let decoded = isHex ? try digits.bytes(from: bytes, of: source.name) : bytes
      for event in decoder.decode(decoded) { tally.take(event, reader) }
    }
    if isHex { try digits.end(of: source.name) }
    for event in decoder.endOfBurst() { tally.take(event, reader) }
    if tally.otherFrameCount > 0 {
      printToStandardError("\(source.name): \(tally.otherFrameCount) valid frames without a tag")
    }
    if tally.readingCount == 0 {
      printToStandardError("\(source.name): no tag found")
      throw ExitCode.failure
    }
  }

  /// Times the decoder alone, on bytes that are already in memory.
  private func measure(runs: Int) throws {
    let source = try ByteSource(path: hex ?? "-")
    var digits = HexDigits()
    var bytes: [UInt8] = []
    while let piece = try source.next() {
      bytes += hex == nil ? piece : try digits.bytes(from: piece, of: source.name)
      guard bytes.count <= Self.largestMeasuredByteCount else {
        throw TagInputError(
          "\(source.name): more than \(Self.largestMeasuredByteCount) bytes; --runs keeps them in memory")
      }
    }
    guard !bytes.isEmpty else { throw TagInputError("\(source.name): no bytes to decode") }
    var readings = 0
    var rejects = 0
    var milliseconds: [Double] = []
    for _ in 0..<runs {
      (readings, rejects) = (0, 0)
      var decoder = makeTagDecoder(for: reader, linePattern: line.pattern)
      let began = ContinuousClock.now
      bytes.withUnsafeBytes { buffer in
        decoder.decode(buffer) { event in
          switch event {
          case .reading: readings += 1
          case .reject: rejects += 1
          case .otherFrame: break
          }
        }
      }
      milliseconds.append((ContinuousClock.now - began) / .milliseconds(1))
    }
    milliseconds.sort()
    print(
      "{\"bytes\":\(bytes.count),\"readings\":\(readings),\"rejects\":\(rejects),"
        + "\"median_ms\":\(milliseconds[runs / 2]),\"min_ms\":\(milliseconds[0])}")
  }

  private static let largestMeasuredByteCount = 64 << 20

  private struct Tally {
    var readingCount = 0
    var otherFrameCount = 0

    mutating func take(_ event: DecoderEvent, _ reader: ReaderKind) {
      switch event {
      case .reading(let reading):
        readingCount += 1
        print(reading.json(reader: reader))
      case .otherFrame:
        otherFrameCount += 1
      case .reject(let reject):
        printToStandardError("reject \(reject.reason.rawValue): \(reject)")
      }
    }
  }
}

/// Input that is not what the option says: one line, without the usage text that a wrong option deserves.
private struct TagInputError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

extension TagReading {
  /// `kind` is the reader's. Every value is of a closed alphabet, so nothing needs escaping.
  func json(reader: ReaderKind, presented: Bool? = nil, fingerprint: String? = nil) -> String {
    let state =
      (presented.map { ",\"presented\":\($0)" } ?? "") + (fingerprint.map { ",\"fingerprint\":\"\($0)\"" } ?? "")
    return "{\"kind\":\"\(reader.rawValue)\",\"uid\":\"\(Hexadecimal.text(of: uid.bytes))\","
      + "\"technology\":\"\(technology.rawValue)\",\"suspect\":\(isSuspect)\(state)}"
  }
}

/// Pairs hexadecimal digits across pieces of a file.
private struct HexDigits {
  private var high: UInt8?

  mutating func bytes(from text: [UInt8], of name: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for character in text {
      if [0x20, 0x09, 0x0A, 0x0D].contains(character) { continue }
      guard let digit = Hexadecimal.value(of: character) else {
        throw TagInputError(
          "\(name): byte 0x\(Hexadecimal.text(of: [character])) is no hexadecimal digit; for raw bytes leave --hex out")
      }
      if let high {
        bytes.append(high << 4 | digit)
        self.high = nil
      } else {
        high = digit
      }
    }
    return bytes
  }

  func end(of name: String) throws {
    if high != nil { throw TagInputError("\(name): an odd number of hexadecimal digits; the last byte has one only") }
  }
}

/// A file, or standard input, read in pieces.
private final class ByteSource {
  let name: String
  private let file: OwnedDescriptor

  init(path: String) throws {
    name = path == "-" ? "standard input" : path
    file = OwnedDescriptor(
      takingOver: try systemCall("open", on: name) {
        path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
      })
  }

  /// The next piece, at most 64 KiB; nil at the end.
  func next() throws -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = try systemCall("read", on: name) { read(file.number, &bytes, bytes.count) }
    return count == 0 ? nil : Array(bytes.prefix(count))
  }
}
