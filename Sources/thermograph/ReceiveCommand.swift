import ArgumentParser
import CloudLink
import Forwarding
import Glibc
import ImageFiles
import LinuxIO
import Provenance
import ReceiverArguments
import Receiving
import Screening
import Storage
import UnixSignals

struct ReceiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receive",
    abstract: "Receives captures from a broker into a folder and answers with receipts.",
    discussion: """
      The reference receiver. It checks every image against the SHA-256 in its record, puts divided images together, \
      stores each capture once however often it comes, keeps a log of every arrival (arrivals.jsonl) and an index of \
      the complete captures (captures.sqlite: tables capture, image, correction and standing), and sends a receipt only when the record and all its images are on the disk. It may be killed and started again at any time.

        thermograph receive --broker localhost:1883 --output ./received
        thermograph receive --broker mqtt.clinic.example:8883 --ca ca.pem --certificate r.pem --key r.key \
      --output /srv/captures --site clinic-7 --client-id archive
        thermograph receive --broker localhost --output ./received --until 3 --json

      With --signing-key every receipt is a statement that this receiver signed (DSSE, Ed25519), and only a device that \
      knows the public key takes it. --make-key makes such a key, mode 0600, and prints the public half for the devices' \
      delivery.receiver_keys_file:

        thermograph receive --make-key /etc/thermograph-receiver/receipts.key > receivers.pem
        thermograph receive --broker localhost --output ./received --signing-key /etc/thermograph-receiver/receipts.key

      Without --certificate, --key is taken for --signing-key.

      With --stick it takes what `thermograph outbox export` wrote on a stick, opened if it was sealed, and lays the \
      receipts on the stick, for `thermograph outbox import` at the device, with a list of what lies there to read \
      (captures.csv and captures.html):

        thermograph receive --stick /media/stick --output ./received --signing-key receipts.key

      Several receivers share the work with the same --share name and the same output folder.
      """)

  @Option(name: .long, help: "The broker, HOST:PORT. Without a port 1883, with TLS 8883.")
  var broker: String?

  @Option(name: .long, help: "The folder for what arrives; made when missing.")
  var output: String?

  @Option(name: .long, help: "Only this site's devices.")
  var site: String?

  @Option(name: .long, help: "Only this device.")
  var device: String?

  @Option(name: .long, help: "Share the messages with the other receivers of this group name.")
  var share: String?

  @Option(
    name: .long, parsing: .unconditional,
    help: "End after this many captures became complete and their receipts are with the broker.")
  var until: Int?

  @Option(name: .long, help: "Name at the broker; with it the broker keeps for 7 days what comes while this is down.")
  var clientID: String?

  @OptionGroup var link: LinkOptions
  @OptionGroup var signing: SigningOptions

  @Option(name: .long, help: "Make a key for signing receipts in this new file, print its public key, and end.")
  var makeKey: String?

  @Option(name: .long, help: "Take what was exported to this folder, write receipts there, and end; no broker.")
  var stick: String?

  @Flag(name: .long, help: "Allow plain MQTT to another machine than this one.")
  var allowPlaintext = false

  @Option(name: .long, help: "Version of MQTT: 5 or 3.1.1.")
  var mqtt = "5"

  @Flag(name: .long, help: "Print one JSON object for each complete capture on standard output.")
  var json = false

  func validate() throws {
    if makeKey != nil { return }
    guard let output, !output.isEmpty else { throw ValidationError("--output is needed: the folder for what arrives") }
    guard (broker == nil) != (stick == nil) else {
      throw ValidationError("say where captures come from: either --broker or --stick")
    }
    if broker != nil { _ = try settings(name: "receiver") }
    if link.certificate == nil, link.key != nil, signing.signingKey != nil {
      throw ValidationError("--key and --signing-key both name the key that signs receipts; give one of them")
    }
    if let until, until < 1 { throw ValidationError("--until \(until): expected 1 or more") }
    if device != nil, site == nil { throw ValidationError("--device needs --site: devices are named within a site") }
  }

  func run() async throws {
    if let makeKey { return try Self.makeKey(at: makeKey) }
    guard let output else { return }
    var generator = SystemRandomNumberGenerator()
    let name = clientID ?? "receiver-" + String(UInt32.random(in: 0...UInt32.max, using: &generator), radix: 16)
    do {
      let clock = try SystemClock()
      let receiver = try Self.receiver(folder: output, name: name, clock: clock)
      if let stick {
        let index = try CaptureIndex(path: output + Self.indexName)
        return try Self.takeStick(stick, into: receiver, signer: try signer(), json: json) { site, device in
          try index.corrections(site: site, device: device)
        }
      }
      let settings = try settings(name: name)
      let receiving = try ReceivingLink(
        settings: settings, receiver: receiver, signer: try signer(), time: clock, until: until,
        report: { [json] in Self.report($0, json: json, output: output) })
      let isDone = await receiving.run(until: UnixSignalsSequence(trapping: .sigint, .sigterm))
      guard isDone else { throw ExitCode.failure }
    } catch let error as ReceiverError {
      printToStandardError("receive: \(error)")
      throw ExitCode.failure
    } catch let error as OutboxError {
      printToStandardError("receive: \(error)")
      throw ExitCode.failure
    } catch let error as LinkFailure {
      printToStandardError("receive: \(error.detail)")
      throw ExitCode.failure
    } catch let error as SigningKeyError {
      printToStandardError("receive: \(error)")
      throw ExitCode.failure
    }
  }

  private func settings(name: String) throws -> LinkSettings {
    var settings = try link.settings(
      of: broker ?? "", clientIdentifier: name, allowsPlaintext: allowPlaintext)
    switch mqtt {
    case "5": settings.protocolVersion = .mqtt5
    case "3.1.1": settings.protocolVersion = .mqtt311
    default: throw ValidationError("--mqtt '\(mqtt)': expected 5 or 3.1.1")
    }
    settings.subscriptions = [try filter()]
    settings.sessionExpirySeconds = clientID == nil ? 0 : 7 * 86_400
    return settings
  }

  private func filter() throws -> String {
    func level(_ text: String?, _ option: String) throws -> String {
      guard let text else { return "+" }
      do {
        return try TopicIdentifier(text).text
      } catch {
        throw ValidationError("\(option): \(error)")
      }
    }
    let filter = "tg/v1/\(try level(site, "--site"))/\(try level(device, "--device"))/up/#"
    guard let share else { return filter }
    return "$share/\(try level(share, "--share"))/\(filter)"
  }

  private static let indexName = "/captures.sqlite"

  /// A receiver with its index, which is filled from the folder when it is new.
  private static func receiver(folder: String, name: String, clock: SystemClock) throws -> sending Receiver {
    // The receiver makes the folder, so the index is opened at its first use.
    var opened: CaptureIndex?
    func index() throws(OutboxError) -> CaptureIndex {
      if let opened { return opened }
      let index = try CaptureIndex(path: folder + indexName)
      opened = index
      return index
    }
    let store = try ReceivedFolder(folder, name: name, digests: OpenSSLDigests(), time: clock) { capture in
      let images = zip(zip(capture.images, capture.imageBytes), capture.entries.dropFirst())
      try index().add(
        CaptureIndex.Entry(
          site: capture.site, device: capture.device, captureID: capture.captureID, outboxID: capture.outboxID,
          sequence: capture.sequence, record: capture.record,
          images: images.map { image, entry in
            CaptureIndex.Image(name: image.0, byteCount: image.1, sha256: entry.sha256)
          }, folder: "\(capture.site)/\(capture.device)/\(capture.captureID)", receivedAt: clock.now()))
    } registerCorrection: { site, device, correction in
      try index().add(correction, site: site, device: device)
    } draw: { record, name, master in
      guard let image = RenderedImage(rawValue: name) else {
        let known = RenderedImage.allCases.map(\.name).joined(separator: ", ")
        throw CommandFailure("this program can make only \(known)")
      }
      let captured = Timestamp(
        utcNanoseconds: record.capturedNanoseconds ?? 0, bootID: "", monotonicNanoseconds: 0, synchronised: false)
      return try image.file(
        fromMaster: master, captureID: record.captureID,
        rightSide: record.view.flatMap { CaptureView(rawValue: $0) }?.rightSide, capturedAt: captured)
    }
    if try index().needsFilling {
      let count = try store.registerAll()
      try index().noteFilled()
      if count > 0 { printToStandardError("captures.sqlite was made anew from \(count) captures") }
    }
    return try Receiver(store: store, name: name, digests: OpenSSLDigests(), time: clock)
  }

  private static func report(_ progress: ReceivingLink.Progress, json: Bool, output: String) {
    switch progress {
    case .ready(let filter, let place): printToStandardError("receiving \(filter) from \(place) into \(output)")
    case .completed(let capture):
      let replayed = capture.replayed == true ? ", replayed" : ""
      printToStandardError(
        "\(capture.site)/\(capture.device): capture \(capture.captureID), number \(capture.sequence), "
          + "\(capture.images.count) images\(replayed)")
      if json { printLine(of: capture) }
    case .note(let text): printToStandardError(text)
    case .down(let failure, let milliseconds):
      printToStandardError("no connection (\(failure)); next attempt in \(milliseconds) ms")
    }
  }

  private static func printLine(of capture: Receiver.CompletedCapture) {
    do {
      print(try ReceivedCaptureLine(capture).text())
      // A pipe is buffered in blocks; whoever reads it wants the line now.
      fflush(nil)
    } catch {
      printToStandardError("receive: \(capture.captureID): \(error)")
    }
  }
}
