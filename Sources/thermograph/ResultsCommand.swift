import ArgumentParser
import Forwarding
import Identification
import Provenance
import Remote
import Screening
import Storage

struct ResultsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "results",
    abstract: "Shows which patients the clinic has an answer for, and whether they have seen the light.",
    discussion: """
      For staff: it needs the key of the outbox, which root and the service can read. What an answer says is not on the \
      device; ask the clinic. May be used while the device runs. Patients appear by their pseudonym or roster id.

        thermograph results list
        thermograph results list --waiting --json
        thermograph results show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11
      """,
    subcommands: [List.self, Show.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists answers, oldest first.",
      discussion: """
        With --json one object a line. An answer stands under the patient to whom its session belongs now. Of those that were \
        shown the newest 4096 are kept.

          thermograph results list
          thermograph results list --patient ward-7-0042
        """)

    @OptionGroup var options: OutboxOptions

    @Option(name: .long, parsing: .unconditional, help: "Only this patient's, by pseudonym or roster id.")
    var patient: String?

    @Flag(name: .long, help: "Only those that were not shown yet.")
    var waiting = false

    func run() throws {
      for line in try ResultsCommand.lines(options)
      where (patient == nil || line.patientRef == patient) && (!waiting || line.state == "waiting") {
        if options.json { try printJSON(line) } else { print(line.text) }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows one answer.",
      discussion: """
        Exit status 0: it is there; 1: there is none of that id.

          thermograph results show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "The answer's id, or its capture's.")
    var id: String

    func run() throws {
      guard let wanted = RandomIdentifier(id) else {
        throw ValidationError("'\(id)' is no id; expected a UUID as 'results list' prints it")
      }
      let found = try ResultsCommand.lines(options).filter { $0.id == wanted || $0.captureID == wanted }
      guard !found.isEmpty else { throw CommandFailure("no answer of this id, or to this capture, is kept") }
      for line in found {
        guard !options.json else {
          try printJSON(line)
          continue
        }
        print(line.text)
        print("  capture \(line.captureID), session \(line.sessionID)")
        print("  answered by \(line.reviewer), here since \(line.keptAt), shown \(line.shownAt ?? "not yet")")
        if line.freshness == CommandReply.Freshness.unproven.rawValue {
          print("  the clock was not proven when it came")
        }
      }
    }
  }

  private static func lines(_ options: OutboxOptions) throws -> [Line] {
    let (answers, corrections) = try options.open().answers()
    let shelf = AnswerShelf(answers, corrections)
    return answers.map { Line($0, patient: shelf.patient(of: $0)) }
  }

  private struct Line: Encodable {
    let id: RandomIdentifier
    let captureID: RandomIdentifier
    let sessionID: RandomIdentifier
    /// nil: the session is withdrawn, and it is nobody's.
    let patientRef: String?
    let word: String
    let state: String
    let reviewer: String
    let keptAt: String
    let shownAt: String?
    let freshness: String

    init(_ answer: KeptAnswer, patient: String?) {
      (id, captureID, sessionID) = (answer.id, answer.captureID, answer.sessionID)
      patientRef = patient
      word = answer.word
      reviewer = answer.reviewer
      (keptAt, shownAt) = (answer.keptAt, answer.shownAt)
      freshness = answer.freshness.rawValue
      state =
        answer.shownAt != nil
        ? "shown" : answer.isOverruled == true ? "overruled" : patient == nil ? "withdrawn" : "waiting"
    }

    var text: String { "\(keptAt)  \(id)  \(patientRef ?? "(session withdrawn)")  \(word)  \(state)" }

    private enum CodingKeys: String, CodingKey {
      case id, word, state, reviewer, freshness
      case captureID = "capture_id"
      case sessionID = "session_id"
      case patientRef = "patient_ref"
      case keptAt = "kept_at"
      case shownAt = "shown_at"
    }
  }
}
