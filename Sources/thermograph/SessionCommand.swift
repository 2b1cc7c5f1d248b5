import ArgumentParser
import Forwarding
import FoundationEssentials
import Provenance
import Storage

struct SessionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "session",
    abstract: "Shows the guided sessions that the outbox still holds something of, and puts a wrong tag right.",
    discussion: """
      May be used while the device runs. Delivered captures stay in the outbox for outbox.retention_days. Patients appear \
      by their pseudonym or roster id.

        thermograph session list
        thermograph session list --patient ward-7-0042 --json
        thermograph session show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11
        thermograph session reassign 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --to ward-7-0043 --reason "wrong tag"
        thermograph session withdraw 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --reason "consent withdrawn"
      """,
    subcommands: [List.self, Show.self, Reassign.self, Withdraw.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists sessions, oldest first.",
      discussion: """
        With --json one object a line. A session that is delivered stays on the list for outbox.retention_days. A session \
        that was corrected stands under the patient to whom it belongs now, and says under whose tag it was started.

          thermograph session list
          thermograph session list --patient ward-7-0042 --json
        """)

    @OptionGroup var options: OutboxOptions

    @Option(name: .long, parsing: .unconditional, help: "Only this patient's, by pseudonym or roster id.")
    var patient: String?

    func run() throws {
      for entry in try options.open().sessions().entries where patient == nil || entry.patientRef == patient {
        if options.json { try printJSON(entry) } else { print(entry.line) }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows one session: its answers, its captures and what the gates said.",
      discussion: """
        Exit status 0: it is there; 1: nothing is stored of it.

          thermograph session show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11
          thermograph session show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --json
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "The session's id.")
    var session: String

    func run() throws {
      guard let id = RandomIdentifier(session) else {
        throw ValidationError("'\(session)' is no session's id; expected a UUID as 'session list' prints it")
      }
      guard let entry = try options.open().sessions().entries.first(where: { $0.sessionID == id }) else {
        throw OutboxCommandError("outbox: nothing is stored of session \(id)")
      }
      guard !options.json else { return try printJSON(entry) }
      print(entry.line)
      for correction in entry.corrections ?? [] { print("  " + correction.line) }
      if let signedBy = entry.signedBy { print("  signed by \(signedBy)") }
      for answer in entry.answers ?? [] { print("  \(answer.code): \(answer.yes ? "yes" : "no")") }
      for capture in entry.captures { print("  " + capture.line) }
    }
  }
}

extension OutboxTool {
  /// Every session of the outbox. Messages that cannot be opened are named on standard error and left out.
  func sessions() throws -> SessionHistory {
    let decoder = JSONDecoder()
    var history = SessionHistory()
    // After a change of keys every message has the same reason: it is told once.
    var leftOut: [(reason: String, ids: [Int64])] = []
    try forEach { stored in
      let isRecord = stored.item.deliveryClass == .capture
      guard isRecord || stored.item.topicSuffix == "event" else { return }
      do {
        let payload = Data(try payload(of: stored))
        if isRecord {
          history.add(try decoder.decode(CaptureRecord.self, from: payload))
        } else {
          switch try decoder.decode(SchemaName.self, from: payload).schema {
          case SessionMessage.schema: history.add(try decoder.decode(SessionMessage.self, from: payload))
          case CorrectionMessage.schema: history.add(try CorrectionMessage(decoding: Array(payload)))
          // Other events, gap records among them, have schemas of their own.
          default: break
          }
        }
      } catch {
        // The message's own number is no part of the reason.
        let reason = "\(error)".replacing("message \(stored.item.id)", with: "the message")
        if let index = leftOut.firstIndex(where: { $0.reason == reason }) {
          leftOut[index].ids.append(stored.item.id)
        } else {
          leftOut.append((reason, [stored.item.id]))
        }
      }
    }
    for (reason, ids) in leftOut {
      let named = ids.prefix(8).map(String.init).joined(separator: ", ") + (ids.count > 8 ? ", ..." : "")
      let count = ids.count == 1 ? "1 message is" : "\(ids.count) messages are"
      printToStandardError("outbox: \(count) left out (\(named)): \(reason)")
    }
    return history
  }
}

extension SessionHistory.Entry {
  fileprivate var line: String {
    let end =
      switch isComplete {
      case true: "complete"
      case false: "incomplete (\(reason ?? "unknown"))"
      case nil: "still open, or delivered and its details no longer stored"
      }
    let views = captures.map(\.view.rawValue).joined(separator: ",")
    let corrected =
      (recordedRef.map { "  (started under the tag of \($0))" } ?? "") + (isWithdrawn == true ? "  (withdrawn)" : "")
    return "\(at)  \(sessionID)  \(patientRef)\(corrected)  \(end)  \(views.isEmpty ? "no captures" : views)"
  }
}

extension CorrectionMessage {
  fileprivate var line: String {
    let what = target.map { "given to \($0)" } ?? "withdrawn"
    return "\(at)  \(what)\(signedBy.map { " by \($0)" } ?? ""): \(reason)"
  }
}

extension SessionHistory.Capture {
  fileprivate var line: String {
    let gates =
      failedGates.isEmpty ? "all gates passed" : "failed: " + failedGates.map(\.rawValue).joined(separator: ", ")
    let unlike =
      isUnlikeEarlier == true ? "  UNLIKE this person's earlier pictures: was it the right tag?" : ""
    return "\(at)  \(captureID) #\(sequence)  \(view.rawValue), attempt \(attempt)  \(gates)  "
      + (outcome?.rawValue ?? "outcome withheld (demonstration model)") + unlike
  }
}

/// What every event says of itself.
private struct SchemaName: Decodable {
  let schema: String?
}
