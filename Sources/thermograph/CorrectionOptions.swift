import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Device
import Forwarding
import LocalFiles
import Provenance
import Storage

/// What every correction needs: where the device is asked, why, and by whom.
struct CorrectionOptions: ParsableArguments {
  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Option(name: .long, help: "The running service's control socket, instead of the configuration's.")
  var socket: String?

  @Option(
    name: .long, parsing: .unconditional,
    help: "Why, in one line; it is sent along. No name: whoever reads the far side reads it.")
  var reason: String

  @Option(
    name: .long, parsing: .unconditional, help: "The operator or technician who says so, by pseudonym or roster id.")
  var by: String?

  @Flag(name: .long, help: "Print the correction as one JSON object on standard output.")
  var json = false

  /// Makes the correction: through the service where it runs, in the outbox where it does not.
  func make(_ request: CorrectionRequest) async throws {
    var request = request
    request.signedBy = by
    do throws(CorrectionRefusal) { try request.check() } catch { throw ValidationError("\(error)") }
    var outbox = OutboxOptions()
    (outbox.config, outbox.json) = (config, json)
    try holdAgainstRoster(request)
    var service = ServiceOptions()
    (service.config, service.socket) = (config, socket)
    let made: CorrectionMessage
    if try BoundedFile.exists(service.path) {
      guard let correction = try service.answer(to: ControlRequest(.correct, correction: request)).correction else {
        throw CommandFailure("the service did not say what became of it; see 'thermograph session list'")
      }
      made = correction
    } else {
      leaveNote(
        .correction(
          kind: request.kind.rawValue, subject: request.subject, target: request.target, signedBy: request.signedBy),
        try outbox.settings())
      made = try outbox.open().correct(request)
    }
    // What the comparison over time keeps follows; the correction holds even where it cannot.
    do {
      try await outbox.withBaselines { try await $0.follow(request) }
    } catch {
      printToStandardError("the comparison over time does not follow yet; repeat the command: \(error)")
    }
    if json { return try printJSON(made) }
    print(made.sentence)
    printToStandardError(
      "correction \(made.correctionID) is on its way to the far side; what was captured is unchanged")
  }

  /// A mistyped id would give the pictures to nobody. Where there is a roster, it knows.
  private func holdAgainstRoster(_ request: CorrectionRequest) throws {
    let settings = ConfigurationFolder(mainFile: config).read().settings
    guard let path = settings.patients.rosterFile, try BoundedFile.exists(path) else { return }
    let rows = try RosterFile(path: path).read().rows
    if let by, !rows.contains(where: { $0.entry.reference.text == by && $0.entry.role != .patient }) {
      throw CommandFailure("--by \(by): the roster has no operator or technician of that id")
    }
    guard let target = request.target else { return }
    let known = rows.filter { $0.entry.reference.text == target || $0.fingerprint.text == target }
    if known.isEmpty {
      printToStandardError("note: the roster does not have \(target); if that was mistyped, correct it once more")
    } else if !known.contains(where: { $0.entry.role == .patient }) {
      throw CommandFailure("\(target) is not a patient's id: the roster has it for staff")
    }
  }
}

extension CorrectionMessage {
  fileprivate var sentence: String {
    let place = target ?? ""
    return switch kind {
    case .reassign: "session \(subject) belongs to \(place) now; it was started under the tag of \(recordedRef ?? "?")"
    case .withdraw: "session \(subject) is withdrawn: it is compared and shown no more"
    case .merge: "what belongs to \(subject) belongs to \(place) now"
    case .revert: "the merge is undone: what was merged stands by itself again"
    }
  }
}

extension SessionCommand {
  struct Reassign: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Gives a session that was started under the wrong tag to the patient it belongs to.",
      discussion: """
        What was captured stays as it is; a correction travels to the far side, and every list and comparison follows it. A \
        second one overrules the first. Exit status 0: it holds; 1: it was refused, and why is said; 69: the service does \
        not answer.

          thermograph session reassign 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --to ward-7-0043 --reason "wrong tag"
        """)

    @OptionGroup var options: CorrectionOptions

    @Argument(help: "The session's id.")
    var session: String

    @Option(name: .long, parsing: .unconditional, help: "The pseudonym or roster id of the patient it belongs to.")
    var to: String

    func run() async throws {
      try await options.make(CorrectionRequest(.reassign, session.lowercased(), to: to, reason: options.reason))
    }
  }

  struct Withdraw: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Takes a session out of every comparison, for good.",
      discussion: """
        For a patient who takes the consent back, or for a session that is nobody's. It cannot be undone; what was captured \
        stays stored as it is until it is deleted there. Exit status 0: it holds; 1: it was refused, and why is said.

          thermograph session withdraw 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --reason "consent withdrawn"
        """)

    @OptionGroup var options: CorrectionOptions

    @Argument(help: "The session's id.")
    var session: String

    func run() async throws {
      try await options.make(CorrectionRequest(.withdraw, session.lowercased(), reason: options.reason))
    }
  }
}

struct PatientCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "patient",
    abstract: "Joins two references that are one person, and keeps what is compared with.",
    discussion: """
      A patient who got a second tag has two references. After a merge what stands under the first belongs to the second, \
      what is captured later too. Nothing that was captured changes.

      Of each patient the device keeps the pictures of the newest sessions, sealed, to compare the next one with.

        thermograph patient merge ward-7-0042 --into ward-7-0043 --reason "second card"
        thermograph patient unmerge ward-7-0042 --reason "they are two persons"
        thermograph patient list
        thermograph patient forget ward-7-0042
        thermograph patient export /media/stick/patients.tgbl
        thermograph patient import /media/stick/patients.tgbl
      """,
    subcommands: [Merge.self, Unmerge.self, List.self, Forget.self, Export.self, Import.self])

  struct Merge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What stands under one reference belongs to another from now on.",
      discussion: """
        Exit status 0: it holds; 1: it was refused, and why is said.

          thermograph patient merge ward-7-0042 --into ward-7-0043 --reason "second card"
        """)

    @OptionGroup var options: CorrectionOptions

    @Argument(help: "The pseudonym or roster id that goes up in the other.")
    var patient: String

    @Option(name: .long, parsing: .unconditional, help: "The pseudonym or roster id that stays.")
    var into: String

    func run() async throws {
      try await options.make(CorrectionRequest(.merge, patient, to: into, reason: options.reason))
    }
  }

  struct Unmerge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Undoes a merge.",
      discussion: """
        Exit status 0: it holds; 1: it was refused, and why is said.

          thermograph patient unmerge ward-7-0042 --reason "they are two persons"
        """)

    @OptionGroup var options: CorrectionOptions

    @Argument(help: "The pseudonym or roster id that was merged.")
    var patient: String

    func run() async throws { try await options.make(CorrectionRequest(.unmerge, patient, reason: options.reason)) }
  }
}
