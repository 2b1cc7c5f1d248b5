import ArgumentParser
import Audit
import Device
import Identification

extension RosterCommand {
  struct Upgrade: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Renames the rows of tags that the list still has under an earlier kind of fingerprint.",
      discussion: """
        Such rows go on working, but their fingerprint can be guessed by whoever has the site's key. Only the tag itself \
        gives the present one, so hold the tags to the reader one after the other; ids, roles and consents stay. The \
        service must not hold the reader meanwhile (systemctl stop thermograph). Exit status 0: every tag that came is \
        on the list under its present fingerprint.

          thermograph roster upgrade
          thermograph roster upgrade --seconds 300 --json
        """)

    @OptionGroup var options: Options

    @Option(name: .long, parsing: .unconditional, help: "How long to wait for the next tag, 1 to 600 seconds.")
    var seconds = 60

    func validate() throws {
      guard (1...600).contains(seconds) else { throw ValidationError("--seconds \(seconds): expected 1 to 600") }
    }

    func run() async throws {
      let settings = try options.settings()
      let roster = try RosterFile(settings)
      let naming = try TagNaming(settings, secrets: SecretFiles(credentialsDirectory: options.credentials))
      printToStandardError(
        "hold the tags to the reader (\(settings.reader.device)) one by one; it ends \(seconds) s after the last")
      var unknown = 0
      var upgraded = 0
      try await PresentedTags(settings, seconds: seconds).forEach { tag in
        leaveNote(.roster(.upgrade, rows: 1, sha256: nil), settings)
        let outcome = try roster.upgrade(naming.fingerprints(of: tag))
        switch outcome {
        case .upgraded(let id):
          upgraded += 1
          try tell("\(id): upgraded", outcome, id)
        case .current(let id): try tell("\(id): has its present fingerprint already", outcome, id)
        case .unknown:
          unknown += 1
          try tell("a tag that is not on the list", outcome, nil)
        }
        return true
      }
      if !options.json { print("\(roster.path): \(upgraded) upgraded") }
      if unknown > 0 { throw ExitCode.failure }
    }

    private func tell(_ text: String, _ outcome: RosterFile.Upgrade, _ id: PatientReference?) throws {
      guard options.json else { return print(text) }
      try printJSON(Line(outcome: outcome.name, id: id?.text))
    }

    private struct Line: Encodable {
      let outcome: String
      let id: String?
    }
  }
}
