import Foundation
import Identification
import Provenance
import Screening
import Synchronization
import Testing

@testable import Device

/// Requests, the snapshot, and what a restart finds.
@Suite struct SessionRequestTests {
  private func patient(_ text: String) throws -> PatientReference { try #require(PatientReference(text)) }

  @Test func aRequestBeginsASessionAndASecondOneIsRefused() async throws {
    let bench = try SessionBench()
    let control = bench.session.control
    guard case .accepted(let session) = await control.requestCapture(of: try patient("ward-7")) else {
      Issue.record("refused")
      return
    }
    let id = try await bench.captureAsked()
    let snapshot = control.snapshot
    #expect(snapshot.state == .averaging && snapshot.sessionID == session && snapshot.patientRef == "ward-7")
    #expect(snapshot.view == .frontal && snapshot.attempt == 1 && snapshot.sentence.hasPrefix("Hold still"))
    guard case .refused(let reason) = await control.requestCapture(of: try patient("ward-8")) else {
      Issue.record("a second session was begun")
      return
    }
    #expect(reason.contains("under way"))
    #expect(control.snapshot.sessionID == session, "the first goes on")
    bench.events.send(.averaging(captureID: id, framesAveraged: 4, of: 16))
    try await bench.wait("progress is seen") { control.snapshot.framesAveraged == 4 }
    #expect(await control.cancel() == .accepted(sessionID: session))
    #expect(control.snapshot.state == .idle && control.snapshot.patientRef == nil)
    #expect(bench.memory.now.events.last?.reason == "cancelled" && bench.memory.now.records.isEmpty)
    #expect(await control.cancel() == .refused(reason: "no session is open"))
  }

  /// Asked for from afar: nothing begins before the patient's own gesture, and what would refuse the tag refuses this too.
  @Test func aRequestFromAfarWaitsForTheTag() async throws {
    let roster = try Roster.made(
      """
      fingerprint,id,role,consent
      \(SessionBench.reference(1)),ward-7,patient,capture upload
      \(SessionBench.reference(2)),nurse-1,operator,
      \(SessionBench.reference(3)),ward-8,patient,
      """)
    let bench = try SessionBench(roster: roster)
    let control = bench.session.control
    for (name, word) in [("nurse-1", "staff"), ("ward-8", "consent"), ("nobody", "roster")] {
      guard case .refused(let reason) = await control.awaitPatient(try patient(name)) else {
        Issue.record("\(name) is waited for")
        continue
      }
      #expect(reason.contains(word), "\(reason)")
      #expect(control.snapshot.state == .idle)
    }
    guard case .waiting = await control.awaitPatient(try patient("ward-7")) else {
      Issue.record("refused")
      return
    }
    #expect(control.snapshot.state == .awaitingPatient && control.snapshot.sessionID == nil)
    #expect(control.snapshot.patientRef == nil, "who was asked for is nobody's to read")
    // A light to find the device would cover the one that asks for the tag.
    guard case .refused = await control.identify(seconds: 5) else {
      Issue.record("it shines")
      return
    }
    guard case .accepted = await control.requestCapture(of: try patient("ward-7")) else {
      Issue.record("the tag is refused")
      return
    }
    _ = try await bench.captureAsked()
    guard case .refused(let reason) = await control.awaitPatient(try patient("ward-7")) else {
      Issue.record("waited for in the middle of a session")
      return
    }
    #expect(reason.contains("under way"))
    _ = await control.cancel()
    #expect(control.snapshot.state == .idle)
  }

  @Test func consentAndRolesHoldForRequestsToo() async throws {
    let roster = try Roster.made(
      """
      fingerprint,id,role,consent
      \(SessionBench.reference(1)),ward-7,patient,
      \(SessionBench.reference(2)),nurse-1,operator,
      """)
    let bench = try SessionBench(roster: roster)
    for (name, word) in [("ward-7", "consent"), ("nurse-1", "staff")] {
      guard case .refused(let reason) = await bench.session.control.requestCapture(of: try patient(name)) else {
        Issue.record("\(name) was accepted")
        continue
      }
      #expect(reason.contains(word), "\(reason)")
    }
  }

  @Test func theRestCanBeSkippedAndTheRecordSaysSo() async throws {
    let bench = try SessionBench { $0.acclimatisationSeconds = 600 }
    let control = bench.session.control
    _ = await control.requestCapture(of: try patient("ward-7"))
    try await bench.wait("rest") { control.snapshot.state == .acclimatising }
    _ = await control.skipRest()
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("stored") { bench.memory.now.records.count == 1 }
    let gate = try #require(bench.memory.now.records.first?.gates.first { $0.code == .notAcclimatised })
    #expect(!gate.passed && gate.value > 500)
  }

  @Test func requestsAfterTheEndAreRefused() async throws {
    let bench = try SessionBench()
    try await bench.stop()
    guard case .refused = await bench.session.control.requestCapture(of: try patient("ward-7")) else {
      Issue.record("accepted after the end")
      return
    }
    #expect(bench.session.control.snapshot.state == .stopping)
  }

  @Test func newSettingsHoldFromTheNextSessionOn() async throws {
    let bench = try SessionBench { $0.views = [.frontal] }
    try bench.present(1)
    let first = try await bench.captureAsked()
    var rules = SessionRules()
    rules.acclimatisationSeconds = 0
    rules.positionSeconds = 0
    rules.retakesPerView = 0
    rules.views = [.leftOblique]
    bench.events.send(.policy(.init(rules: rules, limits: GateLimits(), alerts: .init(rules: []), roster: nil)))
    bench.events.send(.thermogram(SessionBench.thermogram(first)))
    try await bench.wait("stored") { bench.memory.now.events.count == 1 }
    try bench.present(2)
    let second = try await bench.captureAsked()
    bench.events.send(.thermogram(SessionBench.thermogram(second)))
    try await bench.wait("stored") { bench.memory.now.events.count == 2 }
    #expect(bench.memory.now.records.map(\.view) == [.frontal, .leftOblique])
  }

  /// A session of two views whose process dies during the second: its journal is what is left.
  private func interrupted() async throws -> (bench: SessionBench, journal: String) {
    let bench = try SessionBench { $0.views = [.frontal, .leftLateral] }
    try bench.present(1)
    bench.events.send(.thermogram(SessionBench.thermogram(try await bench.captureAsked())))
    _ = try await bench.captureAsked()
    let left = NSTemporaryDirectory() + "thermograph-left-\(UUID().uuidString).json"
    try FileManager.default.copyItem(atPath: bench.folder + "/session.json", toPath: left)
    return (bench, left)
  }

  @Test func theOwnTagTakesAnInterruptedSessionUp() async throws {
    let (before, journal) = try await interrupted()
    let mode = try FileManager.default.attributesOfItem(atPath: before.folder + "/session.json")[.posixPermissions]
    #expect(mode as? Int == 0o600)
    let after = try SessionBench(journal: journal)
    try await after.wait("it waits for its own tag") { after.session.control.snapshot.state == .awaitingPatient }
    try after.present(1)
    let id = try await after.captureAsked()
    #expect(after.session.control.snapshot.view == .leftLateral)
    after.events.send(.thermogram(SessionBench.thermogram(id)))
    try await after.wait("closed") { after.memory.now.events.count == 1 }
    #expect(after.memory.now.records.map(\.sessionID) == before.memory.now.records.map(\.sessionID))
    #expect(after.memory.now.records.first?.view == .leftLateral)
    #expect(after.memory.now.events.first?.savedViews == [.frontal, .leftLateral])
    #expect(!FileManager.default.fileExists(atPath: journal))
  }

  @Test func anothersTagClosesAnInterruptedSession() async throws {
    let (before, journal) = try await interrupted()
    let after = try SessionBench(journal: journal)
    try after.present(2)
    try await after.wait("closed") { after.memory.now.events.count == 2 }
    let closed = try #require(after.memory.now.events.last)
    let patient = try SessionBench.reference(1)
    #expect(closed.reason == "another-patient" && closed.patientRef == patient)
    #expect(closed.sessionID == before.memory.now.records.first?.sessionID && after.memory.now.records.isEmpty)
  }

  @Test func anOldInterruptedSessionIsClosedAsIncomplete() async throws {
    let (_, journal) = try await interrupted()
    let after = try SessionBench({ $0.resumeSeconds = 0 }, journal: journal)
    try await after.wait("closed") { after.memory.now.events.count == 1 }
    #expect(after.memory.now.events.first?.reason == "interrupted")
    #expect(after.memory.now.events.first?.savedViews == [.frontal])
    try await after.wait("it is idle") { after.session.control.snapshot.state == .idle }
  }

  @Test func aJournalThatIsNoneIsRemovedAndStopsNobody() async throws {
    let folder = NSTemporaryDirectory() + "thermograph-journal-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try "{}".write(toFile: folder + "/session.json", atomically: true, encoding: .utf8)
    let bench = try SessionBench(journal: folder + "/session.json")
    try bench.present(1)
    _ = try await bench.captureAsked()
    #expect(bench.memory.now.events.isEmpty)
  }

  @Test func theAgeOfAJournalIsToldOnlyByAClockThatKnows() throws {
    func instant(_ boot: String, _ seconds: UInt64, utc: Int64, _ synchronised: Bool) -> Timestamp {
      Timestamp(
        utcNanoseconds: utc * 1_000_000_000, bootID: boot, monotonicNanoseconds: seconds * 1_000_000_000,
        synchronised: synchronised)
    }
    var generator = SystemRandomNumberGenerator()
    let checkpoint = SessionCheckpoint(
      sessionID: RandomIdentifier(using: &generator), patient: "p", signedBy: nil, views: [.frontal], savedViews: [],
      viewIndex: 0, attempt: 0)
    let entry = SessionJournal.Page(written: instant("a", 100, utc: 1000, true), checkpoint: checkpoint)
    #expect(entry.ageSeconds(at: instant("a", 160, utc: 0, false)) == 60)
    #expect(entry.ageSeconds(at: instant("b", 5, utc: 1300, true)) == 300)
    #expect(entry.ageSeconds(at: instant("b", 5, utc: 1300, false)) == nil)
    #expect(entry.ageSeconds(at: instant("b", 5, utc: 900, true)) == 0)
  }

  /// The end is an event: it is told though the watcher looks only now and then, and every view of it.
  @Test func whoAskedForACaptureIsToldHowItEnded() async throws {
    let bench = try SessionBench { $0.views = [.frontal, .leftLateral] }
    let told = Told()
    let control = bench.session.control
    let watcher = Task { try await control.capture("ward-7") { told.add($0) } }
    for _ in 0..<2 {
      let id = try await bench.captureAsked()
      bench.events.send(.thermogram(SessionBench.thermogram(id)))
    }
    try await watcher.value
    let last = try #require(told.lines.last)
    #expect(last.isOver && last.isComplete == true && last.reason == nil)
    #expect(last.savedViews == ["frontal", "left-lateral"])
    #expect(told.lines.filter(\.isOver).count == 1)
    let cancelled = Told()
    let second = Task { try await control.capture("ward-7") { cancelled.add($0) } }
    _ = try await bench.captureAsked()
    _ = await control.cancel()
    try await second.value
    let end = try #require(cancelled.lines.last)
    #expect(end.isOver && end.isComplete == false && end.reason == "cancelled" && end.savedViews.isEmpty)
    #expect(end.sentence.contains("No picture was saved."))
  }

  /// What a watcher was told.
  private final class Told: Sendable {
    private let content = Mutex<[CaptureProgress]>([])
    var lines: [CaptureProgress] { content.withLock { $0 } }
    func add(_ progress: CaptureProgress) -> Bool {
      content.withLock { $0.append(progress) }
      return true
    }
  }
}
