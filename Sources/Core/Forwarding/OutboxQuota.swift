/// How much the outbox may hold. Accounting decides, before the file system has to say no.
package struct OutboxQuota: Sendable, Equatable {
  /// What happens to a new capture when there is no room for it.
  package enum OnFull: String, Sendable, CaseIterable {
    /// The capture is refused, with light, log and status.
    case refuse
    /// The oldest images give way; their records and verdicts stay and gap records say so.
    case dropOldestImage = "drop-oldest-image"
  }

  /// The share of `totalBytes` up to which a class may fill the outbox, in percent. The last twentieth belongs to
  /// alerts; gap records (events) may use half of it, so that a refusal can be told.
  package static func fillPercent(_ deliveryClass: DeliveryClass) -> Int {
    switch deliveryClass {
    case .alert: 100
    case .event: 98
    case .capture, .image, .health: 95
    }
  }

  /// Stored bytes in all, at least 1 MiB.
  package var totalBytes: Int
  /// Stored bytes of one class; a class that is absent shares what there is.
  package var bytesByClass: [DeliveryClass: Int]
  /// Messages of one class, at least 1.
  package var rowsPerClass: Int
  /// Bytes that the file system must keep free.
  package var freeSpaceFloorBytes: Int
  package var onFull: OnFull
  /// Size of the file that is given up when the file system is full all the same: with a write-ahead log even a
  /// deletion needs room, and emptying the log needs as much as the log holds, about 4 MiB. 0 for none.
  package var ballastBytes: Int

  package init(
    totalBytes: Int = 2 << 30, bytesByClass: [DeliveryClass: Int] = [:], rowsPerClass: Int = 100_000,
    freeSpaceFloorBytes: Int = 256 << 20,
    onFull: OnFull = .refuse, ballastBytes: Int = 8 << 20
  ) {
    self.totalBytes = max(totalBytes, 1 << 20)
    self.bytesByClass = bytesByClass
    self.rowsPerClass = max(rowsPerClass, 1)
    self.freeSpaceFloorBytes = max(freeSpaceFloorBytes, 0)
    self.onFull = onFull
    self.ballastBytes = max(ballastBytes, 0)
  }

  /// Bytes that a message of this class still may take; 0 when there is no room.
  package func room(for deliveryClass: DeliveryClass, used: Int) -> Int {
    max(0, totalBytes / 100 * Self.fillPercent(deliveryClass) - used)
  }

  /// The same by the class's own limit.
  package func ownRoom(for deliveryClass: DeliveryClass, used: Int) -> Int {
    bytesByClass[deliveryClass].map { max(0, $0 - used) } ?? .max
  }
}

/// Tells when the outbox fills up: once at each level on the way up, again only after it has fallen by `rearmPercent`.
package struct QuotaWatermarks: Sendable, Equatable {
  package static let levels = [80, 90, 95]
  private static let rearmPercent = 5

  private var reached = 0

  package init() {}

  /// The level that was just passed, or nil.
  package mutating func crossed(used: Int, total: Int) -> Int? {
    let percent = total > 0 ? used / max(1, total / 100) : 100
    while reached > 0, percent < Self.levels[reached - 1] - Self.rearmPercent { reached -= 1 }
    var crossed: Int?
    while reached < Self.levels.count, percent >= Self.levels[reached] {
      crossed = Self.levels[reached]
      reached += 1
    }
    return crossed
  }
}

/// A message that was not stored because a limit is reached.
package struct QuotaRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Limit: String, Sendable, Equatable {
    case bytes
    case classBytes = "class-bytes"
    case rows
    case freeSpace = "free-space"
  }

  package let deliveryClass: DeliveryClass
  package let limit: Limit
  /// Bytes, or messages for `.rows`.
  package let needed: Int
  package let available: Int

  package init(deliveryClass: DeliveryClass, limit: Limit, needed: Int, available: Int) {
    self.deliveryClass = deliveryClass
    self.limit = limit
    self.needed = needed
    self.available = available
  }

  package var description: String {
    let what = "full: this \(deliveryClass.name) needs \(needed)"
    return switch limit {
    case .bytes: "\(what) bytes, the quota has \(available) left; deliver or export what waits, or raise the quota"
    case .classBytes:
      "\(what) bytes, its class has \(available) left; deliver or export what waits, or raise the limit of the class"
    case .rows: "\(what) places, the quota has \(available) left; deliver or export what waits, or raise the quota"
    case .freeSpace: "\(what) bytes, the file system has \(available) above its floor; free space there"
    }
  }
}
