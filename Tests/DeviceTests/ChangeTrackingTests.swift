import Forwarding
import Foundation
import Identification
import ImageFiles
import Logging
import Provenance
import Screening
import Storage
import TestSupport
import Testing
import Thermography

@testable import Device

/// The comparison over time as a session makes it: from tags and pictures to records, images and what is kept.
@Suite struct ChangeTrackingTests {
  private let scratch: ScratchFolder
  private let store: BaselineStore

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    store = try Self.store(scratch.file("baselines"))
  }

  private static func store(_ directory: String) throws -> BaselineStore {
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let key = try #require(SealingKey(bytes: bytes, digests: OpenSSLDigests()))
    return try BaselineStore(directory: directory, keys: KeyRing(current: key), maximumPatients: 50)
  }

  private static func tracking(_ store: BaselineStore) -> ChangeTracking {
    ChangeTracking(store: store, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// A torso that the gates take, with a little of its own on each day, and a spot where one is asked for.
  static func picture(
    _ id: RandomIdentifier, day: UInt64, spotCelsius: Double = 0, sensor: String = "0123456789ab"
  ) -> CapturedThermogram {
    var generator = SeededGenerator(seed: day)
    let (down, across) = (0.6 * generator.normal(), 0.6 * generator.normal())
    let level = 0.3 * generator.normal()
    let celsius = (0..<768).map { pixel -> Float in
      let (row, column) = (Double(pixel / 32) - down, Double(pixel % 32) - across)
      let u = abs(column - 15.5) / 11.5
      let noise = 0.03 * generator.normal()
      guard u <= 1 else { return Float(22.5 + noise) }
      func bump(_ r: Double, _ c: Double, _ sigma: Double) -> Double {
        exp(-((row - r) * (row - r) + (column - c) * (column - c)) / (2 * sigma * sigma))
      }
      var value = 33 - 1.2 * u * u - 0.03 * row + level + noise
      value += 0.8 * (bump(15, 9, 1.5) + bump(15, 22, 1.5)) - 0.7 * (bump(10, 9, 2.5) + bump(10, 22, 2.5))
      value += 0.4 * bump(5, 13, 1) - 0.3 * bump(19, 17, 1.2)
      value += spotCelsius * bump(11, 11, 1.3)
      return Float(value)
    }
    var captured = SessionBench.thermogram(id)
    captured.thermogram = Thermogram(
      celsius: celsius, standardErrorCelsius: Array(repeating: 0.03, count: 768),
      states: Array(repeating: .measured, count: 768), ambientCelsius: 28, supplyVolts: 3.3, framesAveraged: 16,
      refreshRateHertz: 8, emissivity: 0.98, reflectedCelsius: 22, settling: false)
    captured.cameraSerial = sensor
    return captured
  }

  /// One session of one view at a bench.
  private func session(
    _ bench: SessionBench, tag: UInt8 = 1, day: UInt64, spotCelsius: Double = 0
  ) async throws -> CaptureRecord {
    let before = bench.memory.now
    try bench.present(tag)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(Self.picture(id, day: day, spotCelsius: spotCelsius)))
    try await bench.wait("the session is closed") { bench.memory.now.events.count > before.events.count }
    let record = try #require(bench.memory.now.records.last)
    #expect(bench.memory.now.records.count == before.records.count + 1)
    return record
  }

  @Test func threeSessionsLaterAWarmSpotIsToldAndNothingElseIs() async throws {
    let bench = try SessionBench(change: Self.tracking(store))
    for day in 1...3 {
      let record = try await session(bench, day: UInt64(day))
      let change = try #require(record.change)
      #expect(record.gates.allSatisfy { $0.passed || $0.severity == .soft }, "\(record.gates.filter { !$0.passed })")
      #expect(change.state == .notEnoughSessions && change.sessions == day - 1 && change.places.isEmpty)
      #expect(change.minimumDetectableCelsius == nil && change.falseAlarmRate == nil)
      #expect(!record.images.contains { $0.kind == .change })
      let reference = try SessionBench.reference(1)
      try await bench.wait("it is kept") { try await store.patients().patients.first?.sessions == day }
      #expect(try await store.patients().patients.map(\.patient) == [reference])
    }
    let same = try await session(bench, day: 4)
    let unchanged = try #require(same.change)
    #expect(unchanged.state == .withinVariation && unchanged.sessions == 3 && unchanged.places.isEmpty)
    #expect(unchanged.falseAlarmRate == 0.05)
    let least = try #require(unchanged.minimumDetectableCelsius)
    #expect(least > 0.2 && least < 4, "\(least)")
    try await bench.wait("it is kept") { try await store.patients().patients.first?.sessions == 4 }

    let warm = try await session(bench, day: 5, spotCelsius: 4)
    let changed = try #require(warm.change)
    #expect(changed.state == .beyondVariation && changed.sessions == 4)
    let place = try #require(changed.places.first)
    #expect(abs(place.row - 11) <= 2 && abs(place.column - 11) <= 2 && abs(place.celsius - 4) < 1.2, "\(place)")
    let image = try #require(warm.images.first { $0.kind == .change })
    #expect(image.name == "change.png" && image.label?.contains("not a diagnosis") == true)
    // What it says of itself is no outcome: gates and verdict are as without it.
    #expect(warm.verdict.outcome == same.verdict.outcome && warm.gates.map(\.code) == same.gates.map(\.code))
  }

  @Test func aCaptureThatCannotBeComparedSaysWhyAndIsNotKept() async throws {
    let bench = try SessionBench(change: Self.tracking(store))
    try bench.present(1)
    let id = try await bench.captureAsked()
    // An even picture shows nobody: a hard gate fails.
    bench.events.send(.thermogram(SessionBench.thermogram(id)))
    try await bench.wait("the session is closed") { bench.memory.now.events.count == 1 }
    let change = try #require(bench.memory.now.records.first?.change)
    #expect(change.state == .notComparable && change.sessions == 0)
    #expect(change.reason?.contains("gate") == true, "\(change)")
    try await bench.stop()
    #expect(try await store.patients().patients.isEmpty)
  }

  @Test func turnedViewsAreKeptAndNotCompared() async throws {
    let bench = try SessionBench({ $0.views = [.leftOblique] }, change: Self.tracking(store))
    for day in 1...4 { _ = try await session(bench, day: UInt64(day)) }
    let change = try #require(bench.memory.now.records.last?.change)
    #expect(change.state == .notComparable && change.reason?.contains("left-oblique") == true)
    try await bench.stop()
    #expect(try await store.patients().patients.first?.pictures == ["left-oblique": 4])
  }

  @Test func withoutTheComparisonTheRecordSaysNothingOfIt() async throws {
    let bench = try SessionBench()
    #expect(try await session(bench, day: 1).change == nil)
  }

  /// Nobody's past is anybody else's, and a capture that was not saved is nobody's.
  @Test func onlySavedCapturesOfTheSamePatientCount() async throws {
    let bench = try SessionBench(change: Self.tracking(store))
    for day in 1...3 { _ = try await session(bench, day: UInt64(day)) }
    let other = try await session(bench, tag: 2, day: 9)
    #expect(other.change?.sessions == 0)
    bench.memory.change { $0.failure = .failed(isFull: false, reason: "test") }
    try bench.present(1)
    let id = try await bench.captureAsked()
    bench.events.send(.thermogram(Self.picture(id, day: 10)))
    try await bench.wait("it failed") { bench.memory.now.events.count == 5 }
    try await bench.stop()
    let sessions = try await store.patients().patients.map(\.sessions).sorted()
    #expect(sessions == [1, 3])
  }

  /// The pictures under the tag's former reference are the same person's.
  @Test func aFormerReferenceCounts() async throws {
    let former = try SessionBench.formerReference(1)
    var generator = SystemRandomNumberGenerator()
    for day in 1...3 {
      let captured = Self.picture(RandomIdentifier(using: &generator), day: UInt64(day))
      let thermogram = captured.thermogram
      try await store.add(
        BaselineMaster(
          captureID: captured.captureID, sessionID: RandomIdentifier(using: &generator), view: "frontal",
          takenAs: former, utcNanoseconds: Int64(day), camera: captured.cameraSerial, columns: 32, rows: 24,
          noiseCelsius: 0.03, samples: thermogram.centikelvin, states: thermogram.states.map(\.rawValue)), to: former)
    }
    let bench = try SessionBench(change: Self.tracking(store))
    let record = try await session(bench, day: 4)
    #expect(record.change?.sessions == 3 && record.change?.state == .withinVariation)
    try await bench.stop()
    let reference = try SessionBench.reference(1)
    #expect(try await store.patients().patients.map(\.patient) == [reference])
  }

  /// Who agrees no more is forgotten: at the tap, and when the list is read.
  @Test func theBaselineEndsWithTheConsent() async throws {
    let (one, two) = (try SessionBench.reference(1), try SessionBench.reference(2))
    let agreed = try Roster.made(
      "fingerprint,id,role,consent\n\(one),ward-1,patient,capture upload\n\(two),ward-2,patient,capture upload\n")
    let bench = try SessionBench(roster: agreed, change: Self.tracking(store))
    _ = try await session(bench, day: 1)
    _ = try await session(bench, tag: 2, day: 2)
    try await bench.stop()
    #expect(try await store.patients().patients.map(\.patient).sorted() == ["ward-1", "ward-2"])
    let withdrawn = try Roster.made(
      "fingerprint,id,role,consent\n\(one),ward-1,patient,\n\(two),ward-2,patient,capture upload\n")
    #expect(withdrawn.withoutConsent.map(\.text).sorted() == [one, "ward-1"].sorted())
    let later = try SessionBench(roster: withdrawn, change: Self.tracking(store))
    try await later.wait("who does not agree is forgotten") {
      try await store.patients().patients.map(\.patient) == ["ward-2"]
    }
  }

  /// Another device of the site, with what was exported here: the same capture gives the same bits.
  @Test func whatWasExportedComparesToTheSameBits() async throws {
    let siteKey = Array(repeating: UInt8(7), count: 32)
    let bench = try SessionBench(change: Self.tracking(store))
    for day in 1...4 { _ = try await session(bench, day: UInt64(day)) }
    try await bench.stop()
    let sealed = try await store.exported(nil).transfer.sealed(siteKey: siteKey, OpenSSLDigests())
    let other = try Self.store(scratch.file("other"))
    #expect(
      try await other.restore(
        BaselineTransfer(file: sealed, path: "stick", siteKey: siteKey, OpenSSLDigests())
      ).changed == 1)
    let patient = try #require(PatientReference(try SessionBench.reference(1)))
    var generator = SystemRandomNumberGenerator()
    let captured = Self.picture(RandomIdentifier(using: &generator), day: 5, spotCelsius: 3)
    var reports: [ChangeReport] = []
    for store in [store, other] {
      let tracking = Self.tracking(store)
      let earlier = await tracking.earlier(of: patient, former: nil, view: .frontal, before: nil)
      reports.append(await tracking.report(of: captured, view: .frontal, gates: [], against: earlier))
    }
    #expect(reports[0].record == reports[1].record && reports[0].record.state == .beyondVariation)
    let (here, there) = (try #require(reports[0].findings), try #require(reports[1].findings))
    #expect(here.heightCelsius.map(\.bitPattern) == there.heightCelsius.map(\.bitPattern))
    #expect(here.spreadCelsius.map(\.bitPattern) == there.spreadCelsius.map(\.bitPattern))
    #expect(try here.image(modified: nil).encoded() == there.image(modified: nil).encoded())
  }

  /// Damage is told in the record, and by an alert that says what to do and names nobody; the capture is saved all the same.
  @Test func aDamagedBaselineIsToldByAnAlert() async throws {
    let bench = try SessionBench(
      alerts: [AlertRule(.baselineDamaged, severity: .warning, holdOffSeconds: 0)], change: Self.tracking(store))
    for day in 1...2 { _ = try await session(bench, day: UInt64(day)) }
    let reference = try SessionBench.reference(1)
    try await bench.wait("it is kept") { try await store.patients().patients.first?.sessions == 2 }
    #expect(bench.memory.now.alerts.isEmpty)
    let folder = scratch.file("baselines")
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".baseline") })
    try Data(Array(repeating: UInt8(7), count: 300)).write(to: URL(filePath: folder + "/" + name))
    let change = try #require(try await session(bench, day: 3).change)
    #expect(change.state == .notComparable && change.reason?.contains("damaged") == true, "\(change)")
    try await bench.wait("it is told") { !bench.memory.now.alerts.isEmpty }
    let told = try await session(bench, day: 4)
    #expect(told.change?.sessions == 1)
    try await bench.stop()
    let alerts = bench.memory.now.alerts
    #expect(alerts.map(\.code) == ["baseline-damaged"] && alerts.first?.severity == .warning)
    let detail = try #require(alerts.first?.detail)
    #expect(detail.hasPrefix("1 patient's earlier sessions were damaged"), "\(detail)")
    #expect(detail.contains("patient import"))
    #expect(!detail.contains(reference) && !detail.contains(folder), "an alert names no patient and no file")
  }

  /// What the image's samples stand for.
  @Test func theChangeImageHoldsTheHeights() async throws {
    let tracking = Self.tracking(store)
    var generator = SystemRandomNumberGenerator()
    func master(_ day: UInt64) throws -> BaselineMaster {
      let thermogram = Self.picture(RandomIdentifier(using: &generator), day: day).thermogram
      return BaselineMaster(
        captureID: RandomIdentifier(using: &generator), sessionID: RandomIdentifier(using: &generator), view: "frontal",
        takenAs: "p", utcNanoseconds: Int64(day), camera: "0123456789ab", columns: 32, rows: 24, noiseCelsius: 0.03,
        samples: thermogram.centikelvin, states: thermogram.states.map(\.rawValue))
    }
    let captured = Self.picture(RandomIdentifier(using: &generator), day: 5, spotCelsius: 3)
    let report = await tracking.report(
      of: captured, view: .frontal, gates: [], against: .known(try (1...3).map { try master(UInt64($0)) }))
    let findings = try #require(report.findings)
    let picture = try GreyPicture(
      file: findings.image(modified: nil).encoded(), maximumPixels: 1000, maximumTextBytes: 10_000)
    #expect(picture.width == 32 && picture.height == 24)
    #expect(picture.texts["thermograph:scale"]?.contains("32768") == true)
    for pixel in 0..<768 {
      let sample = Int(picture.samples[pixel])
      #expect((sample == 0) == !findings.assessed[pixel])
      if sample != 0 { #expect(abs(Double(sample - 32_768) * 0.0002 - findings.heightCelsius[pixel]) < 0.00011) }
    }
  }
}
