import DeviceSimulation
import Forwarding
import Foundation
import Identification
import Provenance
import Storage
import Testing
import Thermography

@testable import Device
@testable import Screening

/// A verdict can be made again from the master image alone: `thermograph assess --master`, another process that is given
/// the files and the models, says what the records say, to the bit.
@Suite struct RemadeVerdictTests {
  private struct Remade: Decodable {
    var capture_id: RandomIdentifier
    var gates: [QualityGate]
    var verdict: Verdict
  }

  /// The shipped models, one of them with a lower threshold and for every view: as shipped none says "below", and none
  /// speaks of two views.
  private func models(in workspace: Workspace) throws -> String {
    let folder = workspace.folder + "/models"
    try FileManager.default.copyItem(atPath: Workspace.repository + "/Models", toPath: folder)
    let path = folder + "/salvi-cnn/manifest.json"
    let manifest = try String(contentsOfFile: path, encoding: .utf8)
    let changed = manifest.replacingOccurrences(of: "\"lower\": -128", with: "\"lower\": 0")
      .replacing(
        /"views": \[[^\]]*\]/,
        with: "\"views\": [\"frontal\", \"left-oblique\", \"right-oblique\", \"left-lateral\", \"right-lateral\"]")
    try #require(changed.contains("left-lateral") && changed.contains("\"lower\": 0"))
    try changed.write(toFile: path, atomically: true, encoding: .utf8)
    return folder
  }

  private func remake(_ masters: [String], models: String, in folder: String) async throws -> [Remade] {
    let run = try await Program.run(
      ["assess", "--json", "--models", models, "--master"] + masters, in: folder, seconds: 300)
    try #require(run.status == 0, "\(run.errors)")
    #expect(run.errors == "")
    return try run.output.split(separator: "\n").map { try JSONDecoder().decode(Remade.self, from: Data($0.utf8)) }
  }

  private func canonical(_ value: some Encodable) throws -> String {
    try CanonicalJSON.text(of: value)
  }

  @Test func everyVerdictOfAThousandCapturesIsMadeAgain() async throws {
    // A build for debugging takes a quarter of an hour for a thousand; whoever tries something there may ask for fewer.
    let count = ProcessInfo.processInfo.environment["THERMOGRAPH_REMADE_CAPTURES"].flatMap(Int.init) ?? 1000
    let workspace = try Workspace()
    let models = try models(in: workspace)
    var captures = try SyntheticCaptures(seed: 20_261, models: models)
    var records: [CaptureRecord] = []
    var masters: [String] = []
    for number in 0..<count {
      let (record, master) = try captures.next()
      let path = workspace.folder + "/\(number).png"
      try Data(master).write(to: URL(fileURLWithPath: path))
      records.append(record)
      masters.append("\(number).png")
    }
    // They are no thousand times the same: every outcome, most gates, views, both heads, pasts.
    if count >= 1000 {
      #expect(Set(records.map(\.verdict.outcome)) == Set(Verdict.Outcome.allCases))
      let failed = Set(records.flatMap(\.gates).filter { !$0.passed }.map(\.code))
      #expect(failed.count >= 12, "\(failed.map(\.rawValue))")
      #expect(records.contains { $0.verdict.secondHead != nil } && records.contains { $0.verdict.modelID.isEmpty })
      #expect(records.contains { $0.verdict.changeSinceBaseline != nil })
      #expect(records.contains { $0.verdict.viewScores.count > 1 } && records.contains { $0.verdict.regions != nil })
      #expect(records.contains { $0.gates.contains { $0.code == .quality } })
    }

    let remade = try await remake(
      masters.map { workspace.folder + "/" + $0 }, models: models, in: workspace.folder)
    try #require(remade.count == records.count)
    for (record, again) in zip(records, remade) {
      #expect(again.capture_id == record.captureID)
      #expect(try canonical(again.verdict) == canonical(record.verdict))
      #expect(try canonical(again.gates) == canonical(record.gates))
    }
  }

  @Test func aChangedMasterIsNotTakenForTheSame() async throws {
    // What the equality above is worth: a hundredth of a degree on one side of the body shows.
    let workspace = try Workspace()
    let models = try models(in: workspace)
    var captures = try SyntheticCaptures(seed: 5, models: models)
    var changed = 0
    var masters: [String] = []
    var records: [CaptureRecord] = []
    for number in 0..<20 {
      let (record, master) = try captures.next { thermogram in
        for pixel in 0..<768 where pixel % 32 < 16 { thermogram.celsius[pixel] += 0.01 }
      }
      let path = workspace.folder + "/\(number).png"
      try Data(master).write(to: URL(fileURLWithPath: path))
      masters.append(path)
      records.append(record)
    }
    for (record, again) in zip(records, try await remake(masters, models: models, in: workspace.folder))
    where try canonical(again.verdict) != canonical(record.verdict) { changed += 1 }
    #expect(changed >= 10)
  }

  /// A difference between left and right says how large it may be in the healthy.
  @Test func aLeftRightDifferenceIsToldWithTheHealthyRange() async throws {
    let workspace = try Workspace()
    let models = try models(in: workspace)
    var captures = try SyntheticCaptures(seed: 5, models: models)
    var told = 0
    for number in 0..<8 {
      let (record, master) = try captures.next()
      let path = workspace.folder + "/\(number).png"
      try Data(master).write(to: URL(fileURLWithPath: path))
      let run = try await Program.run(["assess", "--models", models, "--master", path], in: workspace.folder)
      #expect(run.status == 0, "\(run.errors)")
      guard let difference = record.verdict.leftRightDifference else { continue }
      told += 1
      let words =
        "left-right \(difference.celsius) degC, measured to +- \(difference.standardErrorCelsius) (healthy people: up to 3)"
      #expect(run.output.contains(words), "\(run.output)")
    }
    #expect(told > 0)
  }

  @Test func whatIsNoMasterIsNamedWithItsPath() async throws {
    let workspace = try Workspace()
    let path = workspace.folder + "/other.png"
    try Data(PNGBytes.grey8).write(to: URL(fileURLWithPath: path))
    let run = try await Program.run(["assess", "--master", path], in: workspace.folder)
    #expect(run.status != 0)
    #expect(run.errors.contains("other.png: is no master image: no readable 16-bit grey PNG"))
    let both = try await Program.run(["assess", "--master", path, "--thermogram", "a.npy"], in: workspace.folder)
    #expect(both.status == 64 && both.errors.contains("either --thermogram or --master"))
    let view = try await Program.run(["assess", "--master", path, "--view", "frontal"], in: workspace.folder)
    #expect(view.status == 64 && view.errors.contains("a master image tells its own"))
  }

  private enum PNGBytes {
    /// 1 x 1, 8-bit grey.
    static let grey8: [UInt8] = [
      0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8, 0,
      0, 0, 0, 0x3A, 0x7E, 0x9B, 0x55,
    ]
  }
}

