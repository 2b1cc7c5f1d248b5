import Forwarding
import Foundation
import Identification
import Panel
import Provenance
import Screening
import Storage
import Testing

@testable import Device

/// A card without room: nobody is led through a session that cannot be saved, and nobody is told otherwise.
@Suite struct FullStoreTests {
  private func outbox(_ folder: String, quota: OutboxQuota) throws -> Outbox {
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.create(path: folder + "/key", digests: OpenSSLDigests(), using: &generator)
    return try Outbox(
      OutboxConfiguration(path: folder + "/outbox.sqlite", keys: KeyRing(current: key), quota: quota),
      time: UptimeClock())
  }

  private func scratch() throws -> String {
    let folder = NSTemporaryDirectory() + "thermograph-full-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
  }

  /// The quota has room, the file system has none above its floor.
  @Test func theSecondPatientIsRefusedAtTheTag() async throws {
    let folder = try scratch()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let outbox = try outbox(folder, quota: OutboxQuota(freeSpaceFloorBytes: 1 << 50, ballastBytes: 0))
    let bench = try SessionBench(store: OutboxStore(outbox: outbox))
    try await bench.wait("the panel says it") { bench.panel.signals.last == .full }
    for patient in UInt8(1)...2 { try bench.present(patient) }
    bench.events.send(.outboxTidied)
    for patient in UInt8(1)...2 { try bench.present(patient) }
    let answered = await bench.session.control.requestCapture(of: try #require(PatientReference("ward-7")))
    guard case .refused(let reason) = answered else {
      Issue.record("a session was begun: \(answered)")
      return
    }
    #expect(reason.contains("memory is full"))
    let snapshot = bench.session.control.snapshot
    #expect(snapshot.storageIsFull && snapshot.state == .idle)
    #expect(snapshot.sentence.contains("memory is full"), "\(snapshot.sentence)")
    #expect(Set(bench.panel.signals) == [.full], "no other light between the refusals: \(bench.panel.signals)")
    #expect(bench.camera.take() == nil)
    try await bench.stop()
    await outbox.close()
  }

  /// Room for a picture is not room for a session.
  @Test func aSessionBeginsOnlyWhereAllOfItFinds() async throws {
    let folder = try scratch()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let outbox = try outbox(
      folder, quota: OutboxQuota(totalBytes: 1 << 20, freeSpaceFloorBytes: 0, ballastBytes: 0))
    #expect(try await outbox.captureRefusalReason(captures: 1) == nil)
    #expect(try await outbox.captureRefusalReason(captures: 7) == nil)
    #expect(try await outbox.captureRefusalReason(captures: 8)?.contains("outbox.maximum_bytes") == true)
    let store = OutboxStore(outbox: outbox)
    #expect(await !store.isFull(captures: 7))
    #expect(await store.isFull(captures: 8))
    var rules = SessionRules()
    (rules.views, rules.retakesPerView) = ([.frontal, .leftLateral], 2)
    #expect(rules.mostCaptures == 6)
    await outbox.close()
  }

  /// Status and light change once when room goes, and once when it comes back; a look in between changes nothing.
  @Test func statusStaysTrueWhileRoomComesAndGoes() async throws {
    let bench = try SessionBench()
    try await bench.wait("ready") { bench.panel.signals.last == .ready }
    bench.memory.change { $0.isFull = true }
    bench.events.send(.outboxTidied)
    try await bench.wait("full") { bench.session.control.snapshot.storageIsFull }
    try await bench.wait("the light says so") { bench.panel.signals.last == .full }
    try bench.present(1)
    try await bench.wait("refused") { bench.memory.now.events.last?.reason == "storage-full" }
    #expect(bench.session.control.snapshot.storageIsFull)
    bench.memory.change { $0.isFull = false }
    bench.events.send(.outboxTidied)
    try await bench.wait("free again") { !bench.session.control.snapshot.storageIsFull }
    try await bench.wait("the light and the sentence say so") {
      bench.panel.signals.last == .ready && bench.session.control.snapshot.sentence.hasPrefix("Hold your tag")
    }
  }

  @Test func aSaveThatFailsSaysThatNothingIsSaved() async throws {
    let bench = try SessionBench()
    bench.memory.change { $0.failure = .failed(isFull: true, reason: "no space") }
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.memory.change { $0.isFull = true }
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("the session is closed") { bench.memory.now.events.last?.kind == .sessionClosed }
    try await bench.wait("the light says it") { bench.panel.signals.last == .full }
    #expect(bench.panel.signals.contains(.nothingSaved))
    #expect(!bench.panel.signals.contains(.saved) && !bench.panel.signals.contains(.incomplete))
    #expect(bench.memory.now.events.last?.savedViews == [])
  }
}
