/// One frame of the PN532's serial protocol (user manual UM0701-02, section 6.2.1).
package enum PN532Frame: Equatable {
  /// The PN532 took the command and will answer.
  case acknowledge
  /// The receiver asks for the last frame again.
  case negativeAcknowledge
  /// The PN532 found the command's syntax wrong.
  case syntaxError
  /// TFI and packet data, 1...265 bytes: `D4 code ...` from the host, `D5 code+1 ...` from the chip.
  case information([UInt8])
}

/// Decoder of PN532 frames, normal and extended, out of a byte stream.
///
///     normal     00  00 FF  LEN LCS        TFI PD0 ... PDn  DCS  00     LEN + LCS = 0 (mod 256)
///     extended   00  00 FF  FF FF  LENM LENL LCS  TFI ...   DCS  00     LENM + LENL + LCS = 0
///     ACK        00  00 FF  00 FF  00
///     NACK       00  00 FF  FF 00  00
///     error      00  00 FF  01 FF  7F 81  00
///
/// The sum of TFI, data and DCS is 0 (mod 256). Preamble and postamble may be missing. A frame that fails is given up
/// from its start code only: a whole frame behind the stump of a broken one is still found. The buffer never grows
/// beyond `capacity`.
package struct PN532FrameDecoder: Sendable {
  /// TFI and 264 bytes of data, the most the PN532 sends or takes (UM0701-02 section 6.2.1.2).
  package static let largestInformationByteCount = 265

  private static let capacity = 1024
  private static let noiseReportByteCount = 1024
  /// Always `capacity` bytes; those that wait are `head..<tail`.
  private var buffer = [UInt8](repeating: 0, count: capacity)
  private var head = 0
  private var tail = 0
  private var noiseByteCount = 0

  package init() {}

  package enum Event: Equatable {
    case frame(PN532Frame)
    case reject(FrameReject)
  }

  /// Decodes `bytes` and hands each finding, in order, to `found`.
  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (Event) -> Void) {
    scan(bytes) { found(Event($0)) }
  }

  /// The line fell silent: a frame still incomplete is broken, and a whole one inside it is looked for.
  package mutating func endOfBurst(found: (Event) -> Void) {
    endOfScan { found(Event($0)) }
  }

  /// What was found, without a copy of it.
  enum Finding {
    /// A frame without information.
    case control(PN532Frame)
    /// TFI and packet data; valid during the call only.
    case information(UnsafeBufferPointer<UInt8>)
    case reject(FrameReject)
  }

  /// Like `decode`, and allocates nothing.
  mutating func scan(_ bytes: UnsafeRawBufferPointer, found: (Finding) -> Void) {
    var rest = bytes
    while !rest.isEmpty {
      compact()
      let portion = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.capacity - tail))
      buffer.withUnsafeMutableBytes { waiting in
        UnsafeMutableRawBufferPointer(rebasing: waiting[tail...]).copyMemory(from: portion)
      }
      tail += portion.count
      rest = UnsafeRawBufferPointer(rebasing: rest[portion.count...])
      parse(found: found)
    }
  }

  mutating func endOfScan(found: (Finding) -> Void) {
    while tail > head {
      let pending = tail - head
      if pending > 1 {
        flushNoise(found: found)
        found(.reject(FrameReject(.truncated, byteCount: pending)))
      }
      head += min(2, pending)
      parse(found: found)
    }
    flushNoise(found: found)
    compact()
  }

  private mutating func compact() {
    guard head > 0 else { return }
    let waiting = head..<tail
    buffer.withUnsafeMutableBytes { bytes in
      // The two ranges may overlap, which copyMemory allows.
      bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[waiting]))
    }
    tail -= head
    head = 0
  }

  private enum Step {
    case needMore
    case control(PN532Frame, byteCount: Int)
    /// `range` within the waiting bytes.
    case information(range: Range<Int>, byteCount: Int)
    case reject(FrameReject)
  }

  private mutating func parse(found: (Finding) -> Void) {
    var head = head
    var noise = noiseByteCount
    buffer.withUnsafeBufferPointer { all in
      let bytes = UnsafeBufferPointer(rebasing: all[..<tail])
      while true {
        // To the next `00 FF`, or to a last `00` that may begin one. Zeros are preamble, postamble or part of a wake-up
        // and count as nothing.
        while head < bytes.count {
          if bytes[head] == 0x00 {
            guard head + 1 < bytes.count, bytes[head + 1] != 0xFF else { break }
          } else {
            noise += 1
            if noise == Self.noiseReportByteCount { Self.flush(&noise, found) }
          }
          head += 1
        }
        switch Self.step(UnsafeBufferPointer(rebasing: bytes[head...])) {
        case .needMore:
          return
        case .control(let frame, let byteCount):
          Self.flush(&noise, found)
          head += byteCount
          found(.control(frame))
        case .information(let range, let byteCount):
          Self.flush(&noise, found)
          let information = UnsafeBufferPointer(rebasing: bytes[(head + range.lowerBound)..<(head + range.upperBound)])
          head += byteCount
          found(.information(information))
        case .reject(let reject):
          Self.flush(&noise, found)
          found(.reject(reject))
          head += 2
        }
      }
    }
    self.head = head
    noiseByteCount = noise
  }

  private mutating func flushNoise(found: (Finding) -> Void) {
    Self.flush(&noiseByteCount, found)
  }

  private static func flush(_ noise: inout Int, _ found: (Finding) -> Void) {
    guard noise > 0 else { return }
    found(.reject(FrameReject(.noise, byteCount: noise)))
    noise = 0
  }

  /// Looks at the frame whose start code begins `bytes`.
  private static func step(_ bytes: UnsafeBufferPointer<UInt8>) -> Step {
    guard bytes.count >= 4 else { return .needMore }
    let length = bytes[2]
    let check = bytes[3]
    switch (length, check) {
    case (0x00, 0xFF): return .control(.acknowledge, byteCount: 4)
    case (0xFF, 0x00): return .control(.negativeAcknowledge, byteCount: 4)
    case (0xFF, 0xFF): return extendedStep(bytes)
    default:
      guard length &+ check == 0 else { return .reject(FrameReject(.badLengthChecksum, byteCount: 4)) }
      return informationStep(headerByteCount: 4, informationByteCount: Int(length), bytes)
    }
  }

  private static func extendedStep(_ bytes: UnsafeBufferPointer<UInt8>) -> Step {
    guard bytes.count >= 7 else { return .needMore }
    let (high, low) = (bytes[4], bytes[5])
    guard high &+ low &+ bytes[6] == 0 else { return .reject(FrameReject(.badLengthChecksum, byteCount: 7)) }
    return informationStep(headerByteCount: 7, informationByteCount: Int(high) << 8 | Int(low), bytes)
  }

  private static func informationStep(
    headerByteCount: Int, informationByteCount: Int, _ bytes: UnsafeBufferPointer<UInt8>
  ) -> Step {
    guard (1...largestInformationByteCount).contains(informationByteCount) else {
      return .reject(FrameReject(.badLength, byteCount: headerByteCount))
    }
    let total = headerByteCount + informationByteCount + 1
    guard bytes.count >= total else { return .needMore }
    var sum: UInt8 = 0
    for index in headerByteCount..<total { sum &+= bytes[index] }
    guard sum == 0 else { return .reject(FrameReject(.badChecksum, byteCount: total)) }
    if informationByteCount == 1, bytes[headerByteCount] == 0x7F { return .control(.syntaxError, byteCount: total) }
    return .information(range: headerByteCount..<total - 1, byteCount: total)
  }
}