/// Captures as a session makes them, without its hours: torsos of many kinds, with faults, pasts and limits of their own.
private struct SyntheticCaptures {
  private var generator: SeededGenerator
  private let assessors: [Assessor]
  private var scores = SessionScores()
  private let recorder = CaptureRecorder(
    constants: .init(
      site: "s", device: "d", lens: "55", distanceCentimetres: 50, framesAveraged: 16,
      firmware: DeviceRuntime.firmware, configurationSHA256: ""), digests: OpenSSLDigests())

  init(seed: UInt64, models: String) throws {
    generator = SeededGenerator(seed: seed)
    func folder(_ name: String) throws -> ModelFolder {
      try ModelFolder(path: models + "/" + name, digests: OpenSSLDigests())
    }
    let (fold, quality) = (try folder("screening-fold").screeningNetwork(), try folder("quality").qualityNetwork())
    assessors = [
      Assessor(network: fold), Assessor(network: fold), Assessor(network: fold),
      Assessor(network: fold, quality: quality),
      Assessor(network: try folder("bagheri-hosvd").screeningNetwork()),
      Assessor(network: try folder("salvi-cnn").screeningNetwork()), Assessor(network: nil),
    ]
  }

  private mutating func chance(_ share: Double) -> Bool { generator.uniform() < share }
  private mutating func within(_ low: Double, _ high: Double) -> Double { low + (high - low) * generator.uniform() }

