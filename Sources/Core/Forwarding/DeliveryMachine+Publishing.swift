extension DeliveryMachine {
  /// Hands over as many messages as window, rateLimiter and order allow.
  mutating func publish(_ limits: ConnectionLimits, now: UInt64, _ actions: inout [DeliveryAction]) {
    for index in lanes.indices where lanes[index].heldUntilNanoseconds.map({ $0 <= now }) ?? false {
      lanes[index].heldUntilNanoseconds = nil
    }
    for index in lanes.indices where !lanes[index].unheard.isEmpty { lanes[index].openKinds(now: now) }
    if let until = imagesHeldUntilNanoseconds, until <= now { imagesHeldUntilNanoseconds = nil }
    var orders: [PublishOrder] = []
    var others: [DeliveryAction] = []
    fillWindow(limits, now: now, &orders, &others)
    // Before what else was found out: the link need not wait for the disk.
    if !orders.isEmpty { actions.append(.publish(orders)) }
    actions += others
  }

  private mutating func fillWindow(
    _ limits: ConnectionLimits, now: UInt64, _ orders: inout [PublishOrder], _ actions: inout [DeliveryAction]
  ) {
    let window = max(1, min(configuration.window, limits.receiveMaximum))
    while flights.count < window {
      let isAllowed = isWindowOpen && budget?.allows(now: now) ?? true
      if let id = divided {
        // What was begun is finished, whatever the window or the budget say.
        guard rateLimiter.allows(now: now) else { return }
        publishNextPart(of: id, now: now, &orders)
        continue
      }
      guard let next = nextReady(alertsOnly: !isAllowed, &actions) else { return }
      guard next.deliveryClass == .alert || rateLimiter.allows(now: now) else { return }
      let item = lanes[next.deliveryClass.rawValue].take(at: next.place)
      begin(item, limits, now: now, &orders, &actions)
    }
  }

  /// The most urgent class with something to send, and where in its queue; nil while one must be read first, or when nothing
  /// waits.
  private mutating func nextReady(
    alertsOnly: Bool, _ actions: inout [DeliveryAction]
  ) -> (deliveryClass: DeliveryClass, place: Int)? {
    for deliveryClass in DeliveryClass.allCases where deliveryClass == .alert || !alertsOnly {
      let index = deliveryClass.rawValue
      if lanes[index].heldUntilNanoseconds != nil { continue }
      if deliveryClass == .image, imagesHeldUntilNanoseconds != nil { continue }
      // After a refusal one message asks whether it is over; more at a time could be refused in part and lose their order.
      if lanes[index].refusals > 0, progress.values.contains(where: { $0.item.deliveryClass == deliveryClass }) {
        continue
      }
      if let place = nextPlace(in: lanes[index]) { return (deliveryClass, place) }
      if lanes[index].exhausted || lanes[index].ready.count > Self.lookAhead { continue }
      load(deliveryClass, &actions)
      return nil
    }
    return nil
  }

  /// The oldest message of a kind that somebody hears, or that asks whether somebody does.
  private func nextPlace(in lane: Lane) -> Int? {
    guard !lane.unheard.isEmpty else { return lane.ready.isEmpty ? nil : lane.ready.startIndex }
    return lane.ready.firstIndex { item in
      guard lane.isOpen(item) else { return false }
      return lane.unheard[item.kind]?.isAsking != true
        || !progress.values.contains { $0.item.deliveryClass == item.deliveryClass && $0.item.kind == item.kind }
    }
  }

  mutating func load(_ deliveryClass: DeliveryClass, _ actions: inout [DeliveryAction]) {
    let index = deliveryClass.rawValue
    guard !lanes[index].loading else { return }
    lanes[index].loading = true
    // Settled messages must not be read as waiting again.
    flushSettlement(&actions)
    actions.append(
      .load(
        LoadOrder(
          deliveryClass: deliveryClass, after: lanes[index].cursor, limit: Self.lookAhead, generation: generation)))
  }

  /// Takes what was read, unless the connection it was read for is gone.
  mutating func take(_ order: LoadOrder, _ items: [OutboxItem]) {
    let index = order.deliveryClass.rawValue
    guard order.generation == generation, lanes[index].loading else { return }
    lanes[index].loading = false
    let settled = lanes[index].settledMeanwhile
    lanes[index].settledMeanwhile = []
    lanes[index].exhausted = items.count < order.limit
    lanes[index].cursor = max(lanes[index].cursor, items.last?.id ?? order.after)
    let fresh = items.filter { progress[$0.id] == nil && !settled.contains($0.id) }
    lanes[index].ready.append(contentsOf: fresh)
  }

  /// Starts a message: whole when it fits, in parts when it is an image, aside when neither is possible.
  private mutating func begin(
    _ item: OutboxItem, _ limits: ConnectionLimits, now: UInt64, _ orders: inout [PublishOrder],
    _ actions: inout [DeliveryAction]
  ) {
    // Whoever holds the outbox checks what he reads; arithmetic with a length is not left to that alone.
    guard (0...OutboxItem.maximumBytes).contains(item.byteCount) else {
      return quarantine(
        item.id, in: item.deliveryClass,
        reason: "a length of \(item.byteCount) bytes cannot be; expected at most \(OutboxItem.maximumBytes)", now: now,
        &actions)
    }
    let room = (limits.maximumPacketBytes ?? .max) - Self.packetReserveBytes
    let suspected = (poison.assumedPacketBytes ?? .max) - Self.packetReserveBytes
    let partBytes = min(configuration.partBytes, room, suspected)
    let isImage = item.deliveryClass == .image
    let replayed = item.id <= replayBoundary || item.attempts > 0 || lanes[item.deliveryClass.rawValue].refusals > 0
    if item.byteCount <= (isImage ? partBytes : room) {
      start(
        Progress(item: item, parts: 1, partBytes: max(1, item.byteCount), replayed: replayed), now: now, &orders)
      return
    }
    let parts = partBytes > 0 ? (item.byteCount + partBytes - 1) / partBytes : .max
    guard isImage, parts <= TopicSchema.maximumParts else {
      quarantine(
        item.id, in: item.deliveryClass,
        reason:
          "\(item.byteCount) bytes do not fit the broker's maximum packet of \(room + Self.packetReserveBytes) bytes",
        now: now, &actions)
      return
    }
    start(Progress(item: item, parts: parts, partBytes: partBytes, replayed: replayed), now: now, &orders)
  }

  private mutating func start(_ message: Progress, now: UInt64, _ orders: inout [PublishOrder]) {
    progress[message.item.id] = message
    if message.parts > 1 { divided = message.item.id }
    publishNextPart(of: message.item.id, now: now, &orders)
  }

  private mutating func publishNextPart(of id: Int64, now: UInt64, _ orders: inout [PublishOrder]) {
    guard var message = progress[id], message.nextPart < message.parts else {
      divided = nil
      return
    }
    let start = message.nextPart * message.partBytes
    let range = start..<min(start + message.partBytes, message.item.byteCount)
    message.nextPart += 1
    progress[id] = message
    if divided == id && message.nextPart == message.parts { divided = nil }
    let token = PublishToken(rawValue: nextToken)
    flights[token] = Flight(
      id: id, sentNanoseconds: now, order: nextToken, packetBytes: range.count + Self.packetReserveBytes)
    nextToken += 1
    rateLimiter.take(now: now)
    budget?.take(bytes: range.count + Self.packetReserveBytes, now: now)
    count {
      $0.published[message.item.deliveryClass.rawValue] += 1
      if message.replayed { $0.replayed += 1 }
    }
    let part = message.parts > 1 ? UplinkTopic.Part(index: message.nextPart, count: message.parts) : nil
    orders.append(
      PublishOrder(token: token, item: message.item, part: part, range: range, replayed: message.replayed))
  }
}

extension DeliveryMachine.Lane {
  /// Lets kinds ask again whose pause is over.
  fileprivate mutating func openKinds(now: UInt64) {
    for (kind, watch) in unheard where watch.heldUntilNanoseconds.map({ $0 <= now }) ?? false {
      unheard[kind]?.heldUntilNanoseconds = nil
    }
  }

  fileprivate mutating func take(at place: Int) -> OutboxItem {
    // The first in constant time: the rule.
    place == ready.startIndex ? ready.removeFirst() : ready.remove(at: place)
  }
}
