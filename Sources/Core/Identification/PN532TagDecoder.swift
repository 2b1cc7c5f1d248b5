/// Decoder of a recorded or live PN532 dialogue that reports the tags in it, and every other whole frame as such.
///
/// Where the recording holds the host's side too, the command tells how its answer is to be read.
package struct PN532TagDecoder: TagDecoder {
  private var frames = PN532FrameDecoder()
  private var modulation: PN532Modulation?

  package init() {}

  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    var modulation = modulation
    frames.decode(bytes) { Self.interpret($0, &modulation, found) }
    self.modulation = modulation
  }

  package mutating func endOfBurst(found: (DecoderEvent) -> Void) {
    var modulation = modulation
    frames.endOfBurst { Self.interpret($0, &modulation, found) }
    self.modulation = modulation
  }

  private static func interpret(
    _ event: PN532FrameDecoder.Event, _ modulation: inout PN532Modulation?, _ found: (DecoderEvent) -> Void
  ) {
    switch event {
    case .reject(let reject):
      found(.reject(reject))
    case .frame(.information(let information)):
      if information.count >= 4, information[0] == 0xD4, information[1] == PN532Target.commandCode {
        modulation = PN532Modulation(rawValue: information[3])
        found(.otherFrame)
      } else if information.count >= 2, information[0] == 0xD5, information[1] == PN532Target.responseCode {
        guard let readings = PN532Target.readings(inAnswer: information, to: modulation) else {
          return found(.reject(FrameReject(.badContent, byteCount: information.count)))
        }
        if readings.isEmpty { found(.otherFrame) }
        for reading in readings { found(.reading(reading)) }
      } else {
        found(.otherFrame)
      }
    case .frame:
      found(.otherFrame)
    }
  }
}
