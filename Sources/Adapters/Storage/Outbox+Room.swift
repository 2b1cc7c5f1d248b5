import Forwarding

extension Outbox {
  /// Why so many more captures would be refused; nil when there is room for all of them. The same limits as at storing:
  /// the quota, what the file system has above its floor, and whether it was found full.
  ///
  /// - Parameter captures: 1...1000.
  package func captureRefusalReason(captures: Int = 1) throws(OutboxError) -> String? {
    if isOutOfSpace { return "the file system was found full; it needs room for what the outbox holds back" }
    let quota = self.quota
    return try withDatabase { database throws(OutboxError) in
      // A tool may have freed room: who stands at the reader must not wait for the next commit.
      try database.reloadIfChangedElsewhere()
      if let reason = quota.captureRefusalReason(in: database.accounts, captures: captures) { return reason }
      let available = try database.availableBytes()
      let needed = OutboxQuota.roomBytes(captures: captures)
      guard available < needed else { return nil }
      return "the file system has \(available / 1000) kB above outbox.free_space_floor_bytes, "
        + "and \(captures) captures may take \(needed / 1000) kB"
    }
  }
}
