import Forwarding
import Foundation
import Provenance
import Screening
import Testing

/// Records held against `Docs/schemas/capture-record-2.schema.json` by Debian's python3-jsonschema.
@Suite struct RecordSchemaTests {
  private static let schema = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Docs/schemas/capture-record-2.schema.json").path

  /// The faults of each record, as the validator words them.
  private func faults(of records: [[UInt8]]) throws -> [String] {
    let script = """
      import json, sys, jsonschema
      schema = json.load(open(sys.argv[1]))
      jsonschema.Draft202012Validator.check_schema(schema)
      validator = jsonschema.Draft202012Validator(schema)
      for line in open(sys.argv[2]):
          print(" | ".join("/".join(map(str, f.path)) + ": " + f.message for f in validator.iter_errors(json.loads(line))))
      """
    let file = NSTemporaryDirectory() + "thermograph-records-\(UUID().uuidString).jsonl"
    defer { try? FileManager.default.removeItem(atPath: file) }
    try Data(records.flatMap { $0 + [0x0A] }).write(to: URL(filePath: file))
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = ["-c", script, Self.schema, file]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
  }

  static func record(_ change: (inout CaptureRecord) throws -> Void = { _ in }) rethrows -> CaptureRecord {
    var generator = SystemRandomNumberGenerator()
    let instant = CaptureRecord.Instant(
      Timestamp(
        utcNanoseconds: 1_772_000_000_000_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true))
    let digest = String(repeating: "a", count: 64)
    var record = CaptureRecord(
      captureID: RandomIdentifier(using: &generator), outboxID: RandomIdentifier(using: &generator), sequence: 1,
      sessionID: RandomIdentifier(using: &generator), site: "s", device: "d", capturedAt: instant, redatedAt: nil,
      patientRef: "abc", tagKind: .patient, view: .frontal, attempt: 1,
      acquisition: .init(
        camera: "MLX90640", cameraSerial: "0123456789ab", lens: "55x35", distanceCentimetres: 50, emissivity: 0.98,
        reflectedTemperatureCelsius: 20, refreshRateHz: 8, framesAveraged: 16, sensorTemperatureCelsius: 28,
        supplyVolts: 3.3, settling: false, interpolatedPixels: 0),
      gates: [], verdict: verdict(),
      images: [
        .init(
          name: "master.png", kind: .master, mediaType: "image/png", bytes: 2000,
          sha256: String(repeating: "c", count: 64))
      ],
      durations: .init(acquisitionMilliseconds: 4000, edgeMilliseconds: 2),
      versions: .init(firmware: "0", configurationSHA256: digest, modelSHA256: digest))
    try change(&record)
    return record
  }

  static func verdict() -> Verdict {
    Verdict(
      outcome: .uncertain, rawOutput: [3], score: 0.5, probability: 0.5, thresholds: .init(lower: 0.3, upper: 0.7),
      leftRightDifference: .init(celsius: 0.1, standardErrorCelsius: 0.01, largestLocalCelsius: 0.4),
      viewScores: ["frontal": 0.5], modelID: "m", modelSHA256: String(repeating: "a", count: 64),
      demonstration: true, reasons: ["because"])
  }

  private func json(_ record: CaptureRecord) throws -> [UInt8] {
    try CanonicalJSON.bytes(of: record)
  }

