import Forwarding
import Screening
import Testing

@Suite struct AlertTableTests {
  private let second: UInt64 = 1_000_000_000

  @Test func theFirstRuleThatAppliesDecides() {
    var table = AlertTable(rules: [
      AlertRule(.gate(.clothed), severity: .critical, holdOffSeconds: 0),
      AlertRule(.gate(nil), severity: .warning, holdOffSeconds: 0),
      AlertRule(.outboxFilling(percent: 95), severity: .critical, holdOffSeconds: 0),
      AlertRule(.outboxFilling(percent: 80), severity: .warning, holdOffSeconds: 0),
    ])
    let rows: [(AlertOccasion, AlertMessage.Severity?)] = [
      (.gateFailed(.clothed), .critical), (.gateFailed(.motion), .warning), (.outboxFilling(percent: 95), .critical),
      (.outboxFilling(percent: 90), .warning), (.outboxFilling(percent: 80), .warning), (.cameraLost, nil),
      (.outcome(.aboveThreshold), nil), (.unknownTag, nil),
    ]
    for (occasion, severity) in rows { #expect(table.severity(of: occasion, atNanoseconds: 0) == severity) }
  }

  @Test func theHoldOffCountsForEachOccasionApart() {
    var table = AlertTable(rules: [AlertRule(.gate(nil), severity: .warning, holdOffSeconds: 60)])
    #expect(table.severity(of: .gateFailed(.motion), atNanoseconds: 10 * second) == .warning)
    #expect(table.severity(of: .gateFailed(.motion), atNanoseconds: 69 * second) == nil)
    #expect(table.severity(of: .gateFailed(.clothed), atNanoseconds: 11 * second) == .warning)
    #expect(table.severity(of: .gateFailed(.motion), atNanoseconds: 70 * second) == .warning)
    #expect(table.severity(of: .gateFailed(.motion), atNanoseconds: 71 * second) == nil)
  }

  @Test func codesAreFixed() {
    let rows: [(AlertOccasion, String)] = [
      (.outcome(.aboveThreshold), "outcome-above-threshold"), (.gateFailed(.tooFar), "gate-too-far"),
      (.cameraLost, "camera-lost"), (.readerLost, "reader-lost"), (.outboxFilling(percent: 80), "outbox-filling"),
      (.unknownTag, "unknown-tag"), (.clockUnsynchronised, "clock-unsynchronised"),
      (.unlikeEarlier, "unlike-earlier"), (.baselineDamaged, "baseline-damaged"),
    ]
    for (occasion, code) in rows { #expect(occasion.code == code) }
  }
}
