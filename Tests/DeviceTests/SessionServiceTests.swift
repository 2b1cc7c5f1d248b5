import DeviceSimulation
import Forwarding
import Foundation
import Identification
import Provenance
import Screening
import Storage
import Synchronization
import Testing

@testable import Device

/// The session as the device runs it: events in, captures and messages out.
@Suite struct SessionServiceTests {
  @Test func aTagLeadsToAStoredCaptureOfThatPatient() async throws {
    let bench = try SessionBench()
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("the session is closed") { bench.memory.now.events.count == 1 }
    let record = try #require(bench.memory.now.records.first)
    #expect(bench.memory.now.records.count == 1)
    #expect(record.captureID == id && record.sequence == 1 && record.outboxID == bench.memory.outboxID)
    #expect(record.patientRef == (try SessionBench.reference(1)) && record.patientRefVersion == 2)
    #expect(record.formerPatientRef == nil)
    #expect(record.view == .frontal && record.attempt == 1)
    #expect(record.signedBy == nil && record.answers == nil && record.consent == nil)
    let event = try #require(bench.memory.now.events.first)
    #expect(event.kind == .sessionClosed && event.isComplete == true && event.sessionID == record.sessionID)
    #expect(event.savedViews == [.frontal] && event.patientRef == record.patientRef)
    // Nothing of the session is left for a restart to find.
    #expect(!FileManager.default.fileExists(atPath: bench.folder + "/session.json"))
    try await bench.wait("the panel is back at ready") { bench.panel.signals.last == .ready }
    // An even picture shows nobody: it is on the card, and nobody is told that all is well.
    #expect(bench.panel.signals.contains(.capturing) && bench.panel.signals.contains(.notAssessable))
    #expect(!bench.panel.signals.contains(.saved))
  }

  /// The far side joins the two references by the one record that names both.
  @Test(arguments: [true, false]) func theFormerReferenceIsToldOnce(isNews: Bool) async throws {
    let bench = try SessionBench(
      { $0.views = [.frontal, .leftLateral] },
      past: { _, _ in PatientPast(captures: [], isUnderFormerReferenceOnly: isNews) })
    try bench.present(1)
    for _ in 0..<2 {
      let id = try await bench.captureAsked()
      bench.events.send(.thermogram(SessionBench.thermogram(id)))
    }
    try await bench.wait("both are stored") { bench.memory.now.records.count == 2 }
    let former = try SessionBench.formerReference(1)
    let records = bench.memory.now.records
    #expect(records.map(\.formerPatientRef) == [isNews ? former : nil, nil])
    #expect(try records.allSatisfy { try $0.patientRef == SessionBench.reference(1) && $0.patientRefVersion == 2 })
  }

  /// Something is wrong that keeps no picture from being taken: the idle light says that a technician is needed, the next
  /// patient is captured all the same, and what does keep pictures from being taken is shown before it.
  @Test func theDegradedLightAsksForATechnicianAndTurnsNobodyAway() async throws {
    let isBroken = Mutex(true)
    let bench = try SessionBench(needsTechnician: { isBroken.withLock { $0 } })
    try await bench.wait("the light asks for a technician") { bench.panel.signals.last == .degraded }
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("the capture is stored, and the light is as before") {
      bench.memory.now.records.count == 1 && bench.panel.signals.last == .degraded
    }
    bench.events.send(.cameraLost(reason: "unplugged"))
    try await bench.wait("no capture is possible") { bench.panel.signals.last == .unable }
    bench.events.send(.cameraReturned)
    try await bench.wait("a technician again") { bench.panel.signals.last == .degraded }
    isBroken.withLock { $0 = false }
    bench.events.send(.timePassed)
    try await bench.wait("all is well") { bench.panel.signals.last == .ready }
    // A reader that went away needs a technician too.
    bench.events.send(.readerLost(reason: "unplugged"))
    try await bench.wait("no reader") { bench.panel.signals.last == .degraded }
    bench.events.send(.readerReturned)
    try await bench.wait("the reader is back") { bench.panel.signals.last == .ready }
  }

