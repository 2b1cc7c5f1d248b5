import Foundation
import Logging
import TestSupport
import Testing

@testable import Device

/// The health check after an update, and what is remembered of the release before.
@Suite struct AfterUpdateTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func healthy(before: ReleaseRecord.Run? = nil) -> DeviceReport {
    var report = DeviceReport()
    report.firmware = "0.2.0"
    report.isReady = true
    (report.camera.health, report.camera.serial) = (.good, "0123456789ab")
    report.session = .init(state: "idle")
    report.outbox.waiting = ["capture": 3]
    (report.line.state, report.line.broker) = ("connected", "broker:8883")
    report.release = ReleaseRecord(running: .init(firmware: "0.2.0", line: .connected), before: before)
    return report
  }

  private func outcomes(_ report: DeviceReport) -> [DoctorFinding.Outcome] {
    AfterUpdate.findings(report, installed: "0.2.0").map(\.outcome)
  }

  @Test func aDeviceInOrderPasses() {
    let findings = AfterUpdate.findings(healthy(), installed: "0.2.0")
    #expect(findings.map(\.check) == AfterUpdate.Check.allCases)
    #expect(findings.allSatisfy { $0.outcome == .pass && $0.remedy == nil })
    #expect(findings.map(\.text)[3] == "pass  outbox    open; 3 captures wait")
  }

  /// Each fault alone fails the check, at its own line, and says what to do.
  @Test func eachFaultFails() {
    let faults: [(AfterUpdate.Check, (inout DeviceReport) -> Void)] = [
      (.service, { $0.firmware = "0.1.0" }), (.ready, { $0.isReady = false }), (.ready, { $0.isReady = nil }),
      (.camera, { $0.camera.health = .starting }), (.camera, { $0.camera.health = .lost }),
      (.outbox, { $0.session?.storageIsFull = true }),
      (.outbox, { $0.configuration.faults = ["the outbox does not answer: closed"] }),
      (.line, { $0.line.state = "waiting" }),
    ]
    for (check, fault) in faults {
      var report = healthy(before: .init(firmware: "0.1.0", line: .connected))
      fault(&report)
      let failed = AfterUpdate.findings(report, installed: "0.2.0").filter { $0.outcome == .fail }
      #expect(failed.map(\.check) == [check])
      #expect(failed.allSatisfy { $0.remedy != nil })
    }
  }

  @Test func safeModeAndNoServiceFailOnce() {
    var report = healthy()
    (report.mode, report.configuration.faults) = (.safe, ["thermograph.toml:3: unknown key"])
    #expect(outcomes(report) == [.fail, .skip, .skip, .skip, .skip])
    #expect(
      AfterUpdate.findings(withoutService: "nobody answers").map(\.outcome) == [.fail, .skip, .skip, .skip, .skip])
  }

  /// A clinic without a line is not told that the update broke it; one that had a line is.
  @Test func theLineIsJudgedByTheReleaseBefore() {
    let cases: [(ReleaseRecord.Run?, DoctorFinding.Outcome)] = [
      (.init(firmware: "0.1.0", line: .connected), .fail), (.init(firmware: "0.1.0", line: .never), .skip),
      (.init(firmware: "0.1.0", line: .lost), .skip), (.init(firmware: "0.1.0", line: .unconfigured), .skip),
      (nil, .warn),
    ]
    for (before, outcome) in cases {
      var report = healthy(before: before)
      report.line.state = "waiting"
      #expect(outcomes(report) == [.pass, .pass, .pass, .pass, outcome], "\(String(describing: before))")
      report.line.state = "unconfigured"
      #expect(outcomes(report).last == .skip)
    }
  }

  // MARK: - The record

  private func keeper(_ scratch: ScratchFolder, _ firmware: String) -> ReleaseKeeper {
    ReleaseKeeper(path: scratch.file("release.json"), firmware: firmware, logger: logger)
  }

  @Test func theReleaseBeforeIsRememberedOverRestartsAndRollbacks() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let first = keeper(scratch, "0.1.0")
    #expect(first.record.before == nil && !first.isConfirmed)
    first.note(line: "connecting")
    first.note(line: "connected")
    #expect(try first.confirm().confirmed == "0.1.0")
    first.end()
    // Three starts of the next one, two of them killed before they had a line.
    for _ in 0..<3 {
      let next = keeper(scratch, "0.2.0")
      #expect(next.record.before == .init(firmware: "0.1.0", line: .connected))
      #expect(!next.isConfirmed && next.record.confirmed == "0.1.0")
    }
    let back = keeper(scratch, "0.1.0")
    #expect(back.isConfirmed && back.record.before?.firmware == "0.2.0")
    let again = keeper(scratch, "0.2.0")
    #expect(!again.isConfirmed, "a release that was gone back from is not confirmed")
    _ = try again.confirm()
    #expect(keeper(scratch, "0.2.0").isConfirmed)
  }

  @Test func aLineThatWentIsALineThatWent() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let first = keeper(scratch, "0.1.0")
    first.note(line: "connected")
    first.note(line: "waiting")
    #expect(keeper(scratch, "0.2.0").record.before?.line == .connected, "killed: as it was last written")
    let second = keeper(scratch, "0.3.0")
    second.note(line: "connected")
    second.note(line: "waiting")
    second.end()
    #expect(keeper(scratch, "0.4.0").record.before == .init(firmware: "0.3.0", line: .lost))
  }

  /// Whatever stands in the file, the device starts, and nothing counts as confirmed.
  @Test func aDamagedRecordConfirmsNothing() throws {
    for text in ["", "{", "[]", #"{"schema":"thermograph.release.v9","running":{"firmware":"0.2.0","line":"never"}}"#] {
      let scratch = try ScratchFolder(inMemory: true)
      try Data(text.utf8).write(to: URL(fileURLWithPath: scratch.file("release.json")))
      let found = keeper(scratch, "0.2.0")
      #expect(!found.isConfirmed && found.record.before == nil, "\(text)")
      _ = try found.confirm()
      #expect(keeper(scratch, "0.2.0").isConfirmed)
    }
    let nowhere = ReleaseKeeper(path: "/nonexistent/release.json", firmware: "0.2.0", logger: logger)
    #expect(!nowhere.isConfirmed)
    #expect(throws: (any Error).self) { try nowhere.confirm() }
    #expect(!nowhere.isConfirmed)
  }
}