extension PN532FrameDecoder.Event {
  fileprivate init(_ finding: PN532FrameDecoder.Finding) {
    switch finding {
    case .control(let frame): self = .frame(frame)
    case .information(let bytes): self = .frame(.information(Array(bytes)))
    case .reject(let reject): self = .reject(reject)
    }
  }
}

extension PN532Frame {
  /// The frame's bytes as they go on the wire, preamble and postamble included. `.information` must hold 1...265
  /// bytes; more than 255 make an extended frame.
  package var wireBytes: [UInt8] {
    switch self {
    case .acknowledge: [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00]
    case .negativeAcknowledge: [0x00, 0x00, 0xFF, 0xFF, 0x00, 0x00]
    case .syntaxError: [0x00, 0x00, 0xFF, 0x01, 0xFF, 0x7F, 0x81, 0x00]
    case .information(let bytes): Self.header(bytes.count) + bytes + [0 &- bytes.reduce(0) { $0 &+ $1 }, 0x00]
    }
  }

  private static func header(_ byteCount: Int) -> [UInt8] {
    let low = UInt8(truncatingIfNeeded: byteCount)
    guard byteCount > 255 else { return [0x00, 0x00, 0xFF, low, 0 &- low] }
    let high = UInt8(truncatingIfNeeded: byteCount >> 8)
    return [0x00, 0x00, 0xFF, 0xFF, 0xFF, high, low, 0 &- high &- low]
  }
}
