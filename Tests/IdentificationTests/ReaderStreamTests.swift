import CAllocationCount
import Identification
import Provenance
import Testing

/// Streams of bytes as they come from a line: in pieces, with noise, at full speed.
@Suite("Reader streams")
struct ReaderStreamTests {
  /// Frames of every reader between noise, pieces of frames, zeros and line ends.
  private static func stream(byteCount: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    let frames: [[UInt8]] = [
      Array("\u{2}67003B51C6CB\u{3}".utf8), hex("0000ff0af6d54b01010c00b25654007600"), Array("67003B51C6\r\n".utf8),
      hex("0000ff00ff00"), hex("0000FF03FDD54B00E000"), hex("0000FFFFFF0103FD"), [0, 0, 0xFF], [0x0D], [0x0A],
    ]
    var bytes: [UInt8] = []
    while bytes.count < byteCount {
      switch Int.random(in: 0..<4, using: &generator) {
      case 0:
        bytes += (0..<Int.random(in: 1...40, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
      case 1: bytes += [UInt8](repeating: 0x37, count: Int.random(in: 1...1500, using: &generator))
      default:
        let frame = frames[Int.random(in: 0..<frames.count, using: &generator)]
        bytes += frame.prefix(
          Int.random(in: 1...frame.count, using: &generator) | (Bool.random(using: &generator) ? 255 : 0))
      }
    }
    return bytes
  }

  @Test(arguments: ReaderKind.allCases, [1, 2, 3] as [UInt64])
  func howTheBytesAreCutChangesNothing(kind: ReaderKind, seed: UInt64) {
    let stream = Self.stream(byteCount: 30_000, seed: seed)
    var whole = makeTagDecoder(for: kind)
    let expected = whole.decode(stream) + whole.endOfBurst()
    #expect(!expected.isEmpty)
    var generator = SeededGenerator(seed: seed &+ 99)
    for longest in [1, 7, 300, 5000] {
      var decoder = makeTagDecoder(for: kind)
      var found: [DecoderEvent] = []
      var rest = stream[...]
      while !rest.isEmpty {
        let piece = rest.prefix(Int.random(in: 1...longest, using: &generator))
        found += decoder.decode(Array(piece))
        rest = rest.dropFirst(piece.count)
      }
      found += decoder.endOfBurst()
      // Noise is reported when a frame begins or a kilobyte is full, however it came.
      #expect(found == expected, "\(kind) in pieces of up to \(longest)")
    }
  }

  /// Without the optimiser, values that never leave the stack are boxed.
  #if DEBUG
    private static let isOptimised = false
  #else
    private static let isOptimised = true
  #endif

  /// 0: noise; 1: whole frames of the kind.
  @Test(
    .enabled(if: isOptimised, "unoptimised code allocates"), arguments: ReaderKind.allCases, [0, 1])
  func nothingIsAllocatedHoweverMuchComes(kind: ReaderKind, load: Int) {
    var generator = SeededGenerator(seed: 5)
    let frame: [UInt8] =
      switch kind {
      case .rdm6300: Array("\u{2}67003B51C6CB\u{3}".utf8)
      case .id12la: Array("\u{2}0C000621A58E\r\n\u{3}".utf8)
      case .pn532HSU: hex("0000ff0af6d54b01010c00b25654007600")
      case .line: Array("67003B51C6\r\n".utf8)
      }
    let bytes: [UInt8] =
      load == 0
      ? (0..<200_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
      : (0..<200_000).map { frame[$0 % frame.count] }
    var decoder = makeTagDecoder(for: kind)
    var events = 0
    bytes.withUnsafeBytes { buffer in
      decoder.decode(UnsafeRawBufferPointer(rebasing: buffer[..<4096])) { _ in events += 1 }
      allocation_counts_reset()
      decoder.decode(UnsafeRawBufferPointer(rebasing: buffer[4096...])) { _ in events += 1 }
    }
    let counts = allocation_counts_read()
    #expect(counts.allocations == 0, "\(kind)")
    #expect(events > (load == 0 ? 100 : 10_000))
  }

  @Test func aLineThatIsExactlyAReportLongSpoilsNotTheNextOne() {
    var decoder = LineDecoder()
    let found = decoder.decode([UInt8](repeating: 0x37, count: 1024) + Array("\r67003B51C6\r".utf8))
    #expect(found.map(\.uidText) == [nil, "67003b51c6"])
  }
}
