import Forwarding
import Provenance

extension OutboxDatabase {
  /// The condition that a message is a correction. It is kept as long as the database: what was captured before, and under
  /// a merged reference for ever, is read by it.
  static let isCorrection =
    "(class = \(DeliveryClass.event.rawValue) AND ifnull(name, '') = '\(CorrectionMessage.name)')"

  /// Every correction that can be read; of the others the log says how many there are.
  func corrections() throws(OutboxError) -> CorrectionLog {
    var messages: [CorrectionMessage] = []
    var unreadable = 0
    var after: Int64? = 0
    while let from = after {
      let page = try correctionItems(after: from, limit: 256)
      for stored in page {
        guard let payload = try opened(stored) else {
          unreadable += 1
          continue
        }
        do { messages.append(try CorrectionMessage(decoding: payload)) } catch { unreadable += 1 }
      }
      after = page.last?.item.id
    }
    return CorrectionLog(messages, unreadable: unreadable)
  }

  /// The reference that the records and the end of a session bear, looked for from below `id` on.
  ///
  /// - Returns: nil, and where to look on, until there is nothing more.
  func recordedReference(
    of session: RandomIdentifier, before id: Int64, limit: Int
  ) throws(OutboxError) -> (reference: String?, next: Int64?) {
    let sign = "\"session_id\":\"\(session)\"".utf8
    let page = try sessionMessages(before: id, limit: limit)
    for stored in page {
      guard let payload = try opened(stored), payload.contains(sign) else { continue }
      do {
        if stored.item.deliveryClass == .capture {
          let record = try CaptureRecord(json: payload)
          if record.sessionID == session { return (record.patientRef, nil) }
        } else {
          let message = try SessionMessage(json: payload)
          if message.sessionID == session, let reference = message.patientRef { return (reference, nil) }
        }
      } catch {
        // Of another kind, or damaged: another message of the session says it.
        continue
      }
    }
    return (nil, page.last?.item.id)
  }

  /// nil for a payload that cannot be opened; delivery and `verify` deal with it.
  private func opened(_ stored: StoredItem) throws(OutboxError) -> [UInt8]? {
    do throws(OutboxError) {
      return try payload(of: stored.item)
    } catch {
      guard case .sealing = error else { throw error }
      return nil
    }
  }

  /// Stores the correction that is asked for. Only inside `transaction`.
  func insert(
    _ request: CorrectionRequest, recordedRef: String?, id: RandomIdentifier
  ) throws(OutboxError) -> CorrectionMessage {
    let now = time.now()
    let log = try corrections()
    let message: CorrectionMessage
    do throws(CorrectionRefusal) {
      message = try log.message(
        for: request, recordedRef: recordedRef, id: id, outboxID: outboxID, number: nextMessage, at: now)
    } catch {
      throw .correction(error)
    }
    let json: [UInt8]
    do {
      json = try message.encoded()
    } catch {
      throw .message("correction: \(error)")
    }
    _ = try insert(.correction(json, created: now))
    return message
  }
}

extension Outbox {
  /// Records and ends of sessions in one piece of the search.
  static let sessionPage = 64

  /// Every correction that was made on this device.
  package func corrections() throws(OutboxError) -> CorrectionLog {
    try withDatabase { database throws(OutboxError) in try database.corrections() }
  }

  /// Makes a correction and puts it on its way; it holds when this returns. Throws `.correction` when it says nothing or
  /// contradicts what holds.
  package nonisolated func correct(_ request: CorrectionRequest) async throws(OutboxError) -> CorrectionMessage {
    var recorded: String?
    if let session = request.session {
      var before: Int64? = .max
      while let from = before, recorded == nil {
        (recorded, before) = try await recordedReference(of: session, before: from)
      }
    }
    return try await insert(request, recordedRef: recorded)
  }

  private func insert(
    _ request: CorrectionRequest, recordedRef: String?
  ) throws(OutboxError) -> CorrectionMessage {
    let id = newIdentifier()
    let message = try withTransaction { database throws(OutboxError) in
      try database.insert(request, recordedRef: recordedRef, id: id)
    }
    tellStored(since: message.number)
    return message
  }

  private func recordedReference(
    of session: RandomIdentifier, before id: Int64
  ) throws(OutboxError) -> (reference: String?, next: Int64?) {
    try withDatabase { database throws(OutboxError) in
      try database.recordedReference(of: session, before: id, limit: Self.sessionPage)
    }
  }
}

extension OutboxTool {
  /// Every correction that was made on this device.
  package func corrections() throws(OutboxError) -> CorrectionLog { try database.corrections() }

  /// As `Outbox.correct`, while the service does not run.
  package func correct(_ request: CorrectionRequest) throws(OutboxError) -> CorrectionMessage {
    var recorded: String?
    if let session = request.session {
      var before: Int64? = .max
      while let from = before, recorded == nil {
        (recorded, before) = try database.recordedReference(of: session, before: from, limit: Outbox.sessionPage)
      }
    }
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    return try database.transaction { () throws(OutboxError) in
      try database.insert(request, recordedRef: recorded, id: id)
    }
  }
}
