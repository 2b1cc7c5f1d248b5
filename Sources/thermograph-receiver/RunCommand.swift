import ArgumentParser
import CaptureDatabase
import CloudLink
import Cryptography
import FarSide
import Forwarding
import Glibc
import LinuxIO
import LocalFiles
import Provenance
import ReceiverArguments
import Receiving
import Storage
import UnixSignals

/// Messages for people go to standard error, so that standard output stays readable by programs.
func say(_ line: String) { StandardError.write(Array("\(line)\n".utf8)) }

/// Where the database is; the same for every command.
struct DatabaseOptions: ParsableArguments {
  @Option(
    name: .long,
    help:
      "The database: a URI or connection string of libpq, several hosts included. No password: passfile= or service=.")
  var database: String

  @Flag(name: .long, help: "Allow connections without TLS to other machines: the database and the brokers.")
  var allowPlaintext = false

  func target() throws -> DatabaseTarget {
    do throws(DatabaseError) {
      return try DatabaseTarget(database, allowsPlaintext: allowPlaintext)
    } catch {
      throw ValidationError("\(error)")
    }
  }
}

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Takes captures from the brokers into the database (the default).",
    discussion: """
      A receipt goes out only after the commit. After SIGTERM it takes no more, stores and answers what it has, and ends. The master key (32 bytes in a file of mode 0600) wraps the data keys of the sites; without it nothing stored \
      can be read.
      """)

  @OptionGroup var database: DatabaseOptions

  @Option(name: .long, help: "A broker, HOST:PORT; repeat it for each. Without a port 1883, with TLS 8883.")
  var broker: [String] = []

  @OptionGroup var masterKeys: MasterKeyOptions

  @Option(name: .long, help: "Group of workers that share the messages; MQTT 5.")
  var share = "ingest"

  @Option(name: .long, help: "This worker's name in receipts and at the brokers, unique among the workers.")
  var name: String?

  @OptionGroup var link: LinkOptions
  @OptionGroup var signing: SigningOptions

  @Option(name: .long, help: "Port of 127.0.0.1 for GET /metrics; 0 for any that is free.")
  var metricsPort: UInt16?

  @Option(name: .long, help: "Forget views after so many days; their masters stay, from which the same view is made.")
  var keepViews: Int?

  @Option(name: .long, help: "Renew a connection on which nothing came for so many seconds.")
  var renewAfter = 300

  @Flag(name: .long, help: "Apply what is missing of the schema, and end.")
  var migrate = false

  @Flag(name: .long, help: "Say whether the schema is this program's, and end.")
  var checkSchema = false

  @Flag(name: .long, help: "Give every site a new data key, and end. Running workers take it up within a minute.")
  var rotateKeys = false

  @Flag(name: .long, help: "Wrap every data key under --master-key-file, and end.")
  var rewrapKeys = false

  @Flag(name: .long, help: "Print a line for each capture that becomes complete.")
  var verbose = false

  func validate() throws {
    _ = try database.target()
    guard !isTool else { return }
    guard !broker.isEmpty else { throw ValidationError("--broker is missing: where do captures come from?") }
    guard masterKeys.masterKeyFile != nil else {
      throw ValidationError("--master-key-file is missing: contents are stored sealed")
    }
    guard renewAfter >= 5 else { throw ValidationError("--renew-after \(renewAfter): expected 5 or more") }
    if let keepViews, keepViews < 1 { throw ValidationError("--keep-views \(keepViews): expected 1 or more") }
    guard link.certificate != nil || link.key == nil else { throw LinkOptions.halfAPair }
    _ = try lines(name: "worker")
  }

  private var isTool: Bool { migrate || checkSchema || rotateKeys || rewrapKeys }

  func run() async throws {
    do {
      if isTool { return try runTool() }
      try DatabaseSchema.check(try database.target())
      try await work()
    } catch let error as DatabaseError {
      say("thermograph-receiver: \(error)")
      throw error.kind == .misuse ? ExitCode(78) : ExitCode.failure
    } catch let error as KeyFileError {
      say("thermograph-receiver: \(error)")
      throw ExitCode(78)
    } catch let error as ReceiverError {
      say("thermograph-receiver: \(error)")
      throw ExitCode.failure
    }
  }

  private func runTool() throws {
    let target = try database.target()
    if migrate {
      let steps = try DatabaseSchema.migrate(target)
      print(steps.isEmpty ? "the schema is complete" : steps.map { "applied \($0)" }.joined(separator: "\n"))
    }
    if checkSchema {
      try DatabaseSchema.check(target)
      print("the schema is this program's")
    }
    let digests = OpenSSLDigests()
    if rewrapKeys {
      let count = try KeyRotation.rewrap(target, masters: try masterKeys.masters(), digests: digests)
      print("\(count) keys wrapped anew")
    }
    if rotateKeys {
      let count = try KeyRotation.rotate(target, masters: try masterKeys.masters(), digests: digests)
      print("a new key for \(count) sites")
    }
  }

  /// What signs receipts; nil for receipts of version 1, which devices take that ask for no signature.
  private func signer() throws -> SigningKey? {
    guard let path = signing.signingKey else { return nil }
    do throws(SigningKeyError) {
      return try SigningOptions.key(at: path)
    } catch {
      say("thermograph-receiver: \(error)")
      throw ExitCode(78)
    }
  }

  private func lines(name: String) throws -> [LinkSettings] {
    let group: String
    do throws(TopicError) {
      group = try TopicIdentifier(share).text
    } catch {
      throw ValidationError("--share: \(error)")
    }
    return try broker.map { text in
      var settings = try link.settings(of: text, clientIdentifier: name, allowsPlaintext: database.allowPlaintext)
      settings.subscriptions = ["$share/\(group)/tg/v1/+/+/up/#"]
      settings.receiveMaximum = 256
      settings.keepAliveSeconds = 20
      settings.connectTimeoutMilliseconds = 10_000
      settings.subscribeTimeoutMilliseconds = 10_000
      return settings
    }
  }

  private func work() async throws {
    var generator = SystemRandomNumberGenerator()
    let name = name ?? "receiver-" + String(UInt32.random(in: 0...UInt32.max, using: &generator), radix: 16)
    var configuration = WorkerConfiguration(
      brokers: try lines(name: name), database: try database.target(), masters: try masterKeys.masters(), name: name)
    configuration.renewSeconds = renewAfter
    configuration.keepViewsDays = keepViews
    configuration.metricsPort = metricsPort
    configuration.receipts = ReceiptQueue(signer: try signer())
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    let worker = try IngestWorker(configuration, time: try SystemClock()) { [verbose] progress in
      switch progress {
      case .ready(let broker): say("receiving from \(broker)")
      case .metrics(let port): say("metrics on http://127.0.0.1:\(port)/metrics")
      case .note(let text): say(text)
      case .completed(let capture):
        if verbose {
          say("\(capture.site)/\(capture.device): capture \(capture.captureID), number \(capture.sequence)")
        }
      }
    }
    let supervision = Supervision(worker)
    let notifying = Task { await supervision.run() }
    try await worker.run {
      for await _ in signals { break }
      supervision.noteStop()
    }
    notifying.cancel()
    say("stopped")
  }
}
