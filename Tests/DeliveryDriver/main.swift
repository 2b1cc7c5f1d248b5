// A device's outbox and delivery in a process of its own, for tests that kill it, cut its power or its line.
//
//     DeliveryDriver FOLDER KEYFILE HOST PORT FIRST COUNT [name=value ...]
//
// Stores COUNT captures (a record and images of 6 KB, 60 KB and 140 KB; the capture's id tells its number) while it
// delivers, and goes on delivering until SIGTERM. It says:
//
//     open whole|repaired        storing N        saved N        refused N reason        log MESSAGE ...        stopped
//
// keepalive=S confirm=receipt|broker window=N pause=MS retry=MS (longest pause between attempts) images=BYTES,...
// ballast=BYTES mqtt=5|311 network=watch (try at once when an interface comes up)

import CloudLink
import Device
import DriverSupport
import Forwarding
import Glibc
import LinuxIO
import Logging
import Provenance
import Storage
import UnixSignals

/// The service's own words on standard output.
struct SayingLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    say(("log \(event.message) " + fields.joined(separator: " ")))
  }
}

func capture(_ index: Int, images sizes: [Int], topics: TopicSchema, time: SystemClock) -> NewCapture? {
  let digits = String(index)
  guard
    let id = RandomIdentifier("00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits)
  else { return nil }
  let images = sizes.enumerated().map { number, size in
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)
    withUnsafeBytes(of: index &* 16 &+ number) { bytes.replaceSubrange(0..<8, with: $0) }
    return CaptureImage(name: "image\(number).png", contentType: "image/png", bytes: bytes)
  }
  let list = imageList(images.map { ($0.name, $0.bytes) })
  return NewCapture(captureID: id, created: time.now(), images: images) { number in
    Array(
      (#"{"schema":"thermograph.capture.v1","capture_id":"\#(id)","outbox_id":"\#(number.outboxID)","#
        + #""sequence":\#(number.sequence),"site":"\#(topics.site)","device":"\#(topics.device)","#
        + #""images":[\#(list)]}"#).utf8)
  }
}

func drive() async throws {
  let arguments = CommandLine.arguments
  guard arguments.count >= 7, let port = UInt16(arguments[4]), let first = Int(arguments[5]),
    let count = Int(arguments[6])
  else {
    say("usage: DeliveryDriver FOLDER KEYFILE HOST PORT FIRST COUNT [name=value ...]")
    exit(64)
  }
  let options = Options(arguments.dropFirst(7))
  let time = try SystemClock()
  let key = try KeyFile.load(path: arguments[2], digests: OpenSSLDigests())
  let outbox = try Outbox(
    OutboxConfiguration(
      path: arguments[1] + "/outbox.sqlite", keys: KeyRing(current: key),
      quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: options.number("ballast", 1 << 20))), time: time)
  say("open \(outbox.recoveryAtStart.map { "repaired \($0)" } ?? "whole")")
  let topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
  var link = LinkSettings(
    host: arguments[3], port: port, security: .plaintext(beyondLoopback: true), clientIdentifier: "unit-1")
  link.keepAliveSeconds = UInt16(options.number("keepalive", 5))
  link.connectTimeoutMilliseconds = options.number("connect", 3000)
  if options.values["mqtt"] == "311" { link.protocolVersion = .mqtt311 }
  let window = options.number("window", 20)
  link.inFlightMaximum = window + 2
  let retry = options.number("retry", 300)
  let service = try DeliveryService(
    outbox: outbox, topics: topics,
    configuration: DeliveryConfiguration(
      confirm: options.values["confirm"] == "broker" ? .broker : .receipt, window: window,
      messagesPerSecond: 100_000, acknowledgementTimeoutSeconds: options.number("stall", 10),
      receiptTimeoutSeconds: options.number("receipt", 5), settlementDelayMilliseconds: 20,
      backoff: ReconnectBackoff.Configuration(
        minimumMilliseconds: min(20, retry), maximumMilliseconds: retry, lossSpreadMilliseconds: min(100, retry),
        steadySeconds: 1, refusedFloorMilliseconds: 50)),
    link: link,
    identity: DeliveryService.Identity(
      firmware: "test", models: [], configurationSHA256: "", certificatePath: nil, plaintextAllowed: true),
    time: time, generator: SystemRandomNumberGenerator(),
    logger: Logger(label: "driver") { _ in SayingLogHandler() })
  let terminations = await UnixSignalsSequence(trapping: .sigterm)
  let delivery = Task { try await service.run() }
  let watch = options.values["network"] == "watch" ? try NetworkWatch { service.networkCameUp() } : nil
  let sizes = options.values["images"]?.split(separator: ",").compactMap { Int($0) } ?? [6000, 60_000, 140_000]
  let pause = options.number("pause", 0)
  let storing = Task {
    for index in first..<(first + count) {
      guard let capture = capture(index, images: sizes, topics: topics, time: time) else { exit(70) }
      say("storing \(index)")
      do {
        _ = try await outbox.enqueue(capture)
        say("saved \(index)")
      } catch {
        say("refused \(index) \(error)")
      }
      if pause > 0 { try await Task.sleep(for: .milliseconds(pause)) }
    }
    say("all stored")
  }
  for await _ in terminations { break }
  storing.cancel()
  watch?.stop()
  delivery.cancel()
  try await delivery.value
  await outbox.close()
  say("stopped")
}

do {
  try await drive()
} catch {
  say("failed \(error)")
  exit(70)
}
