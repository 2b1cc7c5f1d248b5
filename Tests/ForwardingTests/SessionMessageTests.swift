import Forwarding
import Foundation
import Identification
import Provenance
import Screening
import Testing

@Suite struct SessionMessageTests {
  private let at = Timestamp(
    utcNanoseconds: 1_772_357_400_125_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true)

  private func summary(_ outcome: SessionSummary.Outcome) throws -> SessionSummary {
    // The machine alone makes summaries: a session that is cancelled at once gives one.
    var rules = SessionRules()
    rules.questions = [.init(code: "fever", sentence: "Do you have a fever?")]
    var machine = SessionMachine(rules: rules)
    var generator = SystemRandomNumberGenerator()
    let tag = KnownTag(reference: try #require(PatientReference("ward-7")))
    _ = machine.handle(.tagPresented(tag), atNanoseconds: 1, using: &generator)
    _ = machine.handle(.answer(true), atNanoseconds: 2, using: &generator)
    for action in machine.handle(.button(.long), atNanoseconds: 11_000_000_000, using: &generator) {
      if case .close(var summary) = action {
        summary.outcome = outcome
        return summary
      }
    }
    throw CancellationError()
  }

  @Test func theWireFormIsFixed() throws {
    let ended = try summary(.incomplete(.anotherPatient))
    let text = String(decoding: try SessionMessage(ended, at: at).encoded(), as: UTF8.self)
    #expect(
      text == "{\"answers\":[{\"code\":\"fever\",\"yes\":true}],\"at\":\"2026-03-01T09:30:00.125Z\",\"complete\":false,"
        + "\"kind\":\"session-closed\",\"patient_ref\":\"ward-7\",\"reason\":\"another-patient\",\"saved_views\":[],"
        + "\"schema\":\"thermograph.session.v1\",\"session_id\":\"\(ended.sessionID)\"}")
    let refusal = String(decoding: try SessionMessage(.ambiguousTags, at: at).encoded(), as: UTF8.self)
    #expect(
      refusal == "{\"at\":\"2026-03-01T09:30:00.125Z\",\"kind\":\"tag-refused\",\"reason\":\"ambiguous-tags\","
        + "\"schema\":\"thermograph.session.v1\"}")
    #expect(SessionMessage(maintenanceBy: nil, at: at).kind == .maintenanceClosed)
  }

  @Test func historyPutsRecordsAndTheirEndTogether() throws {
    let ended = try summary(.complete)
    var generator = SystemRandomNumberGenerator()
    func record(_ view: CaptureView, _ sequence: Int64) -> CaptureRecord {
      let verdict = Verdict(
        outcome: .aboveThreshold, rawOutput: [], score: nil, probability: nil, thresholds: .init(lower: 0, upper: 1),
        leftRightDifference: nil, viewScores: [:], modelID: "m", modelSHA256: "", demonstration: sequence == 1,
        reasons: [])
      let gate = QualityGate(
        code: .motion, value: 2, limit: 1, unit: "Cel", severity: .hard, passed: false, sentence: "s")
      return CaptureRecord(
        captureID: RandomIdentifier(using: &generator), outboxID: ended.sessionID, sequence: sequence,
        sessionID: ended.sessionID, site: "s", device: "d", capturedAt: .init(at), redatedAt: nil,
        patientRef: "ward-7", tagKind: .patient, view: view, attempt: 1,
        acquisition: .init(
          camera: "MLX90640", cameraSerial: "000000000000", lens: "55x35", distanceCentimetres: 50, emissivity: 1,
          reflectedTemperatureCelsius: 20, refreshRateHz: 16, framesAveraged: 16, sensorTemperatureCelsius: 30,
          supplyVolts: 3.3, settling: false, interpolatedPixels: 0), gates: [gate], verdict: verdict, images: [],
        durations: .init(acquisitionMilliseconds: 1, edgeMilliseconds: 1),
        versions: .init(firmware: "0", configurationSHA256: "", modelSHA256: ""))
    }
    var history = SessionHistory()
    history.add(record(.frontal, 1))
    history.add(record(.leftOblique, 2))
    #expect(history.entries.count == 1 && history.entries[0].isComplete == nil)
    history.add(SessionMessage(ended, at: at))
    history.add(SessionMessage(.ambiguousTags, at: at))
    #expect(history.entries.count == 1)
    let entry = history.entries[0]
    #expect(entry.isComplete == true && entry.patientRef == "ward-7" && entry.captures.map(\.sequence) == [1, 2])
    #expect(entry.captures.map(\.failedGates) == [[.motion], [.motion]])
    // A demonstration model's outcome is withheld.
    #expect(entry.captures.map(\.outcome) == [nil, .aboveThreshold])
  }
}
