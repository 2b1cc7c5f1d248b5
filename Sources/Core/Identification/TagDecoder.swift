/// A decoder of one reader's byte stream: feed it whatever arrived, in whatever pieces.
///
/// It holds at most one frame, never reads a clock and never blocks; the owner calls `endOfBurst` when the line has
/// been silent for longer than a frame may pause, so that half a frame is not completed by the next tag's bytes.
package protocol TagDecoder: Sendable {
  /// Decodes `bytes` and hands each finding, in order, to `found`.
  mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void)

  /// Drops a half-received frame and reports what was pending: the line fell silent or was closed.
  mutating func endOfBurst(found: (DecoderEvent) -> Void)
}

extension TagDecoder {
  /// Decodes an array and returns the findings; for tools and tests, the live path uses the closure.
  package mutating func decode(_ bytes: [UInt8]) -> [DecoderEvent] {
    var events: [DecoderEvent] = []
    bytes.withUnsafeBytes { buffer in
      decode(buffer) { events.append($0) }
    }
    return events
  }

  /// The findings of `endOfBurst(found:)` as an array.
  package mutating func endOfBurst() -> [DecoderEvent] {
    var events: [DecoderEvent] = []
    endOfBurst { events.append($0) }
    return events
  }
}

/// The decoder for `kind`; `pattern` matters to line readers only.
package func makeTagDecoder(for kind: ReaderKind, linePattern: LinePattern = LinePattern()) -> any TagDecoder {
  switch kind {
  case .rdm6300: EM4100Decoder(layout: .rdm6300)
  case .id12la: EM4100Decoder(layout: .id12la)
  case .pn532HSU: PN532TagDecoder()
  case .line: LineDecoder(pattern: linePattern)
  }
}
