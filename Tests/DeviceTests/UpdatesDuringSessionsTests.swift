import Forwarding
import Foundation
import Provenance
import Screening
import Storage
import TestSupport
import Testing

@testable import Device

/// Models that change while people are captured: no capture is disturbed, and each is attributed to the model that made it.
@Suite struct UpdatesDuringSessionsTests {
  /// THERMOGRAPH_UPDATE_SESSIONS=200 for the long form.
  private static let updates =
    ProcessInfo.processInfo.environment["THERMOGRAPH_UPDATE_SESSIONS"].flatMap { Int($0) } ?? 12

  private static let models = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Models").path

  /// Units of the same network whose thresholds differ, so that a verdict tells which of them made it.
  private static func variant(_ raw: Int) throws -> (unit: [UInt8], files: ModelFiles) {
    let json = try String(contentsOfFile: "\(models)/screening-fold/manifest.json", encoding: .utf8)
    let changed = json.replacing(/"upper": -?[0-9]+/, with: "\"upper\": \(raw)")
    #expect(changed != json)
    let manifest = try ModelManifest(json: Array(changed.utf8))
    var files = ["manifest.json": Array(changed.utf8)]
    for file in manifest.files {
      files[file.path] = [UInt8](try Data(contentsOf: URL(filePath: "\(models)/screening-fold/\(file.path)")))
    }
    let unit = ModelUnitFile.archive(of: files)
    return (unit, try ModelFiles(unit: unit, path: "variant \(raw)"))
  }

  @Test func everyCaptureIsMadeByOneModelAndSaysWhich() async throws {
    let digests = OpenSSLDigests()
    let folders = try (0..<4).map { try ModelFolder(Self.variant(60 + 10 * $0).files, digests: digests) }
    var uppers: [String: Double] = [:]
    for folder in folders {
      uppers[folder.unitSHA256] = try folder.screeningNetwork().thresholds.upper
    }
    try #require(Set(uppers.values).count == folders.count, "the variants can be told apart: \(uppers)")
    let bench = try SessionBench({ $0.views = [.frontal, .leftLateral] })
    var generator = SeededGenerator(seed: 20)
    var sent = 0
    func update() throws {
      sent += 1
      let folder = folders[sent % folders.count]
      let assessor = Assessor(network: try folder.screeningNetwork())
      #expect(bench.events.send(.models(Handover(assessor))))
    }
    try update()
    var captures = 0
    while sent < Self.updates {
      try bench.present(UInt8(1 + sent % 100))
      for _ in 0..<2 {
        // Before, while, and after the frames are averaged.
        if Bool.random(using: &generator) { try update() }
        let id = try await bench.captureAsked()
        if Bool.random(using: &generator) { try update() }
        bench.events.send(.thermogram(SessionBench.thermogram(id)))
        if Bool.random(using: &generator) { try update() }
        captures += 1
        let wanted = captures
        try await bench.wait("the capture is stored") { bench.memory.now.records.count == wanted }
      }
      let sessions = captures / 2
      try await bench.wait("the session is over") { bench.memory.now.events.count == sessions }
    }
    let records = bench.memory.now.records
    #expect(records.count == captures && bench.memory.now.events.allSatisfy { $0.isComplete == true })
    for record in records {
      let unit = try #require(record.versions.unitSHA256)
      #expect(record.verdict.thresholds.upper == uppers[unit], "the record names another model than its verdict's")
    }
    // Within a session one model decides.
    let bySession = Dictionary(grouping: records, by: \.sessionID).mapValues { Set($0.map(\.versions.unitSHA256)) }
    #expect(bySession.values.allSatisfy { $0.count == 1 })
    #expect(Set(records.map(\.versions.unitSHA256)).count > 1, "no update came through")
    print("updates: \(sent) during \(captures / 2) sessions, \(captures) captures, 0 disturbed")
  }
}
