import Provenance

/// All corrections that are known, and what holds by them: to whom a session belongs, which references are one person, and
/// what is withdrawn. Later overrules earlier. Nothing that was recorded changes.
package struct CorrectionLog: Sendable, Equatable {
  /// An outbox takes no more; each keeps some 500 bytes of it.
  package static let correctionsMaximum = 4096

  /// By outbox, each outbox's in the order of their numbers. Between two devices there is no order that both know.
  package private(set) var messages: [CorrectionMessage] = []
  /// Corrections that are stored and cannot be read.
  package private(set) var unreadable = 0
  private var owners: [String: String] = [:]
  private var merges: [String: CorrectionMessage] = [:]
  private var withdrawn: Set<String> = []

  package init() {}

  /// - Parameter messages: in any order, repetitions among them.
  package init(_ messages: some Sequence<CorrectionMessage>, unreadable: Int = 0) {
    self.unreadable = unreadable
    var known: Set<RandomIdentifier> = []
    self.messages = messages.filter { known.insert($0.correctionID).inserted }.sorted {
      ($0.outboxID, $0.number) < ($1.outboxID, $1.number)
    }
    // Ids are random, so that one outbox undoes another's only if it says that it means to.
    let reverted = Set(self.messages.filter { $0.kind == .revert }.map(\.subject))
    for message in self.messages {
      switch message.kind {
      case .reassign: owners[message.subject] = message.target
      case .withdraw: withdrawn.insert(message.subject)
      case .merge: if !reverted.contains("\(message.correctionID)") { merges[message.subject] = message }
      case .revert: break
      }
    }
  }

  /// To whom a session belongs now.
  package func patient(of session: RandomIdentifier, recorded reference: String) -> String {
    merged(owners["\(session)"] ?? reference)
  }

  package func isWithdrawn(_ session: RandomIdentifier) -> Bool { withdrawn.contains("\(session)") }

  /// The person that `reference` went up in, at the end of the chain; itself where nothing was merged.
  package func merged(_ reference: String) -> String {
    var path = [reference]
    while let next = merges[path[path.count - 1]]?.target {
      // One device makes no circle, but two may each have made half of one: it ends at the same place from everywhere.
      if let start = path.firstIndex(of: next) { return path[start...].min() ?? next }
      path.append(next)
    }
    return path[path.count - 1]
  }

  /// Every reference that stands for the same person as one of `references`.
  package func references(with references: some Sequence<String>) -> Set<String> {
    let people = Set(references.map(merged))
    return merges.keys.reduce(into: Set(references).union(people)) { found, reference in
      if people.contains(merged(reference)) { found.insert(reference) }
    }
  }

  /// Sessions that a correction gave to one of `references`, whatever their records say.
  package func sessions(givenTo references: Set<String>) -> Set<String> {
    Set(owners.filter { references.contains($0.value) }.keys)
  }

  /// Corrections of one session, oldest first.
  package func messages(of session: RandomIdentifier) -> [CorrectionMessage] {
    let subject = "\(session)"
    return messages.filter { $0.subject == subject && ($0.kind == .reassign || $0.kind == .withdraw) }
  }

  // MARK: - The next one

  /// The message that carries out what is asked for.
  ///
  /// - Parameters:
  ///   - recordedRef: what the session's records say; nil when nothing is stored of it.
  ///   - number: of the message in its outbox.
  package func message(
    for request: CorrectionRequest, recordedRef: String?, id: RandomIdentifier, outboxID: RandomIdentifier,
    number: Int64, at now: Timestamp
  ) throws(CorrectionRefusal) -> CorrectionMessage {
    try request.check()
    guard messages.count < Self.correctionsMaximum else {
      throw CorrectionRefusal("\(Self.correctionsMaximum) corrections are stored; make further ones at the far side")
    }
    func message(
      _ kind: CorrectionMessage.Kind, _ subject: String, to target: String? = nil, recorded: String? = nil
    ) -> CorrectionMessage {
      CorrectionMessage(
        kind, id: id, outboxID: outboxID, number: number, subject: subject, target: target, recordedRef: recorded,
        request: request, at: now)
    }
    switch request.kind {
    case .reassign, .withdraw:
      let (session, recorded) = try standingSession(of: request, recordedRef)
      guard let target = request.target else { return message(.withdraw, "\(session)", recorded: recorded) }
      let present = patient(of: session, recorded: recorded)
      guard merged(target) != present else {
        throw CorrectionRefusal("session \(session) belongs to \(present) already")
      }
      return message(.reassign, "\(session)", to: target, recorded: recorded)
    case .merge:
      let target = request.target ?? ""
      if let earlier = merges[request.subject] {
        throw CorrectionRefusal(
          "\(request.subject) went up in \(earlier.target ?? "") already: merge that one, or undo it first with "
            + "'patient unmerge'")
      }
      guard merged(target) != merged(request.subject) else {
        throw CorrectionRefusal("\(request.subject) and \(target) are one patient already")
      }
      return message(.merge, request.subject, to: target)
    case .unmerge:
      guard let earlier = merges[request.subject] else {
        throw CorrectionRefusal("\(request.subject) was not merged into anybody on this device")
      }
      return message(.revert, "\(earlier.correctionID)")
    }
  }

  private func standingSession(
    of request: CorrectionRequest, _ recordedRef: String?
  ) throws(CorrectionRefusal) -> (RandomIdentifier, recorded: String) {
    guard let session = request.session, let recordedRef else {
      throw CorrectionRefusal(
        "nothing is stored of session \(request.subject) on this device; 'session list' shows what is. An older session is "
          + "corrected at the far side")
    }
    guard !isWithdrawn(session) else { throw CorrectionRefusal("session \(session) is withdrawn, and stays so") }
    return (session, recordedRef)
  }
}
