extension DeliveryMachine {
  /// Notes what became of a publish.
  mutating func settle(
    _ token: PublishToken, _ outcome: PublishOutcome, now: UInt64, _ actions: inout [DeliveryAction]
  ) {
    guard case .connected(let limits, _) = phase, let flight = flights.removeValue(forKey: token),
      var message = progress[flight.id]
    else { return }
    let deliveryClass = message.item.deliveryClass
    acknowledgements.answered(order: flight.order, oldest: oldestFlight()?.order, now: now)
    switch outcome {
    case .acknowledged(let reason) where reason < 0x80:
      count {
        $0.acknowledgementsByReason[reason, default: 0] += 1
      }
      poison.progressed()
      guard !waitsUnheard(message.item, reason: reason, now: now, &actions) else { return }
      message.acknowledged += 1
      progress[flight.id] = message
      guard message.acknowledged == message.parts else { return }
      lanes[deliveryClass.rawValue].refusals = 0
      count { $0.acknowledged[deliveryClass.rawValue] += 1 }
      let needsReceipt = awaitsReceipts(limits) && (deliveryClass == .capture || deliveryClass == .image)
      finish(message.item, now: now) { settlement in
        if needsReceipt {
          settlement.awaitingReceipt.append(flight.id)
        } else {
          settlement.delivered.append(flight.id)
        }
      }
    case .acknowledged(let reason), .refused(let reason):
      count {
        $0.acknowledgementsByReason[reason, default: 0] += 1
        $0.refused[deliveryClass.rawValue] += 1
      }
      refuse(message.item, reason: reason, now: now, &actions)
    case .notSent(let detail):
      let attempts = message.item.attempts &+ 1
      guard attempts < Self.maximumAttempts else {
        quarantine(
          flight.id, in: deliveryClass, reason: "the client did not take it \(attempts) times: \(detail)", now: now,
          &actions)
        return
      }
      putBack(message.item, attempts: attempts, heldMilliseconds: 1000, now: now)
    }
  }

  /// PUBACK of 0x80 or more: not delivered. What is wrong with the message itself sets it aside after a few attempts;
  /// what is wrong with rights or quotas makes its class wait, for as long as it takes somebody to repair it.
  private mutating func refuse(
    _ item: OutboxItem, reason: UInt8, now: UInt64, _ actions: inout [DeliveryAction]
  ) {
    let attempts = item.attempts &+ 1
    note(now: now) { $0.refused.append(item.id) }
    let isOwnFault = reason == 0x90 || reason == 0x95 || reason == 0x99
    if isOwnFault && attempts >= Self.maximumAttempts {
      quarantine(
        item.id, in: item.deliveryClass, reason: "the broker refused it \(attempts) times, reason \(reason)", now: now,
        &actions)
      return
    }
    let index = item.deliveryClass.rawValue
    // The rest of the window is refused for the same reason and counts once.
    if lanes[index].heldUntilNanoseconds == nil { lanes[index].refusals = min(lanes[index].refusals + 1, 7) }
    let milliseconds = min(configuration.backoff.maximumMilliseconds, 1000 << lanes[index].refusals)
    putBack(item, attempts: attempts, heldMilliseconds: milliseconds, now: now)
    actions.append(
      .report(.refused(item.deliveryClass, reason: reason, nextAttemptSeconds: (milliseconds + 999) / 1000)))
  }

  /// Puts a message back that cannot be read at present.
  mutating func postpone(_ id: Int64, now: UInt64) {
    guard let message = progress[id] else { return }
    putBack(
      message.item, attempts: message.item.attempts, heldMilliseconds: configuration.backoff.maximumMilliseconds,
      now: now)
  }

  /// Puts a message back to its place in the queue and holds its class.
  mutating func putBack(_ item: OutboxItem, attempts: Int, heldMilliseconds: Int, now: UInt64) {
    lanes[item.deliveryClass.rawValue].heldUntilNanoseconds = now + UInt64(heldMilliseconds) * 1_000_000
    putBack(item, attempts: attempts)
  }

  /// Puts a message back to its place in the queue.
  mutating func putBack(_ item: OutboxItem, attempts: Int) {
    forget(item.id)
    let index = item.deliveryClass.rawValue
    // Behind the cursor it is read again with all that stands before it; put in now, it would overtake them.
    guard item.id <= lanes[index].cursor else { return }
    let again = item.with(attempts: attempts)
    let place = lanes[index].ready.firstIndex { $0.id > item.id } ?? lanes[index].ready.endIndex
    lanes[index].ready.insert(again, at: place)
  }

