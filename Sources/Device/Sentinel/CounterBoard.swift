import Forwarding
import LinuxIO
import Remote
import Screening
import Sentinel
import Synchronization
import Trust

/// Where the device's parts count what happens to them, for the sentinel: a counter each, without a lock and without
/// memory of its own. Any thread may count; one thread takes the step.
package final class CounterBoard: Sendable {
  private static let nothing = Int.min

  private let counts = InlineArray<16, Atomic<Int>> { _ in Atomic(0) }
  private let latencyMilliseconds = Atomic<Int>(0)
  private let latencies = Atomic<Int>(0)
  private let noise = Atomic<Int>(Int.max)
  private let ambient = Atomic<Int>(CounterBoard.nothing)
  /// Receipts that the device waits for, 0...`maximumAwaitedReceipts`.
  private let awaitedReceipts = Atomic<Int>(0)
  /// So many receipts more than are waited for stay uncounted: not two seconds of a flood.
  private static let maximumAwaitedReceipts = 256

  package init() {}

  package func count(_ channel: CounterChannel, _ amount: Int = 1) {
    // It cannot overflow within a step: a byte a nanosecond for ten seconds is 2^34.
    counts[channel.rawValue].wrappingAdd(amount, ordering: .relaxed)
  }

  /// A message was settled by the broker after so long.
  package func published(afterMilliseconds milliseconds: Int) {
    latencyMilliseconds.wrappingAdd(min(max(milliseconds, 0), Int(CounterStep.maximum)), ordering: .relaxed)
    latencies.wrappingAdd(1, ordering: .relaxed)
  }

  /// Messages that are receipted went to the broker.
  func awaitReceipts(_ count: Int) {
    change(awaitedReceipts) { min($0 + max(count, 0), Self.maximumAwaitedReceipts) }
  }

  /// - Returns: true when the device waited for a receipt; it now waits for one less.
  func takeAwaitedReceipt() -> Bool { change(awaitedReceipts) { max($0 - 1, 0) } > 0 }

  /// - Returns: the value before.
  @discardableResult
  private func change(_ value: borrowing Atomic<Int>, _ next: (Int) -> Int) -> Int {
    var now = value.load(ordering: .relaxed)
    while true {
      let (exchanged, original) = value.compareExchange(expected: now, desired: next(now), ordering: .relaxed)
      if exchanged { return original }
      now = original
    }
  }

  /// The camera delivered a sub-page.
  package func measured(movementCelsius: Double, ambientCelsius: Double) {
    guard movementCelsius.isFinite, ambientCelsius.isFinite else { return }
    noise.min(Int(min(max(movementCelsius * 100, 0), 1e6).rounded()), ordering: .relaxed)
    ambient.store(Int(min(max(ambientCelsius * 100, 0), 1e6).rounded()), ordering: .relaxed)
  }

  /// Takes what was counted since the step before, and begins the next.
  func take(into step: inout CounterStep) {
    for channel in Self.counted { step[channel] = counts[channel.rawValue].exchange(0, ordering: .relaxed) }
    let published = latencies.exchange(0, ordering: .relaxed)
    let milliseconds = latencyMilliseconds.exchange(0, ordering: .relaxed)
    step[.publishLatency] = published > 0 ? milliseconds / published : nil
    let least = noise.exchange(Int.max, ordering: .relaxed)
    step[.noise] = least == Int.max ? nil : least
    let last = ambient.exchange(Self.nothing, ordering: .relaxed)
    step[.ambient] = last == Self.nothing ? nil : last
  }

  private static let counted: [CounterChannel] = [
    .connections, .refused, .bytesIn, .reconnects, .commandsReceived, .commandsMalformed, .commandsBadlySigned,
    .commandsReplayed, .loginsFailed, .busErrors,
  ]
}

// What the parts know, as channels.
extension CounterBoard {
  func connected(_ arrival: ControlListener.Arrival) {
    count(.connections)
    switch arrival {
    case .taken: break
    case .refused: count(.refused)
    case .unauthorised:
      count(.refused)
      count(.loginsFailed)
    }
  }

  /// A message came down. It is a command until it shows to be a believed receipt. Its bytes count unless the device waits
  /// for it: what a clinic's day or a new model brings would look like a flood.
  ///
  /// - Parameter isAwaited: it is a part of a model that was asked for; of receipts the board knows itself.
  func arrived(
    _ message: IncomingMessage, _ meaning: DownlinkReader.Meaning, _ refusal: DownlinkReader.Refusal?,
    isAwaited: Bool = false
  ) {
    let isReceipt = if case .receipt = meaning { true } else { false }
    if !isAwaited, !(isReceipt && takeAwaitedReceipt()) {
      count(.bytesIn, message.topic.utf8.count + message.payload.count)
    }
    if isReceipt { return }
    count(.commandsReceived)
    guard case .refused = meaning else { return }
    switch refusal {
    case .retained: count(.commandsReplayed)
    case .malformed: count(.commandsMalformed)
    case .untrusted: count(.commandsBadlySigned)
    case .unusedTopic, nil: break
    }
  }

  func refused(_ refusal: StatementRefusal) {
    switch refusal {
    case .retained: count(.commandsReplayed)
    case .untrusted(.malformed), .malformed: count(.commandsMalformed)
    case .untrusted, .misdirected: count(.commandsBadlySigned)
    }
  }

  /// Nobody reads on for a while after many wrong signatures in a row: what comes meanwhile goes on counting as one. Without
  /// keys nothing is ever read, and nothing is wrong.
  func ignored(_ keys: SiteKeys) {
    if case .keys = keys { count(.commandsBadlySigned) }
  }

  /// A command whose signature is right. One that is known already, is over, or is meant for another start, was kept by
  /// somebody and sent again.
  func judged(_ command: Command, _ decision: CommandDesk.Decision, isKnown: Bool) {
    if isKnown { return count(.commandsReplayed) }
    guard case .answer(let reply) = decision, reply.state == .refused else { return }
    if case .failure = command.action { count(.commandsMalformed) } else { count(.commandsReplayed) }
  }

  func refused(_ refusal: SessionRefusal) {
    switch refusal {
    case .unknownTag, .unreadableTag, .sessionOfAnotherPatient: count(.loginsFailed)
    // Nobody tried to be somebody.
    case .ambiguousTags, .noConsent, .sessionUnderWay, .maintenance, .cameraLost, .storageFull: break
    }
  }
}
