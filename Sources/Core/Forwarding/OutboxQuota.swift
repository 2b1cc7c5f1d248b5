/// How much the outbox may hold. Accounting decides, before the file system has to say no.
package struct OutboxQuota: Sendable, Equatable {
  /// What happens to a new capture when there is no room for its images.
  package enum OnFull: String, Sendable, Equatable {
    /// The capture is refused, visibly.
    case refuse
    /// The oldest image gives way; its record and verdict stay and a gap record says so.
    case dropOldestImage = "drop-oldest-image"
  }

  /// Sealed bytes in all.
  package var totalBytes: Int
  /// Bytes that the file system must keep free.
  package var freeSpaceFloorBytes: Int
  package var onFull: OnFull

  package init(
    totalBytes: Int = 2 << 30, freeSpaceFloorBytes: Int = 64 << 20, onFull: OnFull = .refuse
  ) {
    self.totalBytes = totalBytes
    self.freeSpaceFloorBytes = freeSpaceFloorBytes
    self.onFull = onFull
  }
}

/// A message that was not stored because a limit is reached.
package struct QuotaRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Limit: String, Sendable, Equatable {
    case bytes
    case freeSpace = "free-space"
  }

  package let deliveryClass: DeliveryClass
  package let limit: Limit
  package let neededBytes: Int
  package let availableBytes: Int

  package init(deliveryClass: DeliveryClass, limit: Limit, neededBytes: Int, availableBytes: Int) {
    self.deliveryClass = deliveryClass
    self.limit = limit
    self.neededBytes = neededBytes
    self.availableBytes = availableBytes
  }

  package var description: String {
    switch limit {
    case .bytes:
      "full: this \(deliveryClass.name) needs \(neededBytes) bytes, the quota has \(availableBytes) left; deliver or export what waits, or raise the quota"
    case .freeSpace:
      "full: this \(deliveryClass.name) needs \(neededBytes) bytes, the file system has \(availableBytes) above its floor; free space there"
    }
  }
}