  private func full() throws -> CaptureRecord {
    var generator = SystemRandomNumberGenerator()
    let regions = RegionTemperature.Name.allCases.map {
      RegionTemperature(name: $0, celsius: 33, relativeCelsius: 0.1, spreadCelsius: 0.4, pixels: 60)
    }
    let earlier = (1...3).map {
      EarlierCapture(
        sessionID: RandomIdentifier(using: &generator), view: .frontal, sequence: $0, regions: regions)
    }
    var scores = SessionScores()
    scores.add(Self.verdict(), view: .frontal)
    return try Self.record { record in
      record.verdict.regions = regions
      record.verdict.session = scores.verdict
      record.verdict.changeSinceBaseline = PatientBaseline(earlier, view: .frontal, excluding: nil)?
        .change(of: regions)
      try record.verdict.secondHead = JSONDecoder().decode(
        Verdict.SecondHead.self,
        from: Data(#"{"label": "none", "agrees": false, "residuals": {"none": 5, "l": 9}}"#.utf8))
      record.gates = [
        QualityGate(
          code: .lens, value: 0.5, limit: 0.8, unit: "Cel", severity: .soft, passed: false, sentence: "Wipe it.")
      ]
      record.patientRefVersion = 2
      record.formerPatientRef = "abcdef"
      record.acquisition.geometry = .init(columns: 160, rows: 120)
      record.versions.unitSHA256 = String(repeating: "d", count: 64)
      record.audit = .init(size: 7, digest: Array(repeating: 0xee, count: 32))
      record.sentinel = .init(
        state: .uncertain, healthProbability: 0.4, cyberProbability: 0.5, delta: 0.2, windowID: "w-1")
      record.change = .init(
        state: .beyondVariation, sessions: 3, minimumDetectableCelsius: 1.1, falseAlarmRate: 0.05,
        places: [.init(column: 3.5, row: 4, pixels: 9, celsius: 1.6)])
      record.renderings = [
        .init(
          name: "view.png", kind: .view, mediaType: "image/png", bytes: 43_000,
          sha256: String(repeating: "9", count: 64)),
        .init(
          name: "mask.png", kind: .mask, mediaType: "image/png", bytes: 92, sha256: String(repeating: "8", count: 64)),
        .init(
          name: "standard-error.png", kind: .standardError, mediaType: "image/png", bytes: 960,
          sha256: String(repeating: "7", count: 64)),
      ]
      record.verdict.probabilityPopulation = .init(description: "synthetic torsos", prevalence: 0.5)
      record.images += [
        .init(
          name: "change.png", kind: .change, mediaType: "image/png", bytes: 900,
          sha256: String(repeating: "f", count: 64)),
        .init(
          name: "occlusion.png", kind: .occlusion, mediaType: "image/png", bytes: 900,
          sha256: String(repeating: "b", count: 64), label: OcclusionMap.label),
      ]
    }
  }

  @Test func recordsWithAndWithoutTheOptionalPartsFollowTheSchema() throws {
    let full = try full()
    #expect(full.verdict.changeSinceBaseline != nil && full.verdict.session != nil)
    let faults = try faults(of: [json(Self.record()), json(full)])
    #expect(faults == ["", ""])
  }

  @Test func whatTheSchemaForbidsIsFound() throws {
    let full = try full()
    func changed(_ old: String, _ new: String) throws -> [UInt8] {
      let text = String(decoding: try json(full), as: UTF8.self)
      try #require(text.contains(old), "\(old)")
      return Array(text.replacingOccurrences(of: old, with: new).utf8)
    }
    let faults = try faults(of: [
      changed("where the model reacted, not where disease is", "where disease is"),
      changed(#""note":"change since baseline; not a diagnosis""#, #""note":"diagnosis""#),
      changed(#""sessions":3"#, #""sessions":2"#),
      changed(#""agrees":false"#, #""agrees":"no""#),
      changed(#""name":"left-upper""#, #""name":"left""#),
      changed(#""state":"uncertain""#, #""state":"ill""#),
      changed(#""patient_ref_version":2"#, #""patient_ref_version":3"#),
      changed(#""prevalence":0.5"#, #""prevalence":1.5"#),
    ])
    #expect(faults.count == 8)
    // What a later device adds is no fault: receivers keep it.
    let later = try changed(#""demonstration":true"#, #""demonstration":true,"surprise":1"#)
    #expect(try self.faults(of: [later]) == [""])
    for (index, fault) in faults.enumerated() { #expect(!fault.isEmpty, "change \(index) was not found") }
  }

  /// Version 1 is version 2 without its additions; what is in outboxes and archives stays readable.
  @Test func aRecordOfVersion1IsStillRead() throws {
    let old = String(decoding: try json(Self.record()), as: UTF8.self)
      .replacingOccurrences(of: CaptureRecord.schema, with: "thermograph.capture.v1")
    let record = try CaptureRecord(json: Array(old.utf8))
    #expect(record.schema == "thermograph.capture.v1")
    #expect(CaptureRecord.readableSchemas.contains(record.schema))
    #expect(record.audit == nil && record.change == nil && record.patientRefVersion == nil)
    #expect(String(decoding: try json(record), as: UTF8.self) == old)
  }

  @Test func recordsComeBackFromTheirJSON() throws {
    let full = try full()
    #expect(try CaptureRecord(json: json(full)) == full)
    let earlier = try #require(EarlierCapture(full))
    #expect(earlier.regions == full.verdict.regions && earlier.sessionID == full.sessionID)
    let plain = try Self.record()
    #expect(EarlierCapture(plain) == nil)
    var failed = full
    failed.gates[0].severity = .hard
    #expect(EarlierCapture(failed) == nil)
  }
}