  /// - Parameter change: made to the picture between its assessment and its file.
  mutating func next(
    changing change: (inout Thermogram) -> Void = { _ in }
  ) throws -> (record: CaptureRecord, master: [UInt8]) {
    if chance(0.4) { scores = SessionScores() }
    var captured = CapturedThermogram(
      captureID: RandomIdentifier(using: &generator), thermogram: thermogram(), cameraSerial: "0123456789ab",
      ambientDriftCelsiusPerMinute: chance(0.8) ? within(-0.3, 0.3) : nil, began: time(0), ended: time(8))
    let conditions = AcquisitionConditions(captured, restMissingSeconds: chance(0.1) ? 30 : 0)
    let view = chance(0.7) ? CaptureView.frontal : CaptureView.allCases.randomElement(using: &generator) ?? .frontal
    var assessor = assessors.randomElement(using: &generator) ?? assessors[0]
    assessor.limits = limits()
    let assessment = assessor.assess(
      captured.thermogram, conditions: conditions,
      context: CaptureContext(view: view, sessionScores: scores, baseline: chance(0.5) ? baseline(view) : nil))
    scores.add(assessment.verdict, view: view)
    change(&captured.thermogram)
    let patient = try #require(PatientReference("p"))
    let capture = try recorder.capture(
      CaptureAttribution(
        captureID: captured.captureID, sessionID: RandomIdentifier(using: &generator),
        patient: patient, view: view, attempt: 1, answers: []),
      of: captured, assessment, assessed: time(9), outboxID: RandomIdentifier(using: &generator))
    let json = try capture.record(CaptureNumber(outboxID: RandomIdentifier(using: &generator), sequence: 1))
    let images = capture.images
    let master = try #require(images.first { $0.name == "master.png" })
    return (try JSONDecoder().decode(CaptureRecord.self, from: Data(json)), master.bytes)
  }

  private func time(_ seconds: UInt64) -> Timestamp {
    Timestamp(
      utcNanoseconds: 1_790_000_000_000_000_000, bootID: "b", monotonicNanoseconds: seconds * 1_000_000_000,
      synchronised: true)
  }

  private mutating func limits() -> GateLimits {
    var limits = GateLimits()
    if chance(0.3) { limits.tiltMaximum = within(0.01, 0.3) }
    if chance(0.3) { limits.offCentreMaximumColumns = within(0.2, 4) }
    if chance(0.2) { limits.hardGates.append(.ambientDrift) }
    if chance(0.5) { limits.hardGates.removeAll { $0 == .noise } }
    return limits
  }

  private mutating func baseline(_ view: CaptureView) -> PatientBaseline? {
    let earlier = (1...4).map { number in
      EarlierCapture(
        sessionID: RandomIdentifier(using: &generator), view: view, sequence: Int64(number),
        regions: RegionTemperature.Name.allCases.map { name in
          RegionTemperature(
            name: name, celsius: 33, relativeCelsius: (within(-1, 1) * 1000).rounded() / 1000, spreadCelsius: 0.5,
            pixels: 50)
        })
    }
    return PatientBaseline(earlier, view: view, excluding: nil)
  }

  private mutating func thermogram() -> Thermogram {
    var shape = TorsoScene.Shape(drawingTemperaturesWithSeed: generator.next())
    if chance(0.4) { shape.spot = (within(4, 28), within(4, 20), within(0.8, 3), within(-8, 6)) }
    if chance(0.05) { shape.skinCelsius = shape.backgroundCelsius + 0.5 }
    let noise = chance(0.9) ? 0.03 : 0.4
    var celsius = TorsoScene(shape).celsius(atMicroseconds: 0).map { Float($0 + noise * generator.normal()) }
    if chance(0.05) { celsius[Int(within(0, 768))] += 20 }
    if chance(0.05) {
      for pixel in 0..<768 { celsius[pixel] += (pixel / 32 + pixel % 32) % 2 == 0 ? 0.3 : -0.3 }
    }
    var states = [PixelState](repeating: .measured, count: 768)
    for _ in 0..<Int(within(0, chance(0.1) ? 30 : 4)) {
      let pixel = Int(within(0, 768))
      states[pixel] = chance(0.3) ? .invalid : .interpolated
      if states[pixel] == .invalid { celsius[pixel] = 0 }
    }
    return Thermogram(
      celsius: celsius,
      standardErrorCelsius: states.map { $0 == .measured ? Float(noise * within(0.15, 0.35)) : 0 }, states: states,
      ambientCelsius: within(15, 40), supplyVolts: 3.3, framesAveraged: 16, refreshRateHertz: 4, emissivity: 0.98,
      reflectedCelsius: 22.123_456, settling: chance(0.1), motionCelsius: within(0, 1.6), restarts: 0)
  }
}