  /// Sets a message aside that was under way.
  mutating func quarantine(_ id: Int64, reason: String, now: UInt64, _ actions: inout [DeliveryAction]) {
    guard let message = progress[id] else { return }
    quarantine(id, in: message.item.deliveryClass, reason: reason, now: now, &actions)
  }

  mutating func quarantine(
    _ id: Int64, in deliveryClass: DeliveryClass, reason: String, now: UInt64, _ actions: inout [DeliveryAction]
  ) {
    forget(id)
    count { $0.quarantined[deliveryClass.rawValue] += 1 }
    if lanes[deliveryClass.rawValue].loading { lanes[deliveryClass.rawValue].settledMeanwhile.insert(id) }
    note(now: now) { $0.quarantined.append(Settlement.Quarantined(id: id, reason: reason)) }
    actions.append(.report(.quarantined(id: id, reason: reason)))
  }

  private mutating func finish(_ item: OutboxItem, now: UInt64, _ change: (inout Settlement) -> Void) {
    // Every part has its outcome, so none is left to be looked for.
    progress[item.id] = nil
    unanswered[item.id] = nil
    if let receipt = early.removeValue(forKey: item.id) { receipts.append(receipt) }
    let index = item.deliveryClass.rawValue
    if lanes[index].loading { lanes[index].settledMeanwhile.insert(item.id) }
    note(now: now, change)
  }

  /// Takes what receipts freed out of what is still to be sent. What is on the wire keeps its place in the window until
  /// its PUBACK comes, which then meets a message that is settled.
  mutating func release(_ outcome: ReceiptOutcome, _ actions: inout [DeliveryAction]) {
    let freed = Set(outcome.delivered)
    if let newest = freed.max() {
      for index in lanes.indices {
        if lanes[index].loading { lanes[index].settledMeanwhile.formUnion(freed) }
        guard let first = lanes[index].ready.first, first.id <= newest else { continue }
        lanes[index].ready.removeAll { freed.contains($0.id) }
      }
      if let id = divided, freed.contains(id), var message = progress[id] {
        divided = nil
        message.parts = message.nextPart
        progress[id] = message.acknowledged == message.parts ? nil : message
      }
      actions.append(.report(.delivered(count: freed.count)))
      distrustUnheard()
    }
    for capture in outcome.refused { actions.append(.report(.refusedForEver(capture: capture))) }
    // One line, however many faults a hostile receipt has.
    if let first = outcome.mismatched.first {
      actions.append(.report(.differ(count: outcome.mismatched.count, first: first)))
    }
    judge(outcome.unfounded, &actions)
  }

  /// A receiver may be quicker than the broker's PUBACK, or that was lost with a connection; its word is then kept until
  /// the PUBACK comes. Whoever speaks of what was never sent knows it from elsewhere.
  private mutating func judge(_ words: UnfoundedWords, _ actions: inout [DeliveryAction]) {
    let before = counters.receiptsUnfounded
    for entry in words.entries {
      if let id = sent(entry) {
        early[id] = Receipt(receiver: "", entries: [entry])
      } else {
        count { $0.receiptsUnfounded += 1 }
      }
    }
    for refusal in words.refused {
      if let id = sent(refusal.entry) {
        early[id] = Receipt(receiver: "", entries: [], refused: [refusal])
      } else {
        count { $0.receiptsUnfounded += 1 }
      }
    }
    // The first is told, and then each doubling: a forger must not fill the log.
    guard
      counters.receiptsUnfounded.bitWidth - counters.receiptsUnfounded.leadingZeroBitCount
        > before.bitWidth - before.leadingZeroBitCount
    else { return }
    actions.append(.report(.unfounded(count: counters.receiptsUnfounded)))
  }

  /// The message of an entry, when it is under way or was when a connection ended.
  private func sent(_ entry: Receipt.Entry) -> Int64? {
    func isNamed(_ item: OutboxItem) -> Bool { item.captureID == entry.captureID && item.name == entry.name }
    return progress.values.first { isNamed($0.item) }?.item.id ?? unanswered.values.first(where: isNamed)?.id
  }

  /// Removes a message and its publishes from what is under way.
  mutating func forget(_ id: Int64) {
    progress[id] = nil
    early[id] = nil
    if divided == id { divided = nil }
    for (token, flight) in flights where flight.id == id { flights[token] = nil }
  }

  mutating func note(now: UInt64, _ change: (inout Settlement) -> Void) {
    change(&settlement)
    if settlementDueNanoseconds == nil {
      settlementDueNanoseconds = now + UInt64(configuration.settlementDelayMilliseconds) * 1_000_000
    }
  }
}
