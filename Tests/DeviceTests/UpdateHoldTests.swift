import Foundation
import Identification
import Provenance
import Synchronization
import Testing

@testable import Device

/// The device kept free for an update: who waits, who is refused, and when it ends.
@Suite struct UpdateHoldTests {
  /// The other end of a hold.
  private final class Holder: Sendable {
    private let lines = Mutex<[HoldProgress]>([])
    private let gone = Mutex(false)

    var states: [HoldProgress.State] { lines.withLock { $0.map(\.state) } }
    var reasons: [String] { lines.withLock { $0.compactMap(\.reason) } }
    var isGone: Bool { gone.withLock { $0 } }

    func leave() { gone.withLock { $0 = true } }

    func start(
      _ bench: SessionBench, wait: Int = 60, quiet: Int = 0, longest: Int = 3600
    ) -> Task<Void, any Error> {
      let control = bench.session.control
      return Task {
        try await control.hold(
          waitSeconds: wait, quietSeconds: quiet, longestSeconds: longest,
          progress: { line in
            self.lines.withLock { $0.append(line) }
            return true
          }, isGone: { self.isGone })
      }
    }
  }

  private func patient() throws -> PatientReference { try #require(PatientReference("ward-7")) }

  @Test func aTagIsRefusedWhileItLastsAndTakenAfter() async throws {
    let bench = try SessionBench()
    let control = bench.session.control
    let holder = Holder()
    let hold = holder.start(bench)
    try await bench.wait("it is held") { holder.states == [.held] }
    #expect(control.snapshot.state == .maintenance && bench.panel.signals.last == .maintenance)
    try bench.present(7)
    try await bench.wait("the light says not now") { bench.panel.signals.last == .notNow }
    guard case .refused(let reason) = await control.requestCapture(of: try patient()) else {
      Issue.record("a session was opened under the update")
      return
    }
    #expect(reason.contains("maintenance"))
    #expect(control.snapshot.sessionID == nil && bench.memory.now.records.isEmpty)
    holder.leave()
    try await hold.value
    #expect(control.snapshot.state == .idle && bench.panel.signals.last == .ready)
    guard case .accepted = await control.requestCapture(of: try patient()) else {
      Issue.record("the device is not free again")
      return
    }
    _ = await control.cancel()
  }

  @Test func aSessionIsWaitedFor() async throws {
    let bench = try SessionBench()
    let control = bench.session.control
    _ = await control.requestCapture(of: try patient())
    let holder = Holder()
    let hold = holder.start(bench)
    try await bench.wait("it waits") { holder.states == [.waiting] }
    #expect(holder.reasons.first?.contains("under way") == true)
    #expect(control.snapshot.sessionID != nil)
    _ = await control.cancel()
    try await bench.wait("it is held") { holder.states == [.waiting, .held] }
    holder.leave()
    try await hold.value
  }

  @Test func nothingIsHeldWhenTheTimeIsOver() async throws {
    let bench = try SessionBench()
    let control = bench.session.control
    let session = await control.requestCapture(of: try patient())
    let holder = Holder()
    try await holder.start(bench, wait: 0).value
    #expect(holder.states == [.refused])
    #expect(await control.cancel() == session, "the session went on")
    // Nobody is there any more, and somebody was a moment ago.
    let second = Holder()
    try await second.start(bench, wait: 0, quiet: 300).value
    #expect(second.states == [.refused] && second.reasons.first?.contains("300 s") == true)
    #expect(control.snapshot.state == .idle)
  }

  /// The package's own step within a technician's hold: the inner one is had at once, and does not end the outer.
  @Test func holdsNest() async throws {
    let bench = try SessionBench()
    let (outer, inner) = (Holder(), Holder())
    let first = outer.start(bench)
    try await bench.wait("held") { outer.states == [.held] }
    let second = inner.start(bench, wait: 0, quiet: 300)
    try await bench.wait("held twice") { inner.states == [.held] }
    inner.leave()
    try await second.value
    #expect(bench.session.control.snapshot.state == .maintenance)
    outer.leave()
    try await first.value
    #expect(bench.session.control.snapshot.state == .idle)
  }

  @Test func aForgottenHoldEndsByItself() async throws {
    let bench = try SessionBench()
    let holder = Holder()
    let hold = holder.start(bench, longest: 1)
    try await hold.value
    #expect(holder.states == [.held, .over])
    try await bench.wait("free") { bench.session.control.snapshot.state == .idle }
  }

  @Test func aStopOfTheDeviceEndsIt() async throws {
    let bench = try SessionBench()
    let holder = Holder()
    let hold = holder.start(bench)
    try await bench.wait("held") { holder.states == [.held] }
    hold.cancel()
    await #expect(throws: CancellationError.self) { try await hold.value }
    try await bench.wait("free") { bench.session.control.snapshot.state == .idle }
  }

  @Test func requestsAreBounded() throws {
    for text in [
      #"{"request":"hold","wait_seconds":86401}"#, #"{"request":"hold","quiet_seconds":-1}"#,
    ] {
      #expect(throws: ControlRefusal.self, "\(text)") { try ControlRequest(decoding: Array(text.utf8)) }
    }
    let request = try ControlRequest(
      decoding: Array(#"{"request":"hold","wait_seconds":0,"quiet_seconds":86400}"#.utf8))
    #expect(request.waitSeconds == 0 && request.quietSeconds == 86_400)
  }
}
