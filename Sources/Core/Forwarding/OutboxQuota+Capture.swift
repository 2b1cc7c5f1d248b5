extension OutboxQuota {
  /// Record and five images take some 60 KiB; a capture must fit as a whole.
  private static let captureBytes = 128 << 10
  private static let captureImages = 5

  /// Bytes that so many captures may take.
  package static func roomBytes(captures: Int) -> Int { min(max(captures, 1), 1000) * captureBytes }

  /// Why so many more captures would be refused, as far as the quota tells; nil when there is room. What was delivered
  /// and is kept for its retention time gives way, as does health.
  ///
  /// - Parameter captures: 1...1000.
  package func captureRefusalReason(in accounts: OutboxAccounts, captures: Int = 1) -> String? {
    let needed = Self.roomBytes(captures: captures)
    for (deliveryClass, count) in [(DeliveryClass.capture, captures), (.image, captures * Self.captureImages)] {
      let undelivered = accounts.backlog(deliveryClass).rows + accounts[deliveryClass, .quarantined].rows
      if undelivered + count > rowsPerClass {
        return
          "\(undelivered) \(deliveryClass.name) messages are undelivered, and outbox.maximum_messages is \(rowsPerClass)"
      }
    }
    // The oldest images give way to a new capture.
    guard onFull == .refuse else { return nil }
    let images = accounts.backlog(.image).bytes + accounts[.image, .quarantined].bytes
    if ownRoom(for: .image, used: images) < needed {
      return "\(images / 1000) kB of images, and outbox.maximum_image_bytes is \((bytesByClass[.image] ?? 0) / 1000) kB"
    }
    let givesWay =
      DeliveryClass.allCases.reduce(0) { $0 + accounts[$1, .delivered].bytes } + accounts[.health, .pending].bytes
    let used = accounts.total.bytes - givesWay
    if room(for: .capture, used: used) < needed {
      return "\(used / 1000) kB wait, and outbox.maximum_bytes is \(totalBytes / 1000) kB"
    }
    return nil
  }
}
