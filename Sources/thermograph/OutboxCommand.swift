import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Device
import Forwarding
import Glibc
import LinuxIO
import LocalFiles
import Provenance
import Storage

struct OutboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "outbox",
    abstract: "Shows, exports and repairs what waits to be delivered.",
    discussion: """
      May be used while the device runs. Messages made to wait again are sent at the next connection.

        thermograph outbox list --state quarantined
        thermograph outbox show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11
        thermograph outbox export /media/stick --recipient clinic.pem
        thermograph outbox import /media/stick/receipt.json
        thermograph outbox retry --all
        thermograph outbox verify
        thermograph outbox key reseal
      """,
    subcommands: [List.self, Show.self, Export.self, Import.self, Retry.self, Verify.self, Key.self])
}

/// Where the outbox lies.
struct OutboxOptions: ParsableArguments {
  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Flag(name: .long, help: "Print JSON on standard output.")
  var json = false

  /// Opens the outbox of the configuration.
  func open() throws -> OutboxTool { try openWithSettings().outbox }

  /// Works on what is kept for the comparison over time, whether or not more is kept. Root does it as the owner of the
  /// state directory: a file of root's there would shut the service out.
  func withBaselines<Result>(_ body: (BaselineStore) async throws -> Result) async throws -> Result {
    let settings = try settings()
    let state = settings.paths.stateDirectory
    let secrets = SecretFiles(credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    let configuration = try BaselineConfiguration(anyway: settings, secrets: secrets)
    let owner = try BoundedFile.status(state)
    let changes = geteuid() == 0 && (owner?.owner ?? 0) != 0
    if changes, let owner, setegid(owner.group) != 0 || seteuid(owner.owner) != 0 {
      throw FileError(SystemCallError(call: "seteuid", subject: state, errorNumber: errno))
    }
    defer {
      // Without its rights back the program could not go on.
      if changes, seteuid(0) != 0 || setegid(0) != 0 { Glibc.exit(EXIT_FAILURE) }
    }
    return try await body(try BaselineStore(configuration))
  }

  func settings() throws -> Settings {
    let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
    let reading = ConfigurationFolder(mainFile: config, credentialsDirectory: credentials).read()
    guard reading.isUsable else {
      for fault in reading.faults { printToStandardError("\(fault)") }
      throw CheckCommand.notUsable
    }
    return reading.settings
  }

  /// The outbox, and the configuration that names it.
  func openWithSettings() throws -> (outbox: OutboxTool, settings: Settings) {
    let settings = try settings()
    let secrets = SecretFiles(credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    return (try OutboxTool(OutboxConfiguration(settings, secrets: secrets), time: try SystemClock()), settings)
  }
}

struct OutboxCommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// One message as the tools print it.
struct OutboxLine: Encodable {
  let id: Int64
  let deliveryClass: String
  let state: String
  let captureID: RandomIdentifier?
  let sequence: Int64?
  let name: String?
  let bytes: Int
  let sha256: String
  let created: String
  let attempts: Int
  let reason: String?

  init(_ stored: StoredItem) {
    let item = stored.item
    id = item.id
    deliveryClass = item.deliveryClass.name
    state = stored.state.name
    captureID = item.captureID
    sequence = item.sequence
    name = item.name
    bytes = item.byteCount
    sha256 = Hexadecimal.text(of: item.sha256)
    created = item.created.rfc3339
    attempts = item.attempts
    reason = stored.reason
  }

  private enum CodingKeys: String, CodingKey {
    case id, state, sequence, name, bytes, sha256, created, attempts, reason
    case deliveryClass = "class"
    case captureID = "capture_id"
  }

  var text: String {
    var line = "\(id)  \(deliveryClass)  \(state)  \(created)  \(bytes) bytes"
    if let captureID { line += "  \(captureID)" }
    if let sequence { line += " #\(sequence)" }
    if let name { line += " \(name)" }
    if attempts > 0 { line += "  refused \(attempts) times" }
    if let reason { line += "  (\(reason))" }
    return line
  }
}

/// One JSON object a line.
func printJSON(_ value: some Encodable) throws {
  print(try CanonicalJSON.text(of: value))
}

extension OutboxTool {
  /// Every message in order of arrival, a few hundred in memory at a time.
  func forEach(_ body: (StoredItem) throws -> Void) throws {
    var after: Int64 = 0
    while true {
      let page = try list(after: after, limit: 256)
      guard let last = page.last else { return }
      for stored in page { try body(stored) }
      after = last.item.id
    }
  }
}

extension OutboxCommand {
  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists messages in order of arrival.",
      discussion: """
        With --json one object a line, and one with the totals by class at the end.

          thermograph outbox list
          thermograph outbox list --state quarantined
          thermograph outbox list --json | jq -c 'select(.class == "capture")'
        """)

    @OptionGroup var options: OutboxOptions

    @Option(name: .long, help: "Only this state: pending, awaiting-receipt, delivered or quarantined.")
    var state: String?

    func validate() throws {
      if let state, !DeliveryState.allCases.contains(where: { $0.name == state }) {
        let names = DeliveryState.allCases.map(\.name).joined(separator: ", ")
        throw ValidationError("'\(state)' is no state; expected one of \(names)")
      }
    }

    func run() throws {
      let outbox = try options.open()
      try outbox.forEach { stored in
        guard state == nil || stored.state.name == state else { return }
        if options.json { try printJSON(OutboxLine(stored)) } else { print(OutboxLine(stored).text) }
      }
      if options.json {
        try printJSON(Totals(outbox.accounts))
      } else {
        for deliveryClass in DeliveryClass.allCases {
          let usage = outbox.accounts.backlog(deliveryClass)
          if usage.rows > 0 {
            printToStandardError("\(deliveryClass.name): \(usage.rows) not delivered, \(usage.bytes) bytes")
          }
        }
      }
    }

    private struct Totals: Encodable {
      struct Usage: Encodable {
        let rows: Int
        let bytes: Int
      }

      let totals: [String: [String: Usage]]

      init(_ accounts: OutboxAccounts) {
        var totals: [String: [String: Usage]] = [:]
        for deliveryClass in DeliveryClass.allCases {
          for state in DeliveryState.allCases {
            let usage = accounts[deliveryClass, state]
            totals[deliveryClass.name, default: [:]][state.name] = Usage(rows: usage.rows, bytes: usage.bytes)
          }
        }
        self.totals = totals
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows one message, or everything of one capture, and the JSON inside.",
      discussion: """
        Exit status 0: it is there; 1: nothing is stored under that number or id.

          thermograph outbox show 42
          thermograph outbox show 9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "A message's number or a capture's id.")
    var what: String

    func run() throws {
      let outbox = try options.open()
      let found: [StoredItem]
      if let id = Int64(what) {
        found = [try outbox.item(id)]
      } else if let captureID = RandomIdentifier(what) {
        found = try outbox.items(ofCapture: captureID)
        guard !found.isEmpty else { throw OutboxCommandError("outbox: nothing is stored of capture \(captureID)") }
      } else {
        throw ValidationError("'\(what)' is neither a message's number nor a capture's id")
      }
      for stored in found {
        if options.json { try printJSON(OutboxLine(stored)) } else { print(OutboxLine(stored).text) }
        guard stored.item.contentType == "application/json" else { continue }
        print(String(decoding: try outbox.payload(of: stored), as: UTF8.self))
      }
    }
  }

  struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes messages wait again that were set aside or have no receipt.",
      discussion: """
        Exit status 0: they wait again; 1: a number names nothing.

          thermograph outbox retry 42 43
          thermograph outbox retry --all
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "Message numbers.")
    var ids: [Int64] = []

    @Flag(name: .long, help: "Every message that was set aside or waits for its receipt.")
    var all = false

    func validate() throws {
      if all == ids.isEmpty { return }
      throw ValidationError(all ? "--all and message numbers exclude each other" : "name message numbers, or --all")
    }

    func run() throws {
      let (outbox, settings) = try options.openWithSettings()
      leaveNote(.technician(.retry, user: getuid()), settings)
      if !all { try outbox.retry(ids) }
      let chosen = all ? try outbox.retryAll() : ids
      if options.json {
        try printJSON(["retried": chosen])
      } else {
        printToStandardError("\(chosen.count) \(chosen.count == 1 ? "message waits" : "messages wait") again")
      }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Opens every message and checks its seal.",
      discussion: """
        Sets aside what is damaged and repairs the index. Exit status 0: every message is whole; 1: one is not.

          thermograph outbox verify
          thermograph outbox verify --json
        """)

    @OptionGroup var options: OutboxOptions

    func run() throws {
      let outbox = try options.open()
      var total = VerificationReport()
      var next: Int64? = 0
      while let after = next {
        let report = try outbox.verify(after: after, limit: 256)
        total.checked += report.checked
        total.unreadable += report.unreadable
        total.locked += report.locked
        total.reindexed += report.reindexed
        total.hollow += report.hollow
        next = report.next
      }
      if options.json {
        try printJSON(
          [
            "checked": [Int64(total.checked)], "unreadable": total.unreadable, "locked": total.locked,
            "reindexed": total.reindexed, "hollow": total.hollow,
          ])
      } else {
        printToStandardError(
          "\(total.checked) checked: \(total.unreadable.count) damaged, \(total.locked.count) sealed with a key that is not loaded, "
            + "\(total.reindexed.count) entries repaired, \(total.hollow.count) without content")
      }
      let faults = total.unreadable.count + total.locked.count + total.hollow.count
      if faults > 0 { throw ExitCode.failure }
    }
  }
}
