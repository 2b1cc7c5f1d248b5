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
  private var buffer: [UInt8] = []
  private var head = 0
  private var noiseByteCount = 0

  package init() {
    buffer.reserveCapacity(Self.capacity)
  }

  package enum Event: Equatable {
    case frame(PN532Frame)
    case reject(FrameReject)
  }

  /// Decodes `bytes` and hands each finding, in order, to `found`.
  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (Event) -> Void) {
    var rest = bytes[...]
    while !rest.isEmpty {
      compact()
      let portion = rest.prefix(Self.capacity - buffer.count)
      buffer.append(contentsOf: portion)
      rest = rest.dropFirst(portion.count)
      parse(found: found)
    }
  }

  /// The line fell silent: a frame still incomplete is broken, and a whole one inside it is looked for.
  package mutating func endOfBurst(found: (Event) -> Void) {
    while pendingByteCount > 0 {
      let pending = pendingByteCount
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

  private var pendingByteCount: Int { buffer.count - head }

  private mutating func compact() {
    guard head > 0 else { return }
    buffer.removeSubrange(..<head)
    head = 0
  }

  private enum Step {
    case needMore
    case frame(PN532Frame, byteCount: Int)
    case reject(FrameReject)
  }

  private mutating func parse(found: (Event) -> Void) {
    while true {
      skipToStartCode(found: found)
      switch step() {
      case .needMore:
        return
      case .frame(let frame, let byteCount):
        flushNoise(found: found)
        head += byteCount
        found(.frame(frame))
      case .reject(let reject):
        flushNoise(found: found)
        found(.reject(reject))
        head += 2
      }
    }
  }

  /// Moves `head` to the next `00 FF`, or to a last `00` that may begin one. Zeros are preamble, postamble or part of a
  /// wake-up and count as nothing.
  private mutating func skipToStartCode(found: (Event) -> Void) {
    while head < buffer.count {
      if buffer[head] == 0x00 {
        guard head + 1 < buffer.count, buffer[head + 1] != 0xFF else { return }
      } else {
        noiseByteCount += 1
        if noiseByteCount == 1024 { flushNoise(found: found) }
      }
      head += 1
    }
  }

  private mutating func flushNoise(found: (Event) -> Void) {
    guard noiseByteCount > 0 else { return }
    found(.reject(FrameReject(.noise, byteCount: noiseByteCount)))
    noiseByteCount = 0
  }

  /// Looks at the frame whose start code is at `head`.
  private func step() -> Step {
    let available = pendingByteCount
    guard available >= 4 else { return .needMore }
    let length = buffer[head + 2]
    let check = buffer[head + 3]
    switch (length, check) {
    case (0x00, 0xFF): return .frame(.acknowledge, byteCount: 4)
    case (0xFF, 0x00): return .frame(.negativeAcknowledge, byteCount: 4)
    case (0xFF, 0xFF): return extendedStep(available)
    default:
      guard length &+ check == 0 else { return .reject(FrameReject(.badLengthChecksum, byteCount: 4)) }
      return informationStep(headerByteCount: 4, informationByteCount: Int(length), available)
    }
  }

  private func extendedStep(_ available: Int) -> Step {
    guard available >= 7 else { return .needMore }
    let (high, low) = (buffer[head + 4], buffer[head + 5])
    guard high &+ low &+ buffer[head + 6] == 0 else {
      return .reject(FrameReject(.badLengthChecksum, byteCount: 7))
    }
    return informationStep(headerByteCount: 7, informationByteCount: Int(high) << 8 | Int(low), available)
  }

  private func informationStep(headerByteCount: Int, informationByteCount: Int, _ available: Int) -> Step {
    guard (1...Self.largestInformationByteCount).contains(informationByteCount) else {
      return .reject(FrameReject(.badLength, byteCount: headerByteCount))
    }
    let total = headerByteCount + informationByteCount + 1
    guard available >= total else { return .needMore }
    let start = head + headerByteCount
    let information = buffer[start..<start + informationByteCount]
    let sum = information.reduce(buffer[start + informationByteCount]) { $0 &+ $1 }
    guard sum == 0 else { return .reject(FrameReject(.badChecksum, byteCount: total)) }
    if information.elementsEqual([0x7F]) { return .frame(.syntaxError, byteCount: total) }
    return .frame(.information(Array(information)), byteCount: total)
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
