import Forwarding

/// What the outbox still holds of one patient.
package struct PatientHistory: Sendable, Equatable {
  /// Newest first.
  package var records: [CaptureRecord] = []
  /// Records that could not be opened or read; delivery and `verify` deal with them.
  package var unreadable = 0
  /// Records that were looked at.
  package var scanned = 0

  package init() {}
}

extension Outbox {
  /// Records in one piece of the search: what waits to be stored meanwhile is not kept waiting.
  private static let historyPage = 64
  /// A search never opens more records; at ten captures a day they are more than a year.
  package static let historyScanLimit = 4096

  /// The records of a patient's earlier captures, delivered or not, as long as the retention time keeps them.
  ///
  /// The pseudonym lies in no column: the records are opened and searched, newest first.
  ///
  /// Corrections are followed: what was given to this patient, or to a reference that was merged with theirs, is there;
  /// what was given away or withdrawn is not. The records themselves say what they said.
  ///
  /// - Parameters:
  ///   - references: as they stand in the records: the present one, and the one before.
  ///   - limit: records that are enough.
  package nonisolated func history(
    ofPatient references: [String], limit: Int = 256
  ) async throws(OutboxError) -> PatientHistory {
    let wanted = PatientHistory.Wanted(references, by: try await corrections())
    var history = PatientHistory()
    history.unreadable = wanted.log.unreadable
    var before = Int64.max
    while history.scanned < Self.historyScanLimit, history.records.count < limit {
      let page = try await records(before: before, limit: Self.historyPage)
      guard let last = page.last?.id else { break }
      before = last
      for (_, payload) in page where history.records.count < limit {
        history.take(payload, wanted)
      }
    }
    return history
  }

  /// Records in falling order of their ids, from below `id` on; nil in the place of a payload that cannot be opened.
  private func records(before id: Int64, limit: Int) throws(OutboxError) -> [(id: Int64, payload: [UInt8]?)] {
    try withDatabase { database throws(OutboxError) in
      try database.captureRecords(before: id, limit: limit).map { stored throws(OutboxError) in
        do throws(OutboxError) {
          return (stored.item.id, try database.payload(of: stored.item))
        } catch .sealing {
          return (stored.item.id, nil)
        }
      }
    }
  }
}

extension PatientHistory {
  /// Whose records are looked for.
  fileprivate struct Wanted: Sendable {
    let log: CorrectionLog
    /// Every reference that means this person.
    let references: Set<String>
    /// What the JSON of a record that may be theirs contains.
    let signs: [String]

    init(_ references: [String], by log: CorrectionLog) {
      self.log = log
      self.references = log.references(with: references)
      signs =
        self.references.map { "\"patient_ref\":\"\($0)\"" }
        + log.sessions(givenTo: self.references).map { "\"session_id\":\"\($0)\"" }
    }

    func contains(_ record: CaptureRecord) -> Bool {
      !log.isWithdrawn(record.sessionID)
        && references.contains(log.patient(of: record.sessionID, recorded: record.patientRef))
    }
  }

  fileprivate mutating func take(_ payload: [UInt8]?, _ wanted: Wanted) {
    scanned += 1
    guard let payload else {
      unreadable += 1
      return
    }
    // The house's JSON has no white space, so most records need not be decoded.
    guard wanted.signs.contains(where: { payload.contains($0.utf8) }) else { return }
    do {
      let record = try CaptureRecord(json: payload)
      if wanted.contains(record) { records.append(record) }
    } catch {
      unreadable += 1
    }
  }
}

extension [UInt8] {
  func contains(_ pattern: String.UTF8View) -> Bool {
    let wanted = Array(pattern)
    guard let first = wanted.first, count >= wanted.count else { return false }
    return withUnsafeBufferPointer { bytes in
      for start in 0...(bytes.count - wanted.count) where bytes[start] == first {
        if wanted.indices.allSatisfy({ bytes[start + $0] == wanted[$0] }) { return true }
      }
      return false
    }
  }
}
