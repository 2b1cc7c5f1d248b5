import Audit
import Forwarding
import Foundation
import Identification
import Logging
import Panel
import Provenance
import Remote
import Screening
import Storage
import Synchronization
import TestSupport
import Testing
import Trust

@testable import Device

/// From a signed answer to the light at the tag: who sees it, when, and that nobody can read the answer from it.
@Suite struct ClinicLightTests {
  private let scratch: ScratchFolder
  private let key: SealingKey
  private let sender: CommandSender
  private let clock = ManualClock(
    Timestamp(
      utcNanoseconds: (ClockFloor.releaseSeconds + 3600) * 1_000_000_000, bootID: "b",
      monotonicNanoseconds: 1_000_000_000_000, synchronised: true))

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    sender = try CommandSender()
    var generator = SystemRandomNumberGenerator()
    key = try KeyFile.create(path: scratch.file("key"), digests: OpenSSLDigests(), using: &generator)
  }

  /// Every line that is logged, with all that stands beside it.
  private final class Lines: Sendable {
    let content = Mutex<[String]>([])
    var all: [String] { content.withLock { $0 } }
    var logger: Logger {
      var logger = Logger(label: "test") { _ in Handler(lines: self) }
      logger.logLevel = .trace
      return logger
    }

    private struct Handler: LogHandler {
      let lines: Lines
      var metadata: Logger.Metadata = [:]
      var logLevel = Logger.Level.trace
      subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
      }

      func log(event: LogEvent) {
        let beside = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        lines.content.withLock {
          $0.append(([event.level.rawValue, event.message.description] + beside).joined(separator: " "))
        }
      }
    }
  }

  private static func id(_ number: Int) throws -> RandomIdentifier {
    try #require(RandomIdentifier("00000000-0000-4000-8000-\(String(format: "%012d", number))"))
  }

  private func outbox(_ name: String) throws -> Outbox {
    try Outbox(OutboxConfiguration(path: scratch.file(name), keys: KeyRing(current: key)), time: clock)
  }

  /// A capture of a patient with this verdict, stored as the session stores it; returns its record's hash.
  private func store(
    _ verdict: Verdict, of patient: String, in outbox: Outbox, capture: RandomIdentifier, session: RandomIdentifier
  ) async throws -> String {
    let at = clock.now()
    var record = CaptureRecord(
      captureID: capture, outboxID: outbox.outboxID, sequence: 0, sessionID: session, site: "s1", device: "d1",
      capturedAt: .init(at), redatedAt: nil, patientRef: patient, tagKind: .patient, view: .frontal, attempt: 1,
      acquisition: .init(
        camera: "MLX90640", cameraSerial: "000000000000", lens: "55x35", distanceCentimetres: 50, emissivity: 1,
        reflectedTemperatureCelsius: 20, refreshRateHz: 16, framesAveraged: 16, sensorTemperatureCelsius: 30,
        supplyVolts: 3.3, settling: false, interpolatedPixels: 0), gates: [], verdict: verdict, images: [],
      durations: .init(acquisitionMilliseconds: 1, edgeMilliseconds: 1),
      versions: .init(firmware: "0", configurationSHA256: "", modelSHA256: ""))
    record.sequence = 1
    let bytes = try CanonicalJSON.bytes(of: record)
    var new = NewCapture(captureID: capture, created: at, images: [], record: { _ in bytes })
    new.belonging = .init(sessionID: session, patientRef: patient)
    _ = try await outbox.enqueue(new)
    return Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
  }

  /// Stores a capture of somebody and gives the answer to it.
  private func answer(to patient: String, in outbox: Outbox) async throws -> ResultText {
    var text = ResultText(id: try Self.id(50), captureID: try Self.id(10))
    text.patientRef = patient
    text.recordSHA256 = try await store(
      Self.verdict(.uncertain, demonstration: false), of: patient, in: outbox, capture: Self.id(10), session: Self.id(2)
    )
    return text
  }

  private func service(_ outbox: Outbox, _ logger: Logger, audit: any AuditTrail = NoAuditTrail()) throws
    -> ResultService
  {
    ResultService(
      intake: DownlinkIntake("results", keys: sender.keys, logger: logger), outbox: outbox, audit: audit,
      topics: TopicSchema(site: try TopicIdentifier("s1"), device: try TopicIdentifier("d1")), time: clock,
      clockFloor: ClockFloor(path: scratch.file("\(UUID().uuidString).trusted-time"), logger: logger), logger: logger)
  }

  private func message(_ text: ResultText, by other: CommandSender? = nil) throws -> IncomingMessage {
    IncomingMessage(
      topic: "tg/v1/s1/d1/dn/result",
      payload: try (other ?? sender).envelope(text.json, type: ResultStatement.payloadType), retain: false)
  }

  private func replies(_ outbox: Outbox) async throws -> [String] {
    var states: [String] = []
    for stored in try await outbox.list() where stored.item.topicSuffix == "reply" {
      let payload = try await outbox.payload(of: stored.item.id)
      let object = try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any]
      states.append("\(object?["name"] ?? "") \(object?["state"] ?? "")")
    }
    return states
  }

  private func alerts(_ outbox: Outbox) async throws -> [String] {
    var codes: [String] = []
    for stored in try await outbox.list() where stored.item.deliveryClass == .alert {
      codes.append(
        try JSONDecoder().decode(AlertMessage.self, from: Data(try await outbox.payload(of: stored.item.id))).code)
    }
    return codes
  }

  private func bench(_ outbox: Outbox, _ logger: Logger) throws -> SessionBench {
    try SessionBench(
      {
        $0.viewStart = .sign
        $0.positionSeconds = 60
      }, clinic: ClinicShelf(outbox: outbox, logger: logger), logger: logger)
  }

  private static func verdict(_ outcome: Verdict.Outcome, demonstration: Bool) -> Verdict {
    Verdict(
      outcome: outcome, rawOutput: outcome == .notAssessable ? [] : [100], score: 0.9, probability: 0.8,
      thresholds: .init(lower: 0.2, upper: 0.7), leftRightDifference: nil, viewScores: [:], modelID: "m",
      modelSHA256: "", demonstration: demonstration, reasons: [])
  }

  /// What the lines of the panel carry, a byte for each 10 ms from the first signal of the list to the end of its last.
  private static func frames(_ signals: [PanelSignal]) -> [UInt8] {
    signals.flatMap { signal -> [UInt8] in
      guard let pattern = PanelTable.standard[signal] else { return [] }
      return stride(from: 0, to: pattern.cycleMilliseconds, by: 10).map { moment in
        let shown = pattern.outputs(atMilliseconds: moment) ?? .dark
        return (shown.red ? 1 : 0) | (shown.green ? 2 : 0) | (shown.blue ? 4 : 0) | (shown.buzzer ? 8 : 0)
      }
    }
  }

  /// One answer from the message to the light: frames, log and what the far side is told.
  private func play(
    _ name: String, _ verdict: Verdict, state: String, reviewer: String, minutes: Int, captures: Int = 1
  ) async throws -> (frames: [UInt8], lines: [String]) {
    let outbox = try outbox("\(name).sqlite")
    let lines = Lines()
    let results = try service(outbox, lines.logger)
    let patient = try SessionBench.reference(1)
    for capture in 0..<captures {
      let hash = try await store(
        verdict, of: patient, in: outbox, capture: Self.id(10 + capture), session: Self.id(2))
      var text = ResultText(id: try Self.id(50 + capture), captureID: try Self.id(10 + capture))
      (text.recordSHA256, text.patientRef, text.state, text.reviewer) = (hash, patient, state, reviewer)
      text.reviewed = "2026-03-01T10:\(minutes):00Z"
      await results.handle(try message(text))
    }
    let bench = try bench(outbox, lines.logger)
    try await bench.wait("the device is ready") { bench.panel.signals.contains(.ready) }
    let before = bench.panel.signals.count
    try bench.present(1)
    try await bench.wait("the light is shown") { bench.panel.signals.count > before }
    try await bench.wait("it is noted") {
      try await outbox.waitingAnswers().next(for: [patient]) == nil
    }
    let shown = Array(bench.panel.signals[before...])
    #expect(bench.session.control.snapshot.state == .idle)
    try await bench.stop()
    return (Self.frames(shown), lines.all)
  }

  /// Over every outcome that a record can have, with a trained and with a demonstration model, over readers and times: the
  /// same bytes on the panel's lines for the same time, and the same lines in the log.
  @Test func noOutcomeAndNoAnswerCanBeReadFromTheLight() async throws {
    let outcomes: [Verdict.Outcome] = [.belowThreshold, .aboveThreshold, .uncertain, .notAssessable]
    for state in ["answered", "repeat-requested"] {
      var first: (frames: [UInt8], lines: [String])?
      for (index, outcome) in outcomes.enumerated() {
        for demonstration in [false, true] {
          for (reviewer, minutes) in [("a", 10), ("Reader_of-the.clinic", 59)] {
            let played = try await play(
              "\(state)-\(index)-\(demonstration)-\(minutes)", Self.verdict(outcome, demonstration: demonstration),
              state: state, reviewer: reviewer, minutes: minutes)
            #expect(!played.frames.isEmpty && played.lines.count >= 3)
            guard let first else {
              first = played
              continue
            }
            #expect(played.frames == first.frames, "\(state) \(outcome) \(demonstration) \(reviewer)")
            #expect(played.lines == first.lines, "\(state) \(outcome) \(demonstration) \(reviewer)")
          }
        }
      }
      let expected = state == "answered" ? PanelSignal.askClinic : .pleaseRepeat
      #expect(first?.frames == Self.frames([expected]))
      // And the log has no word that an answer or a verdict is made of.
      for word in ["threshold", "uncertain", "assessable", "malign", "benign", "Reader_of-the.clinic"] {
        #expect(first?.lines.contains { $0.contains(word) } == false, "\(word)")
      }
    }
  }

  /// Many answers for one patient are one light.
  @Test func howManyAnswersThereAreCannotBeSeen() async throws {
    let one = try await play(
      "one", Self.verdict(.uncertain, demonstration: false), state: "answered", reviewer: "a", minutes: 10)
    let many = try await play(
      "many", Self.verdict(.aboveThreshold, demonstration: false), state: "answered", reviewer: "a", minutes: 10,
      captures: 4)
    #expect(one.frames == many.frames)
  }

  @Test func onlyThePatientsOwnTagShowsItAndOnlyOnce() async throws {
    let outbox = try outbox("own.sqlite")
    let lines = Lines()
    let results = try service(outbox, lines.logger)
    let patient = try SessionBench.reference(1)
    let text = try await answer(to: patient, in: outbox)
    let bench = try bench(outbox, lines.logger)
    try await bench.wait("the device is ready") { bench.panel.signals.contains(.ready) }
    await results.handle(try message(text))
    #expect(try await replies(outbox) == ["result done"])
    // Nothing is shown to whoever comes by.
    try bench.present(2)
    try await bench.wait("a session is open") { bench.session.control.snapshot.state == .positioning }
    _ = await bench.session.control.cancel()
    // Somebody at a terminal is not the patient.
    let named = try #require(PatientReference(patient))
    _ = await bench.session.control.requestCapture(of: named)
    try await bench.wait("a session is open") { bench.session.control.snapshot.state == .positioning }
    #expect(!bench.panel.signals.contains(.askClinic))
    // Within a session the tag is a gesture of it.
    try bench.present(1)
    try await bench.wait("the view begins") { bench.session.control.snapshot.state == .averaging }
    _ = await bench.session.control.cancel()
    #expect(!bench.panel.signals.contains(.askClinic))
    try bench.present(1)
    try await bench.wait("the light is shown") { bench.panel.signals.contains(.askClinic) }
    try await bench.wait("it is noted") { try await outbox.waitingAnswers().next(for: [patient]) == nil }
    // The next tap begins a session; a repetition of the statement is answered and brings nothing back.
    await results.handle(try message(text))
    #expect(try await replies(outbox) == ["result done", "result done"])
    try bench.present(1)
    try await bench.wait("a session is open") { bench.session.control.snapshot.state == .positioning }
    #expect(bench.panel.signals.filter { $0 == .askClinic }.count == 1)
    try await bench.stop()
  }

  @Test func whatIsForgedReplayedOrNotOursShowsNothing() async throws {
    let outbox = try outbox("forged.sqlite")
    let lines = Lines()
    let results = try service(outbox, lines.logger)
    let patient = try SessionBench.reference(1)
    let good = try await answer(to: patient, in: outbox)
    var unknown = good
    (unknown.id, unknown.captureID) = (try Self.id(51), try Self.id(11))
    var otherRecord = good
    (otherRecord.id, otherRecord.recordSHA256) = (try Self.id(52), String(repeating: "0", count: 64))
    var otherDevice = good
    (otherDevice.id, otherDevice.device) = (try Self.id(53), "d2")
    await results.handle(try message(good, by: CommandSender()))
    await results.handle(try message(unknown))
    await results.handle(try message(otherRecord))
    await results.handle(try message(otherDevice))
    #expect(try await replies(outbox) == ["result refused", "result refused"])
    #expect(try await alerts(outbox) == ["result-unknown-capture", "result-record-differs"])
    #expect(try await outbox.waitingAnswers().next(for: [patient]) == nil)
    // The good one, and then another content under its id.
    await results.handle(try message(good))
    var twice = good
    twice.state = "repeat-requested"
    await results.handle(try message(twice))
    #expect(try await replies(outbox) == ["result refused", "result refused", "result done", "result refused"])
    #expect(try await alerts(outbox).last == "result-id-twice")
    #expect(try await outbox.waitingAnswers().next(for: [patient])?.word == .answered)
  }

  /// What the log cannot witness is not taken, and taken when it is offered again; which answer it is stands nowhere.
  @Test func anAnswerStandsInTheLogBeforeItIsKept() async throws {
    let outbox = try outbox("witnessed.sqlite")
    let patient = try SessionBench.reference(1)
    let good = try await answer(to: patient, in: outbox)
    var unknown = good
    (unknown.id, unknown.captureID) = (try Self.id(51), try Self.id(11))
    let trail = RecordingTrail { _ in try await outbox.waitingAnswers().next(for: [patient]) == nil }
    let results = try service(outbox, Lines().logger, audit: trail)
    trail.refuses = true
    await results.handle(try message(good))
    #expect(try await replies(outbox) == [])
    #expect(try await outbox.waitingAnswers().next(for: [patient]) == nil)
    trail.refuses = false
    await results.handle(try message(good))
    await results.handle(try message(good))
    for _ in 0..<3 { await results.handle(try message(unknown)) }
    #expect(
      try await replies(outbox) == ["result done", "result done"] + [String](repeating: "result refused", count: 3))
    let shelf = ClinicShelf(outbox: outbox, audit: trail, logger: Lines().logger)
    let waiting = try #require(await shelf.next([patient]))
    await shelf.shown(waiting.answers, clock.now())
    #expect(trail.wasFirst, "the entry comes before the answer is kept")
    let events = trail.events
    #expect(events.map(\.kind) == [.result, .result, .result])
    #expect(events.first == .result(.accepted, id: good.id, capture: good.captureID))
    #expect(events.last == .result(.shown, id: good.id))
    #expect(events[1].what.members.contains { $0.name == "reason" })
    for event in events { #expect(!"\(event.what)".contains("answered")) }
  }

  /// A long press just after the tag: on disk first, then the light; and no light where it is not on disk.
  @Test func aWishToBeCalledIsWrittenDownBeforeTheLight() async throws {
    let bench = try SessionBench {
      $0.viewStart = .sign
      $0.positionSeconds = 60
    }
    try bench.present(1)
    try await bench.wait("a session is open") { bench.session.control.snapshot.state == .positioning }
    bench.events.send(.pressed(.long))
    try await bench.wait("it is acknowledged") { bench.panel.signals.contains(.callNoted) }
    let call = try #require(bench.memory.now.events.first { $0.kind == .callRequested })
    #expect(call.patientRef == (try SessionBench.reference(1)))
    #expect(call.sessionID == bench.session.control.snapshot.sessionID && call.sessionID != nil)
    #expect(bench.session.control.snapshot.state == .positioning, "the session goes on")
    bench.events.send(.pressed(.long))
    try await bench.wait("it ends") { bench.session.control.snapshot.state == .idle }
    #expect(bench.memory.now.events.filter { $0.kind == .callRequested }.count == 1)
    try await bench.stop()

    let broken = try SessionBench(
      {
        $0.viewStart = .sign
        $0.positionSeconds = 60
      }, store: BrokenStore())
    try broken.present(1)
    try await broken.wait("a session is open") { broken.session.control.snapshot.state == .positioning }
    broken.events.send(.pressed(.long))
    try await broken.wait("it is told that it failed") { broken.panel.signals.contains(.notNow) }
    #expect(!broken.panel.signals.contains(.callNoted))
    try await broken.stop()
  }

  /// A disk that takes no event.
  private struct BrokenStore: CaptureStore {
    let outboxID = MemoryStore().outboxID
    func store(_ capture: NewCapture) async -> CaptureStoring { .failed(isFull: false, reason: "broken") }
    func store(_ message: NewMessage) async throws { throw CancellationError() }
    func isFull(captures: Int) async -> Bool { false }
  }
}
