import Identification
import Provenance

/// What was heard at one line speed with one protocol.
package struct ReaderProbeResult: Sendable, Equatable {
  package var kind: ReaderKind
  package var baud: Int
  /// Checksum-valid frames; for a PN532, answers of the chip.
  package var frames: Int
  /// Bytes that made no frame.
  package var rejectedBytes: Int

  package init(kind: ReaderKind, baud: Int, frames: Int, rejectedBytes: Int) {
    self.kind = kind
    self.baud = baud
    self.frames = frames
    self.rejectedBytes = rejectedBytes
  }
}

/// Finds out which reader is on a serial port and at which speed: a step of `doctor`.
///
/// A PN532 is asked; the others speak only when a tag comes, so somebody must hold one to the reader meanwhile.
package struct ReaderProbe {
  package let path: String
  /// How long to listen at each speed and protocol, 100...60_000.
  package let listenMilliseconds: Int

  package init(path: String, listenMilliseconds: Int = 3000) {
    self.path = path
    self.listenMilliseconds = min(max(listenMilliseconds, 100), 60_000)
  }

  /// The speeds that readers are sold with, most usual first.
  package static let bauds = [9600, 115_200, 19_200, 38_400, 57_600]

  /// Asks for a PN532 at its two usual speeds, then listens at each. Stops at the first speed at which frames come, and
  /// answers the protocol that made most of them; nil when nothing was understood at any.
  ///
  /// - Parameter progress: told of each attempt, for the person who holds the tag: whom it asks, or nil when it listens,
  ///   and the speed.
  package func run(
    progress: (ReaderKind?, Int) -> Void = { _, _ in }
  ) throws(SerialPortError) -> ReaderProbeResult? {
    for baud in [115_200, 9600] {
      progress(.pn532HSU, baud)
      if let result = try askPN532(baud) { return result }
    }
    var best: ReaderProbeResult?
    for baud in Self.bauds {
      progress(nil, baud)
      for result in try listen(baud) where result.frames > 0 {
        if best.map({ $0.frames < result.frames }) ?? true { best = result }
      }
      if let best { return best }
    }
    return nil
  }

  /// Whether a frame of `kind` comes at `baud` within the listening time, or a PN532 answers.
  package func hears(_ kind: ReaderKind, baud: Int) throws(SerialPortError) -> Bool {
    if kind == .pn532HSU { return try askPN532(baud) != nil }
    return try listen(baud).contains { $0.kind == kind && $0.frames > 0 }
  }

  private func askPN532(_ baud: Int) throws(SerialPortError) -> ReaderProbeResult? {
    var port = try SerialPort(path: path, baud: baud)
    var rules = PN532Rules()
    rules.firstAcknowledgeMilliseconds = min(listenMilliseconds, 1500)
    rules.resends = 0
    rules.recoveries = 0
    var dialogue = PN532Dialogue(rules: rules)
    var events = dialogue.begin(atNanoseconds: SystemClock.monotonicNanoseconds())
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 16)
    defer { buffer.deallocate() }
    let deadline = Deadline(milliseconds: listenMilliseconds)
    while deadline.remainingMilliseconds > 0 {
      for event in events {
        switch event {
        case .send(let bytes): try port.write(bytes, timeoutMilliseconds: 1000)
        case .found: return ReaderProbeResult(kind: .pn532HSU, baud: baud, frames: 1, rejectedBytes: 0)
        case .silent: return nil
        case .reading, .reject: break
        }
      }
      let outcome = try port.read(into: buffer, timeoutMilliseconds: min(50, Int(deadline.remainingMilliseconds)))
      let now = SystemClock.monotonicNanoseconds()
      events = dialogue.advance(toNanoseconds: now)
      if case .bytes(let count) = outcome {
        events += dialogue.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]), atNanoseconds: now)
      }
    }
    return nil
  }

  /// One read of the line serves every unprompted protocol.
  private func listen(_ baud: Int) throws(SerialPortError) -> [ReaderProbeResult] {
    var port = try SerialPort(path: path, baud: baud)
    let kinds: [ReaderKind] = [.rdm6300, .id12la, .line]
    var decoders = kinds.map { makeTagDecoder(for: $0) }
    var results = kinds.map { ReaderProbeResult(kind: $0, baud: baud, frames: 0, rejectedBytes: 0) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 16)
    defer { buffer.deallocate() }
    let deadline = Deadline(milliseconds: listenMilliseconds)
    while deadline.remainingMilliseconds > 0 {
      let outcome = try port.read(into: buffer, timeoutMilliseconds: Int(deadline.remainingMilliseconds))
      guard case .bytes(let count) = outcome else { continue }
      for index in kinds.indices {
        decoders[index].decode(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { event in
          switch event {
          case .reading: results[index].frames += 1
          case .reject(let reject): results[index].rejectedBytes += reject.byteCount
          case .otherFrame: break
          }
        }
      }
    }
    return results
  }
}
