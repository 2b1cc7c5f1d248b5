import Identification

/// A megabyte from each reader: whole frames, and noise.
enum ReaderBenchmarks {
  private static let byteCount = 1_000_000

  static func suite() -> BenchmarkSuite {
    var benchmarks: [Benchmark] = []
    for kind in ReaderKind.allCases {
      for (load, bytes) in [("frames", frames(kind)), ("noise", noise())] {
        benchmarks.append(
          Benchmark(
            name: "\(kind.rawValue), 1 MB of \(load)", unit: "byte", unitsPerRun: byteCount, goalMilliseconds: 20
          ) { times in
            var events = 0
            for _ in 0..<times {
              var decoder = makeTagDecoder(for: kind)
              bytes.withUnsafeBytes { buffer in decoder.decode(buffer) { _ in events += 1 } }
            }
            return Double(events)
          })
      }
    }
    return BenchmarkSuite(name: "Readers' bytes", benchmarks: benchmarks)
  }

  private static func frames(_ kind: ReaderKind) -> [UInt8] {
    let frame: [UInt8] =
      switch kind {
      case .rdm6300: Array("\u{2}67003B51C6CB\u{3}".utf8)
      case .id12la: Array("\u{2}0C000621A58E\r\n\u{3}".utf8)
      case .pn532HSU:
        [0, 0, 0xFF, 0x0A, 0xF6, 0xD5, 0x4B, 1, 1, 0x0C, 0, 0xB2, 0x56, 0x54, 0, 0x76, 0]
      case .line: Array("67003B51C6\r\n".utf8)
      }
    return (0..<byteCount).map { frame[$0 % frame.count] }
  }

  /// The same in every run.
  private static func noise() -> [UInt8] {
    var state: UInt64 = 1
    return (0..<byteCount).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }
}
