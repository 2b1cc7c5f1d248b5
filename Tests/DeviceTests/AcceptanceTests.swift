import Cryptography
import Foundation
import Storage
import Synchronization
import Testing
import Trust

@testable import Device

/// A day before a device, in no time.
@Suite struct AcceptanceTests {
  private struct Script: Sendable {
    var report = DeviceReport()
    var passed = 0
    var waits: [Int] = []
  }

  private func report(_ passed: Int, process: Int32, uptime: Int, lost: Int, brownOuts: Int?) -> DeviceReport {
    var report = DeviceReport()
    (report.device, report.site, report.firmware, report.processID) = ("d-1", "s-1", "0.1.0", process)
    report.uptimeSeconds = uptime
    report.clock = .init(now: "at \(passed)", source: "kernel")
    report.camera.subPages = uptime * 8
    let nothing = DeviceReport.Performance.Durations(count: 0)
    report.performance = .init(
      readyMilliseconds: 900, missedSubPages: lost, jitter: nothing, captures: nothing, verdicts: nothing)
    report.sentinel = SentinelReport(stepSeconds: 10)
    if let brownOuts {
      var power = SentinelReport.Power()
      power.brownOuts = brownOuts
      report.sentinel?.power = power
    }
    return report
  }

  @Test func aDayIsSummedOverARestartAndSilence() async throws {
    let script = Mutex(Script())
    let acceptance = Acceptance(
      seconds: 86_400, board: "pi",
      look: {
        let passed = script.withLock { $0.passed }
        // An hour without an answer, then another process.
        if (36_000..<39_600).contains(passed) { return nil }
        return passed < 36_000
          ? report(passed, process: 7, uptime: 1000 + passed, lost: passed / 3600, brownOuts: 5 + passed / 7200)
          : report(passed, process: 8, uptime: passed - 38_000, lost: 2, brownOuts: 1)
      },
      wait: { seconds in
        script.withLock { state in
          state.passed += seconds
          state.waits.append(seconds)
        }
      })
    let result = try await acceptance.run()
    #expect(script.withLock { $0.passed } == 86_400 && script.withLock { $0.waits.allSatisfy { $0 == 60 } })
    #expect(result.restarts == 1 && result.unanswered == 60 && result.answered == 1 + 1440 - 60)
    // 599 minutes of the first process, and all of the second.
    #expect(result.subPages == 599 * 60 * 8 + (86_400 - 38_000) * 8)
    #expect(result.missedSubPages == 9 + 2 && result.brownOuts == 4 + 1 && result.throttlings == 0)
    #expect(result.from == "at 0" && result.to == "at 86400" && result.board == "pi")
  }

  @Test func aBoardWithoutGaugesIsNotSaidToHaveNoBrownOuts() async throws {
    let acceptance = Acceptance(
      seconds: 120, board: nil, look: { report(0, process: 1, uptime: 5, lost: 0, brownOuts: nil) }, wait: { _ in })
    let result = try await acceptance.run()
    #expect(result.brownOuts == nil && result.throttlings == nil && result.answered == 3)
  }

  @Test func withoutAServiceThereIsNoReport() async {
    let acceptance = Acceptance(seconds: 120, board: nil, look: { nil }, wait: { _ in })
    await #expect(throws: Acceptance.Failure.self) { try await acceptance.run() }
  }

  @Test func theReportIsAStatementOfTheDevice() async throws {
    let acceptance = Acceptance(
      seconds: 60, board: nil, look: { report(0, process: 1, uptime: 5, lost: 0, brownOuts: 0) }, wait: { _ in })
    let result = try await acceptance.run()
    let key = try SigningKey(pem: SigningKey.make(), digests: OpenSSLDigests())
    let bytes = try Acceptance.signed(result, by: key)
    let keys = try TrustedKeys([key.publicKey], digests: OpenSSLDigests())
    let envelope = try Envelope(reading: bytes, within: .statement)
    let opened = try keys.open(envelope, type: Acceptance.payloadType, verifier: OpenSSLVerifier())
    #expect(try JSONDecoder().decode(Acceptance.Report.self, from: Data(opened.payload)) == result)
    let stranger = try SigningKey(pem: SigningKey.make(), digests: OpenSSLDigests())
    let others = try TrustedKeys([stranger.publicKey], digests: OpenSSLDigests())
    #expect(throws: EnvelopeFault.self) {
      try others.open(envelope, type: Acceptance.payloadType, verifier: OpenSSLVerifier())
    }
  }

  @Test func durationsAreBounded() {
    #expect(
      Acceptance.seconds("24h") == 86_400 && Acceptance.seconds("90s") == 90 && Acceptance.seconds("30d") == 2_592_000)
    for wrong in ["", "h", "24", "59s", "31d", "-1h", "1.5h", "99999999999h", "24 h", "٢٤h"] {
      #expect(Acceptance.seconds(wrong) == nil, "\(wrong)")
    }
  }

  /// Quantiles beside the sorted list: never below it, and above it by at most an eighth.
  @Test func quantilesAreKnownToWithinAnEighth() {
    var generator = SystemRandomNumberGenerator()
    var histogram = DurationHistogram()
    #expect(histogram.quantile(0.5) == nil)
    var all: [Int] = []
    for _ in 0..<20_000 {
      let value = Int(exp(Double.random(in: 0...18, using: &generator)))
      histogram.add(microseconds: value)
      all.append(value)
    }
    all.sort()
    for share in [0.01, 0.5, 0.9, 0.99, 1] {
      let exact = all[max(0, Int((share * 20_000).rounded(.up)) - 1)]
      let found = histogram.quantile(share) ?? -1
      #expect(found >= exact && Double(found) <= Double(exact) * 1.13 + 1, "\(share): \(found), exactly \(exact)")
    }
    histogram.add(microseconds: .max)
    histogram.add(microseconds: .min)
    #expect(histogram.quantile(1) == 1 << 39)
  }
}
