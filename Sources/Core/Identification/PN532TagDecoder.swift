/// Decoder of a recorded or live PN532 dialogue that reports the tags in it, and every other whole frame as such.
///
/// Where the recording holds the host's side too, the command tells how its answer is to be read.
package struct PN532TagDecoder: TagDecoder {
  private var frames = PN532FrameDecoder()
  private var modulation: PN532Modulation?

  package init() {}

  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    var modulation = modulation
    frames.scan(bytes) { Self.interpret($0, &modulation, found) }
    self.modulation = modulation
  }

  package mutating func endOfBurst(found: (DecoderEvent) -> Void) {
    var modulation = modulation
    frames.endOfScan { Self.interpret($0, &modulation, found) }
    self.modulation = modulation
  }

  private static func interpret(
    _ finding: PN532FrameDecoder.Finding, _ modulation: inout PN532Modulation?, _ found: (DecoderEvent) -> Void
  ) {
    switch finding {
    case .reject(let reject):
      found(.reject(reject))
    case .information(let information):
      if information.count >= 4, information[0] == 0xD4, information[1] == PN532Target.commandCode {
        modulation = PN532Modulation(rawValue: information[3])
        found(.otherFrame)
      } else if information.count >= 2, information[0] == 0xD5, information[1] == PN532Target.responseCode {
        guard let answer = PN532Target.answer(information, to: modulation) else {
          return found(.reject(FrameReject(.badContent, byteCount: information.count)))
        }
        if answer.first == nil { found(.otherFrame) }
        if let reading = answer.first { found(.reading(reading)) }
        if let reading = answer.second { found(.reading(reading)) }
      } else {
        found(.otherFrame)
      }
    case .control:
      found(.otherFrame)
    }
  }
}
