import Forwarding
import Foundation
import Provenance
import Screening
import Storage
import TestSupport
import Testing

@Suite struct HistoryTests {
  private let scratch: ScratchFolder
  private let clock = ManualClock()
  private let outbox: Outbox

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    outbox = try Outbox(
      OutboxConfiguration(
        path: scratch.file("outbox.sqlite"), keys: KeyRing(current: makeKey(4)), retentionSeconds: 86_400), time: clock)
  }

  @discardableResult
  private func store(_ patientRef: String, view: CaptureView = .frontal) async throws -> StoredCapture {
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    let session = RandomIdentifier(using: &generator)
    let now = clock.now()
    return try await outbox.enqueue(
      NewCapture(
        captureID: id, created: now,
        images: [CaptureImage(name: "master.png", contentType: "image/png", bytes: [1, 2, 3])],
        record: { number in
          try CanonicalJSON.bytes(
            of: Self.record(id, number, session: session, patient: patientRef, at: now, view: view))
        }))
  }

  static func record(
    _ id: RandomIdentifier, _ number: CaptureNumber, session: RandomIdentifier, patient: String, at now: Timestamp,
    view: CaptureView = .frontal
  ) -> CaptureRecord {
    let digest = String(repeating: "a", count: 64)
    let verdict = Verdict(
      outcome: .notAssessable, rawOutput: [], score: nil, probability: nil, thresholds: .init(lower: 0, upper: 1),
      leftRightDifference: nil, viewScores: [:], modelID: "", modelSHA256: "", demonstration: false, reasons: ["none"])
    return CaptureRecord(
      captureID: id, outboxID: number.outboxID, sequence: number.sequence, sessionID: session, site: "s",
      device: "d", capturedAt: .init(now), redatedAt: nil, patientRef: patient, tagKind: .patient, view: view,
      attempt: 1,
      acquisition: .init(
        camera: "c", cameraSerial: "0", lens: "l", distanceCentimetres: 50, emissivity: 1,
        reflectedTemperatureCelsius: 20, refreshRateHz: 8, framesAveraged: 1, sensorTemperatureCelsius: 20,
        supplyVolts: 3.3, settling: false, interpolatedPixels: 0),
      gates: [], verdict: verdict, images: [],
      durations: .init(acquisitionMilliseconds: 1, edgeMilliseconds: 1),
      versions: .init(firmware: "0", configurationSHA256: digest, modelSHA256: digest))
  }

  @Test func onlyThePatientsOwnRecordsComeNewestFirst() async throws {
    for index in 0..<150 { try await store(index.isMultiple(of: 3) ? "alpha" : index == 100 ? "alphabet" : "beta") }
    let history = try await outbox.history(ofPatient: ["alpha"])
    #expect(history.records.count == 50)
    #expect(history.records.allSatisfy { $0.patientRef == "alpha" })
    #expect(history.records.map(\.sequence) == history.records.map(\.sequence).sorted(by: >))
    #expect(history.scanned == 150 && history.unreadable == 0)
    #expect(try await outbox.history(ofPatient: ["alphabet"]).records.count == 1)
    #expect(try await outbox.history(ofPatient: ["gamma"]).records.isEmpty)
    #expect(try await outbox.history(ofPatient: ["alpha"], limit: 5).records.count == 5)
  }

  @Test func whatWasDeliveredIsStillThePatientsPast() async throws {
    let first = try await store("alpha")
    try await store("alpha")
    var settlement = Settlement()
    settlement.delivered = first.itemIDs
    try await outbox.settle(settlement)
    #expect(try await outbox.history(ofPatient: ["alpha"]).records.count == 2)
  }

  @Test func foreignPayloadsAreCountedAndPassedOver() async throws {
    try await store("alpha")
    var generator = SystemRandomNumberGenerator()
    // A record of another make that names the patient.
    _ = try await outbox.enqueue(
      NewCapture(captureID: RandomIdentifier(using: &generator), created: clock.now(), images: []) { _ in
        Array(#"{"patient_ref":"alpha"}"#.utf8)
      })
    let history = try await outbox.history(ofPatient: ["alpha"])
    #expect(history.records.count == 1 && history.unreadable == 1)
  }
}
