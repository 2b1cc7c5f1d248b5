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
  package var digitsMinimum: Int
  package var digitsMaximum: Int
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
    digitsMinimum = digitCounts.clamped(to: 1...39).lowerBound
    digitsMaximum = digitCounts.clamped(to: 1...39).upperBound
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
  private static let reportByteCount = 1024
  private var line: [UInt8] = []
  /// Bytes of the present line, of which only the first `lineLimit` are kept.
  private var lineByteCount = 0

  package init(pattern: LinePattern = LinePattern()) {
    self.pattern = pattern
    line.reserveCapacity(Self.lineLimit)
  }

  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    var start = 0
    for index in bytes.indices where bytes[index] == 0x0D || bytes[index] == 0x0A {
      let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<index])
      if lineByteCount == 0, !isOverlong, piece.count <= Self.lineLimit {
        // The whole line lies here: it need not be copied.
        if !piece.isEmpty { interpret(piece, found: found) }
      } else {
        take(piece, found: found)
        if lineByteCount > 0 { finishLine(found: found) }
        isOverlong = false
      }
      start = index + 1
    }
    take(UnsafeRawBufferPointer(rebasing: bytes[start...]), found: found)
  }

  /// Takes a piece of the present line.
  private mutating func take(_ piece: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    var piece = piece
    while lineByteCount + piece.count >= Self.reportByteCount {
      // A stream without line ends: report it in pieces rather than count for ever.
      found(.reject(FrameReject(.badLength, byteCount: Self.reportByteCount)))
      piece = UnsafeRawBufferPointer(rebasing: piece[(Self.reportByteCount - lineByteCount)...])
      clear(keepingOverlong: true)
    }
    if line.count < Self.lineLimit {
      line.append(contentsOf: UnsafeRawBufferPointer(rebasing: piece.prefix(Self.lineLimit - line.count)))
    }
    lineByteCount += piece.count
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
    line.withUnsafeBytes { interpret($0, found: found) }
  }

  /// Tells what a whole line says.
  private func interpret(_ line: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    var uid: TagUID?
    let reason = pattern.read(line, into: &uid)
    if let uid { found(.reading(TagReading(uid: uid, technology: .text, isSuspect: uid.isBlank))) }
    if let reason { found(.reject(FrameReject(reason, byteCount: line.count))) }
  }
}

extension LinePattern {
  /// Reads the identity that `line` writes; says why it is none. Allocates nothing.
  fileprivate func read(_ line: UnsafeRawBufferPointer, into uid: inout TagUID?) -> FrameReject.Reason? {
    guard line.count > prefix.count + suffix.count else { return .badContent }
    for index in prefix.indices where line[index] != prefix[index] { return .badContent }
    let end = line.count - suffix.count
    for index in suffix.indices where line[end + index] != suffix[index] { return .badContent }
    let digits = UnsafeRawBufferPointer(rebasing: line[prefix.count..<end])
    for digit in digits {
      let isDigit =
        switch number {
        case .hexadecimal: Hexadecimal.value(of: digit) != nil
        case .decimal: (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit)
        }
      guard isDigit else { return .notADigit }
    }
    guard digits.count >= digitsMinimum, digits.count <= digitsMaximum else { return .badLength }
    switch number {
    case .hexadecimal:
      guard digits.count.isMultiple(of: 2), digits.count <= 2 * TagUID.largestByteCount else { return .badLength }
      var bits: UInt128 = 0
      for digit in digits { bits = bits << 4 | UInt128(Hexadecimal.value(of: digit) ?? 0) }
      uid = TagUID(bits: bits, byteCount: digits.count / 2)
    case .decimal:
      var bits: UInt128 = 0
      for digit in digits {
        let (tens, isTooLarge) = bits.multipliedReportingOverflow(by: 10)
        let (sum, carries) = tens.addingReportingOverflow(UInt128(digit - UInt8(ascii: "0")))
        guard !isTooLarge, !carries else { return .badLength }
        bits = sum
      }
      guard decimalByteCount == TagUID.largestByteCount || bits >> UInt128(8 * decimalByteCount) == 0 else {
        return .badLength
      }
      uid = TagUID(bits: bits, byteCount: decimalByteCount)
    }
    return nil
  }
}
