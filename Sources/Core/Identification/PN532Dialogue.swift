/// How the dialogue with a PN532 is held.
package struct PN532Rules: Sendable, Equatable {
  /// What is looked for in each round, in this order; at least one.
  package var modulations: [PN532Modulation] = [.iso14443A]
  /// The manual asks for a resend after 15 ms; serial adapters need more (UM0701-02, 6.2.1.3).
  package var acknowledgeMilliseconds = 100
  /// The first answer over a USB adapter takes this long.
  package var firstAcknowledgeMilliseconds = 1500
  /// InListPassiveTarget ends by itself after `activationRetries`; beyond this the chip hangs.
  package var answerMilliseconds = 1000
  /// Pause between two looks, so that a held tag is read some ten times a second.
  package var pollMilliseconds = 60
  /// How often a command is sent again without an acknowledgement, or an answer asked for again with NACK.
  package var resends = 2
  /// How often the chip is woken again before it counts as silent.
  package var recoveries = 3
  /// MxRtyPassiveActivation: tries to activate a target in one look. 0xFF would wait for ever.
  package var activationRetries: UInt8 = 2

  package init() {}
}

/// The dialogue with a PN532 on its high-speed UART as a value: bytes and times in, bytes and readings out.
///
///     wake + SAMConfiguration --> GetFirmwareVersion --> RFConfiguration --> InListPassiveTarget --> pause --+
///        ^                                                                       ^                           |
///        +-- recovery: abort (ACK), wake --- no ACK, no answer, syntax error ----+---------------------------+
///
/// Every command waits for its ACK, then for its answer, each with a deadline; ACK and answer may come in one read.
package struct PN532Dialogue: Sendable {
  package enum Event: Sendable, Equatable {
    /// Write these bytes to the line.
    case send([UInt8])
    /// A PN532 answered: the IC, version, revision and support bytes of GetFirmwareVersion.
    case found(ic: UInt8, version: UInt8, revision: UInt8, support: UInt8)
    case reading(TagReading)
    case reject(FrameReject)
    /// No PN532 answers, although it was woken again and again. The dialogue is over.
    case silent
  }

  private enum Command: Equatable {
    case samConfiguration
    case firmwareVersion
    case radioConfiguration
    case listTarget(Int)
  }

  private enum State: Equatable {
    case off
    case awaitingAcknowledge(Command, sendCount: Int, until: UInt64)
    case awaitingAnswer(Command, nackCount: Int, until: UInt64)
    case pausing(next: Int, until: UInt64)
  }

  package let rules: PN532Rules
  private var state = State.off
  private var frames = PN532FrameDecoder()
  private var hasAnswered = false
  private var recoveryCount = 0

  package init(rules: PN532Rules = PN532Rules()) {
    self.rules = rules
  }

  /// 55 55 and zeros: the HSU wakes the chip on any rising edges and needs the time of these bytes to be ready
  /// (UM0701-02, 7.2.11; the length that libnfc uses).
  static let wakeUp: [UInt8] = [0x55, 0x55] + [UInt8](repeating: 0, count: 14)

  /// Wakes the chip and begins.
  package mutating func begin(atNanoseconds now: UInt64) -> [Event] {
    frames = PN532FrameDecoder()
    hasAnswered = false
    recoveryCount = 0
    return wake(now)
  }

  /// When `advance` has something to do; nil when the dialogue is over or has not begun.
  package var nextDeadlineNanoseconds: UInt64? {
    switch state {
    case .off: nil
    case .awaitingAcknowledge(_, _, let until), .awaitingAnswer(_, _, let until), .pausing(_, let until): until
    }
  }

  /// Takes bytes from the line.
  package mutating func receive(_ bytes: UnsafeRawBufferPointer, atNanoseconds now: UInt64) -> [Event] {
    var found: [PN532FrameDecoder.Event] = []
    frames.decode(bytes) { found.append($0) }
    return found.flatMap { take($0, now) }
  }

  /// Lets time pass: resends, asks again, wakes the chip again, or begins the next look.
  package mutating func advance(toNanoseconds now: UInt64) -> [Event] {
    guard let deadline = nextDeadlineNanoseconds, deadline <= now else { return [] }
    var found: [PN532FrameDecoder.Event] = []
    frames.endOfBurst { found.append($0) }
    var events = found.compactMap { event -> Event? in
      if case .reject(let reject) = event { .reject(reject) } else { nil }
    }
    switch state {
    case .off:
      break
    case .awaitingAcknowledge(let command, let sendCount, _):
      if sendCount <= rules.resends {
        events += send(command, sendCount: sendCount + 1, now)
      } else {
        events += recover(now)
      }
    case .awaitingAnswer:
      events += recover(now)
    case .pausing(let next, _):
      events += send(.listTarget(next), now)
    }
    return events
  }

  private mutating func take(_ event: PN532FrameDecoder.Event, _ now: UInt64) -> [Event] {
    switch event {
    case .reject(let reject):
      return [.reject(reject)] + askAgain(reject, now)
    case .frame(.acknowledge):
      guard case .awaitingAcknowledge(let command, _, _) = state else { return [] }
      state = .awaitingAnswer(command, nackCount: 0, until: later(now, rules.answerMilliseconds))
      return []
    case .frame(.negativeAcknowledge):
      guard case .awaitingAcknowledge(let command, let sendCount, _) = state, sendCount <= rules.resends else {
        return []
      }
      return send(command, sendCount: sendCount + 1, now)
    case .frame(.syntaxError):
      return state == .off ? [] : recover(now)
    case .frame(.information(let information)):
      return answered(information, now)
    }
  }

  /// A damaged answer: NACK asks the chip for it once more.
  private mutating func askAgain(_ reject: FrameReject, _ now: UInt64) -> [Event] {
    guard case .awaitingAnswer(let command, let nackCount, _) = state, nackCount < rules.resends,
      reject.reason == .badChecksum || reject.reason == .badLengthChecksum
    else { return [] }
    state = .awaitingAnswer(command, nackCount: nackCount + 1, until: later(now, rules.answerMilliseconds))
    return [.send(PN532Frame.negativeAcknowledge.wireBytes)]
  }

  private mutating func answered(_ information: [UInt8], _ now: UInt64) -> [Event] {
    // An answer that nobody waits for is a late one to a command that was given up: it must not become a reading.
    guard case .awaitingAnswer(let command, _, _) = state, information.count >= 2, information[0] == 0xD5,
      information[1] == code(command) + 1
    else { return [.reject(FrameReject(.badContent, byteCount: information.count))] }
    switch command {
    case .samConfiguration:
      return send(.firmwareVersion, now)
    case .firmwareVersion:
      guard information.count == 6 else {
        return [.reject(FrameReject(.badContent, byteCount: information.count))] + recover(now)
      }
      let found = Event.found(
        ic: information[2], version: information[3], revision: information[4], support: information[5])
      let isFirst = !hasAnswered
      hasAnswered = true
      return (isFirst ? [found] : []) + send(.radioConfiguration, now)
    case .radioConfiguration:
      return send(.listTarget(0), now)
    case .listTarget(let index):
      recoveryCount = 0
      let next = (index + 1) % max(rules.modulations.count, 1)
      // A round without pause between its modulations; the pause is between rounds.
      state = .pausing(next: next, until: next == 0 ? later(now, rules.pollMilliseconds) : now)
      guard let readings = PN532Target.readings(inAnswer: information, to: modulation(index)) else {
        return [.reject(FrameReject(.badContent, byteCount: information.count))]
      }
      return readings.map { .reading($0) }
    }
  }

  private mutating func recover(_ now: UInt64) -> [Event] {
    recoveryCount += 1
    guard recoveryCount <= rules.recoveries else {
      state = .off
      return [.silent]
    }
    return wake(now)
  }

  /// An ACK from the host aborts whatever the chip is doing (UM0701-02, 6.2.1.4); then it is woken.
  private mutating func wake(_ now: UInt64) -> [Event] {
    frames = PN532FrameDecoder()
    return [.send(PN532Frame.acknowledge.wireBytes), .send(Self.wakeUp)] + send(.samConfiguration, now)
  }

  private mutating func send(_ command: Command, sendCount: Int = 1, _ now: UInt64) -> [Event] {
    let wait = hasAnswered ? rules.acknowledgeMilliseconds : rules.firstAcknowledgeMilliseconds
    state = .awaitingAcknowledge(command, sendCount: sendCount, until: later(now, wait))
    return [.send(PN532Frame.information(bytes(command)).wireBytes)]
  }

  private func code(_ command: Command) -> UInt8 { bytes(command)[1] }

  private func bytes(_ command: Command) -> [UInt8] {
    switch command {
    case .samConfiguration: [0xD4, 0x14, 0x01]  // normal mode: no secure access module
    case .firmwareVersion: [0xD4, 0x02]
    // Item 5, retries: MxRtyATR, MxRtyPSL, MxRtyPassiveActivation (UM0701-02, 7.3.1).
    case .radioConfiguration: [0xD4, 0x32, 0x05, 0xFF, 0x01, rules.activationRetries]
    case .listTarget(let index): [0xD4, PN532Target.commandCode] + listParameters(modulation(index))
    }
  }

  /// MaxTg, BrTy, InitiatorData. Two targets where the chip can, so that a second tag is seen and not hidden.
  private func listParameters(_ modulation: PN532Modulation) -> [UInt8] {
    switch modulation {
    case .iso14443A: [2, modulation.rawValue]
    case .feliCa212, .feliCa424: [2, modulation.rawValue, 0x00, 0xFF, 0xFF, 0x00, 0x00]
    case .iso14443B: [1, modulation.rawValue, 0x00]
    case .jewel: [1, modulation.rawValue]
    }
  }

  private func modulation(_ index: Int) -> PN532Modulation {
    rules.modulations.indices.contains(index) ? rules.modulations[index] : .iso14443A
  }

  private func later(_ now: UInt64, _ milliseconds: Int) -> UInt64 {
    now + UInt64(max(milliseconds, 0)) * 1_000_000
  }
}
