/// What becomes of messages that the broker acknowledged and gave to nobody: MQTT 5's reason 0x10, "no matching
/// subscribers" (section 3.4.2.1).
///
/// A device may reach a broker before its receiver does. What it sends then is gone: records and images would wait for
/// the timeout of their receipts, and everything else would be taken for delivered. So the message waits on, one message
/// of its kind asks again after 1, 2, 4 ... 256 s, and the first answer that somebody has it opens the kind. Kinds are what
/// others subscribe to: whoever waits for replies need not listen to events, which share their class.
///
/// The code alone is no proof: rules and plug-ins of some brokers take messages without a subscription, and nobody need
/// subscribe to alerts. So after ten such answers in a row, which take 511 s and are fewer seconds than a receipt's usual
/// timeout, or after a receipt, it counts as any other acknowledgement until somebody subscribes.
struct UnheardWatch: Sendable {
  static let reason: UInt8 = 0x10
  private static let mostAnswers = 10

  private var answers = 0
  /// Nothing of this kind is sent before.
  var heldUntilNanoseconds: UInt64?

  /// Whether one message at a time asks.
  var isAsking: Bool { answers > 0 && answers < Self.mostAnswers }

  /// Nobody has it. Returns the milliseconds after which to ask again; nil when the code counts as an acknowledgement.
  mutating func unheard() -> Int? {
    answers = min(answers + 1, Self.mostAnswers)
    return pauseMilliseconds
  }

  /// The same of another message of the window that is asking already.
  var pauseMilliseconds: Int? { isAsking ? 1000 << (answers - 1) : nil }

  /// A receiver has what was said to be nobody's.
  mutating func distrust() {
    guard answers > 0 else { return }
    answers = Self.mostAnswers
    heldUntilNanoseconds = nil
  }
}

extension OutboxItem {
  /// The topic below `.../up/` that others subscribe to: `capture`, `image`, `reply`.
  var kind: Substring { topicSuffix.prefix { $0 != "/" } }
}

extension DeliveryMachine {
  /// After an acknowledgement: whether the message waits on because nobody has it.
  mutating func waitsUnheard(
    _ item: OutboxItem, reason: UInt8, now: UInt64, _ actions: inout [DeliveryAction]
  ) -> Bool {
    let index = item.deliveryClass.rawValue
    guard reason == UnheardWatch.reason else {
      if !lanes[index].unheard.isEmpty { lanes[index].unheard[item.kind] = nil }
      return false
    }
    // Where the broker's word is enough, this is its word. Of health only the newest is worth sending, and it comes soon.
    // A receipt that was quicker says that somebody has it.
    guard configuration.confirm == .receipt, item.deliveryClass != .health, early[item.id] == nil else { return false }
    // The rest of the window has the same answer for the same reason, and counts once.
    var watch = lanes[index].unheard[item.kind] ?? UnheardWatch()
    let isFirst = watch.heldUntilNanoseconds == nil || !watch.isAsking
    let pause = isFirst ? watch.unheard() : watch.pauseMilliseconds
    watch.heldUntilNanoseconds = pause.map { now + UInt64($0) * 1_000_000 }
    lanes[index].unheard[item.kind] = watch
    guard let pause else { return false }
    note(now: now) { $0.unheard.append(item.id) }
    putBack(item, attempts: item.attempts)
    if !saidUnheard {
      saidUnheard = true
      actions.append(.report(.unheard(item.deliveryClass, nextAttemptSeconds: pause / 1000)))
    }
    return true
  }

  /// Another connection may lead to another broker.
  mutating func forgetUnheard() {
    saidUnheard = false
    for index in lanes.indices { lanes[index].unheard = [:] }
  }

  /// Receipts came: somebody listens, whatever the broker said.
  mutating func distrustUnheard() {
    for index in lanes.indices {
      for kind in lanes[index].unheard.keys { lanes[index].unheard[kind]?.distrust() }
    }
  }
}