  /// Where the person's earlier pictures say otherwise, it is asked whose tag it was; with pictures like them it is not.
  @Test(arguments: [0.0, 2.0]) func aPictureUnlikeTheEarlierOnesRaisesAnAlert(shift: Double) async throws {
    let torso = TorsoScene().celsius(atMicroseconds: 0).map { Float($0) }
    let own = try #require(SubjectMeasurements(geometry: .mlx90640, celsius: torso)).regions
    try #require(own.count == 6)
    var generator = SystemRandomNumberGenerator()
    let earlier = (1...4).map { number in
      EarlierCapture(
        sessionID: RandomIdentifier(using: &generator), view: .frontal, sequence: Int64(number),
        regions: own.enumerated().map { index, region in
          var region = region
          region.relativeCelsius += index.isMultiple(of: 2) ? shift : -shift
          return region
        })
    }
    let bench = try SessionBench(
      alerts: [AlertRule(.unlikeEarlier, severity: .warning, holdOffSeconds: 0)],
      past: { _, _ in PatientPast(captures: earlier) })
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id, celsius: torso)))
    try await bench.wait("the session is over") { !bench.memory.now.events.isEmpty }
    try await bench.stop()
    let alerts = bench.memory.now.alerts
    #expect(alerts.map(\.code) == (shift == 0 ? [] : ["unlike-earlier"]))
    if let alert = alerts.first {
      #expect(
        alert.detail == "capture \(id): unlike this person's earlier pictures (4 sessions): was it the right tag?")
      #expect(!"\(alert)".contains(try SessionBench.reference(1)), "an alert names no patient")
    }
    #expect(bench.memory.now.records.first?.verdict.changeSinceBaseline?.sessions == 4)
  }

  @Test func theOutboxTakesRecordImagesAndEvent() async throws {
    let folder = NSTemporaryDirectory() + "thermograph-session-outbox-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.create(path: folder + "/key", digests: OpenSSLDigests(), using: &generator)
    let outbox = try Outbox(
      OutboxConfiguration(path: folder + "/outbox.sqlite", keys: KeyRing(current: key)), time: UptimeClock())
    let bench = try SessionBench(store: OutboxStore(outbox: outbox))
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("the event is stored") { try await outbox.accounts().total(.event).rows == 1 }
    let accounts = try await outbox.accounts()
    #expect(accounts.total(.capture).rows == 1 && accounts.total(.image).rows == 4)
    try await bench.stop()
    await outbox.close()
  }

  @Test func anotherPatientsTagEndsTheSessionAndNothingIsAttributed() async throws {
    let bench = try SessionBench()
    try bench.present(1)
    let id = try await bench.captureAsked()
    try bench.present(2)
    guard case .cancel = try await bench.nextCommand() else { throw CancellationError() }
    // The camera had finished in the same moment: its thermogram belongs to nobody now.
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try bench.present(2)
    let second = try await bench.captureAsked()
    #expect(second != id && bench.memory.now.records.isEmpty)
    // The picture of the first arrives once more, and late.
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    bench.events.send(.thermogram(SessionBench.thermogram(second)))
    try await bench.wait("the second is stored") { bench.memory.now.records.count == 1 }
    let record = try #require(bench.memory.now.records.first)
    let patient = try SessionBench.reference(2)
    #expect(record.captureID == second && record.patientRef == patient)
    let kinds = bench.memory.now.events.prefix(2).map { "\($0.kind.rawValue) \($0.reason ?? "")" }
    #expect(kinds == ["tag-refused session-of-another-patient", "session-closed another-patient"])
  }

  @Test func theOwnTagAgainChangesNothing() async throws {
    let bench = try SessionBench()
    try bench.present(1)
    let id = try await bench.captureAsked()
    try bench.present(1)
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("it is stored") { bench.memory.now.events.count == 1 }
    #expect(bench.memory.now.records.count == 1)
    while let command = bench.camera.take() {
      if case .watch = command { continue }
      Issue.record("the camera was told \(command)")
    }
  }

  @Test func severalViewsAnswersAndASignatureAreOneSession() async throws {
    let roster = try Roster.made(
      """
      fingerprint,id,role,consent
      \(SessionBench.reference(1)),ward-7,patient,capture upload research
      \(SessionBench.reference(9)),nurse-2,operator,
      """)
    let bench = try SessionBench(
      { rules in
        rules.questions = [.init(code: "fever", sentence: "Do you have a fever?")]
        rules.views = [.frontal, .leftLateral]
        rules.requiresOperator = true
        rules.requiredConsent = [.capture, .upload]
      }, roster: roster)
    try bench.present(1)
    try await bench.wait("an operator is asked for") { bench.session.control.snapshot.state == .awaitingOperator }
    try bench.present(9)
    try await bench.wait("the question is asked") { bench.session.control.snapshot.state == .asking }
    #expect(bench.session.control.snapshot.patientRef == "ward-7")
    _ = await bench.session.control.answer(false)
    for _ in 0..<2 {
      let id = try await bench.captureAsked()
      bench.events.send(.thermogram(SessionBench.thermogram(id)))
    }
    try await bench.wait("the session is closed") { bench.memory.now.events.count == 1 }
    let records = bench.memory.now.records
    #expect(records.map(\.view) == [.frontal, .leftLateral])
    #expect(Set(records.map(\.sessionID)).count == 1 && Set(records.map(\.captureID)).count == 2)
    for record in records {
      #expect(record.patientRef == "ward-7" && record.signedBy == "nurse-2")
      #expect(record.answers == [SessionAnswer(code: "fever", yes: false)])
      #expect(record.consent == [.capture, .upload, .research])
    }
  }

  @Test func withoutConsentNothingIsCaptured() async throws {
    let roster = try Roster.made(
      """
      fingerprint,consent
      \(SessionBench.reference(1)),capture
      \(SessionBench.reference(2)),
      """)
    let bench = try SessionBench({ $0.requiredConsent = [.capture, .upload] }, roster: roster)
    for tag in [UInt8(1), 2] { try bench.present(tag) }
    try await bench.wait("both are refused") { bench.memory.now.events.count == 2 }
    #expect(bench.memory.now.events.allSatisfy { $0.kind == .tagRefused && $0.reason == "no-consent" })
    #expect(bench.camera.take() == nil && bench.session.control.snapshot.state == .idle)
  }

  @Test(arguments: [UnknownTagPolicy.refuse, .ask]) func anUnknownTagIsTreatedAsThePolicySays(
    policy: UnknownTagPolicy
  ) async throws {
    let bench = try SessionBench(
      { $0.unknownTags = policy }, roster: try Roster.made("fingerprint,role\n"),
      alerts: [AlertRule(.unknownTag, severity: .warning, holdOffSeconds: 600)])
    try bench.present(1)
    try await bench.wait("an alert is raised") { bench.memory.now.alerts.count == 1 }
    #expect(bench.memory.now.alerts.first?.code == "unknown-tag")
    #expect(!"\(bench.memory.now.alerts)".contains(try SessionBench.reference(1)), "an alert names no patient")
    if policy == .refuse {
      #expect(bench.memory.now.events.first?.reason == "unknown-tag")
      #expect(bench.session.control.snapshot.state == .idle)
    } else {
      #expect(bench.session.control.snapshot.state == .confirming)
      bench.events.send(.pressed(.short))
      _ = try await bench.captureAsked()
    }
  }

  @Test func aTechniciansTagKeepsCapturesOut() async throws {
    let roster = try Roster.made("fingerprint,id,role\n\(SessionBench.reference(8)),fitter-1,technician\n")
    let bench = try SessionBench(roster: roster)
    try bench.present(8)
    try await bench.wait("maintenance") { bench.session.control.snapshot.state == .maintenance }
    try bench.present(1)
    try await bench.wait("the patient is refused") { bench.memory.now.events.count == 2 }
    #expect(bench.memory.now.events.map(\.kind) == [.maintenanceOpened, .tagRefused])
    try bench.present(8)
    try bench.present(1)
    _ = try await bench.captureAsked()
    #expect(bench.memory.now.events.map(\.kind) == [.maintenanceOpened, .tagRefused, .maintenanceClosed])
  }

  @Test func aLostCameraIsWaitedForAndRaisesOneAlert() async throws {
    let bench = try SessionBench(alerts: [AlertRule(.cameraLost, severity: .critical, holdOffSeconds: 600)])
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.cameraLost(reason: "the bus failed"))
    guard case .cancel = try await bench.nextCommand() else { throw CancellationError() }
    try await bench.wait("the light says so") { bench.panel.signals.last == .working }
    bench.events.send(.cameraReturned)
    let second = try await bench.captureAsked()
    #expect(second != id)
    bench.events.send(.cameraLost(reason: "the bus failed"))
    bench.events.send(.cameraReturned)
    let third = try await bench.captureAfterCancel()
    bench.events.send(.thermogram(SessionBench.thermogram(third)))
    try await bench.wait("it is stored") { bench.memory.now.records.count == 1 }
    // Twice lost, once told: the hold-off.
    #expect(bench.memory.now.alerts.map(\.code) == ["camera-lost"])
    #expect(bench.memory.now.alerts.first?.severity == .critical)
  }

  @Test func aFullStoreRefusesTheNextPatientAndSaysSo() async throws {
    let bench = try SessionBench()
    bench.memory.change { $0.failure = .failed(isFull: true, reason: "full") }
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("the session is closed") { bench.memory.now.events.count == 1 }
    #expect(bench.memory.now.events.first?.reason == "storage-full" && bench.memory.now.records.isEmpty)
    try await bench.wait("the panel says it") { bench.panel.signals.last == .full }
    bench.memory.change { $0.isFull = true }
    try bench.present(2)
    try await bench.wait("the next is refused") { bench.memory.now.events.count == 2 }
    #expect(bench.memory.now.events.last?.reason == "storage-full")
    bench.memory.change { ($0.isFull, $0.failure) = (false, nil) }
    try bench.present(3)
    _ = try await bench.captureAsked()
  }

  @Test func aStopWaitsForTheCaptureThatIsOnItsWay() async throws {
    let bench = try SessionBench { $0.views = [.frontal, .leftOblique] }
    bench.memory.change { $0.isHeld = true }
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("it is being saved") { bench.session.control.snapshot.state == .saving }
    let memory = bench.memory
    Task {
      try await Task.sleep(for: .milliseconds(50))
      memory.change { $0.isHeld = false }
    }
    try await bench.stop()
    #expect(memory.now.records.map(\.captureID) == [id])
    #expect(memory.now.events.last?.reason == "shutdown" && memory.now.events.last?.savedViews == [.frontal])
  }

  @Test func alertsFollowGatesOutcomeAndClock() async throws {
    let bench = try SessionBench(
      alerts: [
        AlertRule(.gate(.subjectPresent), severity: .critical, holdOffSeconds: 600),
        AlertRule(.outcome(.notAssessable), severity: .warning, holdOffSeconds: 600),
        AlertRule(.outcome(.aboveThreshold), severity: .critical, holdOffSeconds: 600),
        AlertRule(.clockUnsynchronised, severity: .warning, holdOffSeconds: 600),
      ], synchronised: false)
    try bench.present(1)
    let id = try await bench.captureAsked()
    var captured = SessionBench.thermogram(id)
    captured.ended.synchronised = false
    bench.events.send(.thermogram(captured))
    try await bench.wait("three alerts") { bench.memory.now.alerts.count == 3 }
    let codes = bench.memory.now.alerts.map(\.code)
    #expect(codes == ["outcome-not-assessable", "gate-subject-present", "clock-unsynchronised"])
    bench.events.send(.outbox(.filling(percent: 90)))
    bench.events.send(.camera(.calibrationFromBackup(differingWords: 3)))
    try await bench.wait("the technician's") { bench.memory.now.alerts.count == 4 }
    #expect(bench.memory.now.alerts.last?.code == "calibration-from-backup", "no rule asks for the outbox")
  }
}

extension SessionBench {
  /// The capture that follows a cancellation.
  func captureAfterCancel() async throws -> RandomIdentifier {
    guard case .cancel = try await nextCommand() else { throw CancellationError() }
    return try await captureAsked()
  }
}

extension Roster {
  /// Of a CSV text without faults.
  static func made(_ text: String) throws -> Roster {
    let (roster, faults) = RosterReader.read(Array(text.utf8))
    try #require(faults.isEmpty, "\(faults)")
    return roster
  }
}
