import Forwarding
import LocalFiles
import Provenance

extension OutboxDatabase {
  /// Images that one capture may push out; a bound on the work of one commit.
  private static let maximumDrops = 256

  /// Makes sure that there is room for a capture, or refuses it. Only inside `transaction`; nothing of the capture is
  /// written yet.
  ///
  /// What gives way, in this order: delivered messages kept for their retention time (not corrections), health, and, where the
  /// configuration says so, the oldest images.
  func admit(_ capture: NewCapture, recordBytes: Int) throws(OutboxError) {
    let payloads = [recordBytes] + capture.images.map(\.bytes.count)
    let needed = payloads.reduce(0) { $0 + $1 + Self.envelopeBytes }
    try refuseForRows(.capture, adding: 1)
    try refuseForRows(.image, adding: capture.images.count)
    try refuseForClass(.capture, needed: recordBytes + Self.envelopeBytes)
    let imageBytes = capture.images.reduce(0) { $0 + $1.bytes.count + Self.envelopeBytes }
    if ownRoom(.image) < imageBytes {
      try makeRoom(imageBytes, of: .image, room: { self.ownRoom(.image) })
      try refuseForClass(.image, needed: imageBytes)
    }
    if quota.room(for: .capture, used: accounts.total.bytes) < needed {
      try makeRoom(needed, of: nil, room: { self.quota.room(for: .capture, used: self.accounts.total.bytes) })
    }
    let room = quota.room(for: .capture, used: accounts.total.bytes)
    guard room >= needed else { throw .refused(refusal(.capture, .bytes, needed, room)) }
    try refuseForSpace(.capture, needed: needed)
  }

  /// The same for a message without images.
  func admit(_ message: NewMessage) throws(OutboxError) {
    let needed = message.payload.count + Self.envelopeBytes
    try refuseForRows(message.deliveryClass, adding: 1)
    try refuseForClass(message.deliveryClass, needed: needed)
    let room = quota.room(for: message.deliveryClass, used: accounts.total.bytes)
    guard room >= needed else { throw .refused(refusal(message.deliveryClass, .bytes, needed, room)) }
    if message.deliveryClass == .health { try refuseForSpace(.health, needed: needed) }
  }

  /// What the file system still gives above its floor, reusable pages of the database included. What lies in the
  /// write-ahead log is counted twice, because the next checkpoint may have to write it to the main file.
  func availableBytes() throws(OutboxError) -> Int {
    let (free, logged) = try onDisk { () throws(FileError) in
      (
        try Folder.freeBytes(at: Folder.holding(connection.path)),
        try BoundedFile.status(connection.path + "-wal")?.byteCount ?? 0
      )
    }
    var reusable: Int64 = 0
    try query("PRAGMA freelist_count", { _ in }, row: { reusable = $0.integer(0) })
    return max(0, free + Int(clamping: reusable) * DatabasePages.pageBytes - logged - quota.freeSpaceFloorBytes)
  }

  private var quota: OutboxQuota { configuration.quota }

  private func refuseForRows(_ deliveryClass: DeliveryClass, adding count: Int) throws(OutboxError) {
    let undelivered = accounts.total(deliveryClass).rows - accounts[deliveryClass, .delivered].rows
    let available = max(0, quota.rowsPerClass - undelivered)
    guard count <= available else { throw .refused(refusal(deliveryClass, .rows, count, available)) }
  }

  /// What is left of the class's own limit; delivered messages are not counted, they give way.
  private func ownRoom(_ deliveryClass: DeliveryClass) -> Int {
    let used = accounts.total(deliveryClass).bytes - accounts[deliveryClass, .delivered].bytes
    return quota.ownRoom(for: deliveryClass, used: used)
  }

  private func refuseForClass(_ deliveryClass: DeliveryClass, needed: Int) throws(OutboxError) {
    let available = ownRoom(deliveryClass)
    guard needed <= available else { throw .refused(refusal(deliveryClass, .classBytes, needed, available)) }
  }

  private func refuseForSpace(_ deliveryClass: DeliveryClass, needed: Int) throws(OutboxError) {
    let available = try availableBytes()
    guard needed <= available else { throw .refused(refusal(deliveryClass, .freeSpace, needed, available)) }
  }

  private func refusal(
    _ deliveryClass: DeliveryClass, _ limit: QuotaRefusal.Limit, _ needed: Int, _ available: Int
  ) -> QuotaRefusal {
    QuotaRefusal(deliveryClass: deliveryClass, limit: limit, needed: needed, available: available)
  }

  /// - Parameters:
  ///   - deliveryClass: whose own limit is in the way; nil for the whole outbox's.
  ///   - room: what there is by the limit in question.
  private func makeRoom(
    _ needed: Int, of deliveryClass: DeliveryClass?, room: () -> Int
  ) throws(OutboxError) {
    var steps: [(condition: String, costsGapRecord: Bool)] = []
    if deliveryClass == nil {
      steps = [
        ("state = \(DeliveryState.delivered.rawValue) AND NOT \(Self.isCorrection)", false),
        ("class = \(DeliveryClass.health.rawValue) AND state = 0", true),
      ]
    }
    if quota.onFull == .dropOldestImage {
      // A gap record takes part of what an image gives, so only those that are worth it.
      steps.append(("class = \(DeliveryClass.image.rawValue) AND state IN (0, 1) AND length > 2048", true))
    }
    for (condition, costsGapRecord) in steps {
      var ids: [Int64] = []
      var freed = 0
      let missing = needed - room()
      guard missing > 0 else { return }
      try query(
        "SELECT id, stored FROM message WHERE \(condition) ORDER BY id LIMIT \(Self.maximumDrops)", { _ in }
      ) { row in
        guard freed < missing else { return }
        ids.append(row.integer(0))
        freed +=
          Int(min(max(row.integer(1), 0), Int64(Self.largestStored)))
          - (costsGapRecord && deliveryClass == nil ? 1024 : 0)
      }
      for id in ids { try drop(id) }
    }
  }

  /// Removes a message to make room; one that was not delivered leaves a gap record.
  private func drop(_ id: Int64) throws(OutboxError) {
    let stored = try find(id)
    try remove(id)
    guard stored.state != .delivered else { return }
    counters[stored.item.deliveryClass].dropped += 1
    try insertGap(
      .dropped, item: stored.item,
      detail: "the outbox was full; the oldest \(stored.item.deliveryClass.name) gave way to a new capture")
  }
}
