import Provenance

/// How a line reader writes an identity: `prefix`, digits, `suffix`, then CR and/or LF.
package struct LinePattern: Sendable, Equatable {
  package enum Number: String, Sendable, CaseIterable {
    /// Pairs of hexadecimal digits are the bytes, in printed order.
    case hexadecimal
    /// One decimal number, written into `decimalByteCount` bytes, most significant first.
    case decimal
  }

  package var number: Number
  /// How many digits a line may have, within 1...39.
  package var digitCounts: ClosedRange<Int>
  /// The width of a decimal identity, 1...16; EM4100 readers that print ten digits print 4 bytes.
  package var decimalByteCount: Int
  /// Printable ASCII before the digits, e.g. `UID=`; at most 16 characters.
  package var prefix: [UInt8]
  /// Printable ASCII after the digits; at most 16 characters.
  package var suffix: [UInt8]

  package init(
    number: Number = .hexadecimal, digitCounts: ClosedRange<Int> = 4...32, decimalByteCount: Int = 4,
    prefix: [UInt8] = [], suffix: [UInt8] = []
  ) {
    self.number = number
    self.digitCounts = digitCounts.clamped(to: 1...39)
    self.decimalByteCount = min(max(decimalByteCount, 1), TagUID.largestByteCount)
    self.prefix = Array(prefix.prefix(16))
    self.suffix = Array(suffix.prefix(16))
  }
}

/// Decoder of readers that send a line of text per tag, such as USB readers that enumerate as a serial port.
///
/// There is no checksum: a line counts only if every character of it fits the pattern. Empty lines (the LF of a CR LF)
/// are nothing. A line longer than the pattern can be is dropped up to its end.
package struct LineDecoder: TagDecoder, Equatable {
  package let pattern: LinePattern

  private static let lineLimit = 96
  private var line: [UInt8] = []
  /// Bytes of the present line, of which only the first `lineLimit` are kept.
  private var lineByteCount = 0

  package init(pattern: LinePattern = LinePattern()) {
    self.pattern = pattern
    line.reserveCapacity(Self.lineLimit)
  }

  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    for byte in bytes {
      if byte == 0x0D || byte == 0x0A {
        if lineByteCount > 0 { finishLine(found: found) }
      } else {
        if line.count < Self.lineLimit { line.append(byte) }
        lineByteCount += 1
        if lineByteCount == 1024 {
          // A stream without line ends: report it in pieces rather than count for ever.
          found(.reject(FrameReject(.badLength, byteCount: lineByteCount)))
          clear(keepingOverlong: true)
        }
      }
    }
  }

  package mutating func endOfBurst(found: (DecoderEvent) -> Void) {
    if lineByteCount > 0 { found(.reject(FrameReject(.truncated, byteCount: lineByteCount))) }
    clear(keepingOverlong: false)
  }

  /// Set while the tail of an overlong line is still arriving: it must not pass for a line of its own.
  private var isOverlong = false

  private mutating func clear(keepingOverlong overlong: Bool) {
    line.removeAll(keepingCapacity: true)
    lineByteCount = 0
    isOverlong = overlong
  }

  private mutating func finishLine(found: (DecoderEvent) -> Void) {
    defer { clear(keepingOverlong: false) }
    guard !isOverlong, lineByteCount <= Self.lineLimit else {
      return found(.reject(FrameReject(.badLength, byteCount: lineByteCount)))
    }
    switch reading() {
    case .success(let reading): found(.reading(reading))
    case .failure(let problem): found(.reject(FrameReject(problem.reason, byteCount: lineByteCount)))
    }
  }

  private struct Problem: Error {
    var reason: FrameReject.Reason
  }

  private func reading() -> Result<TagReading, Problem> {
    let fixed = pattern.prefix.count + pattern.suffix.count
    guard line.count > fixed, line.starts(with: pattern.prefix),
      line.suffix(pattern.suffix.count).elementsEqual(pattern.suffix)
    else { return .failure(Problem(reason: .badContent)) }
    let digits = line.dropFirst(pattern.prefix.count).dropLast(pattern.suffix.count)
    let isDigit: (UInt8) -> Bool =
      switch pattern.number {
      case .hexadecimal: { Hexadecimal.value(of: $0) != nil }
      case .decimal: { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      }
    guard digits.allSatisfy(isDigit) else { return .failure(Problem(reason: .notADigit)) }
    guard pattern.digitCounts.contains(digits.count) else { return .failure(Problem(reason: .badLength)) }
    let bytes: [UInt8]? =
      switch pattern.number {
      case .hexadecimal: Hexadecimal.bytes(of: String(decoding: digits, as: UTF8.self))
      case .decimal: Self.bytes(ofDecimal: digits, byteCount: pattern.decimalByteCount)
      }
    guard let bytes, let uid = TagUID(bytes: bytes) else { return .failure(Problem(reason: .badLength)) }
    return .success(TagReading(uid: uid, technology: .text, isSuspect: uid.isBlank))
  }

  /// The decimal number as `byteCount` bytes, most significant first, or nil when it does not fit.
  private static func bytes(ofDecimal digits: ArraySlice<UInt8>, byteCount: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    for digit in digits {
      var carry = Int(digit - UInt8(ascii: "0"))
      for index in bytes.indices.reversed() {
        carry += Int(bytes[index]) * 10
        bytes[index] = UInt8(truncatingIfNeeded: carry)
        carry >>= 8
      }
      guard carry == 0 else { return nil }
    }
    return bytes
  }
}
