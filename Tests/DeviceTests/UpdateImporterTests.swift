import Configuration
import Foundation
import Provenance
import Remote
import Screening
import Storage
import TestSupport
import Testing

@testable import Device

/// The stick's door: what is taken, what is refused by name, and what a stick that is pulled out leaves.
@Suite struct UpdateImporterTests {
  private static let models = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Models").path

  private let scratch: ScratchFolder
  private var settings = Settings()

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    settings.paths.stateDirectory = scratch.path
    settings.screening.model = "screening-fold"
    settings.quality.model = "quality"
  }

  private var store: UpdateStore { UpdateStore(stateDirectory: scratch.path) }

  private static func unit(_ model: String, _ change: (String) -> String = { $0 }) throws -> [UInt8] {
    let json = change(try String(contentsOfFile: "\(models)/\(model)/manifest.json", encoding: .utf8))
    var files = ["manifest.json": Array(json.utf8)]
    for file in try ModelManifest(json: Array(json.utf8)).files {
      files[file.path] = [UInt8](try Data(contentsOf: URL(filePath: "\(models)/\(model)/\(file.path)")))
    }
    return ModelUnitFile.archive(of: files)
  }

  private struct PulledOut: Error, CustomStringConvertible { var description: String { "the stick is gone" } }

  private func repository(_ units: [String: [UInt8]], isPulledOut: Bool = false) -> UpdateImporter.Repository {
    UpdateImporter.Repository(
      targets: { units.keys.compactMap { UnitTarget(path: $0) } },
      bytes: { target in
        if isPulledOut { throw PulledOut() }
        return units[target.path]
      })
  }

  private func take(_ repository: UpdateImporter.Repository, models: [String] = [], isHeld: Bool = false) throws
    -> [UpdateImporter.Line]
  {
    try UpdateImporter(settings).take(from: repository, models: models, isHeld: isHeld)
  }

  @Test func theNewestUnitOfTheDevicesOwnModelIsTaken() throws {
    let unit = try Self.unit("screening-fold")
    let offered = [
      "models/screening-fold/2.tar": [1], "models/screening-fold/10.tar": unit, "models/salvi-cnn/9.tar": [2],
      "other/screening-fold/11.tar": [3],
    ]
    let lines = try take(repository(offered))
    #expect(lines.filter(\.isTaken).map { $0.text.hasPrefix("screening-fold 10: taken") } == [true])
    #expect(!lines.contains { $0.isFault } && lines.contains { $0.text.hasPrefix("quality: the repository has no") })
    let update = try #require(try store.read().update)
    #expect(update.unit.version == 10 && update.phase == .waiting && update.command == nil)
    #expect(try store.bytes(of: update.unit) == unit)
    // Once more: nothing changes.
    let before = try store.stamp()
    #expect(try take(repository(offered)).contains { $0.isFault } == false)
    #expect(try store.stamp() == before)
  }

  @Test(arguments: [
    ("models/screening-fold/3.tar", "quality", "is a unit of quality; expected one of screening-fold"),
    ("models/salvi-cnn/3.tar", "salvi-cnn", "is for comparison"),
    ("models/screening-fold/3.tar", "", "is no archive"),
  ]) func whatIsNotWhatItsNameSaysIsRefused(path: String, model: String, reason: String) throws {
    let bytes = model.isEmpty ? [UInt8](repeating: 9, count: 4096) : try Self.unit(model)
    let name = try #require(UnitTarget(path: path)).model
    let lines = try take(repository([path: bytes]), models: [name])
    #expect(lines.count == 1 && lines[0].isFault && lines[0].text.contains(reason), "\(lines)")
    #expect(try store.stamp() == nil && store.read() == UpdateBook())
  }

  @Test func aModelThatTheConfigurationDoesNotWantIsRefused() throws {
    var others = self
    others.settings.screening.model = nil
    let lines = try others.take(
      repository(["models/screening-fold/3.tar": try Self.unit("screening-fold")]), models: ["screening-fold"])
    #expect(lines.first?.text.contains("names no screening model") == true && lines.first?.isFault == true)
    #expect(try store.stamp() == nil)
  }

  @Test func aStickThatIsPulledOutChangesNothingAndIsTold() throws {
    let unit = try Self.unit("screening-fold")
    _ = try take(repository(["models/screening-fold/3.tar": unit]))
    let before = try Data(contentsOf: URL(filePath: scratch.file("updates/state.json")))
    let newer = try Self.unit("screening-fold") { $0.replacing(/"version": "[^"]*"/, with: "\"version\": \"9\"") }
    let lines = try take(repository(["models/screening-fold/4.tar": newer], isPulledOut: true))
    #expect(lines.contains { $0.isFault && $0.text.contains("the stick is gone") })
    #expect(try Data(contentsOf: URL(filePath: scratch.file("updates/state.json"))) == before)
    #expect(try store.read().update?.unit.version == 3)
  }

  /// A disk of which only a little is left: told, and the old state whole.
  @Test(.enabled(if: geteuid() == 0, "needs root for a file system of a few megabytes"))
  func aFullDiskWhileStagingLeavesTheOldState() throws {
    let mount = try ScratchFolder()
    try run("mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", mount.path)
    defer { try? run("umount", "-l", mount.path) }
    let store = UpdateStore(stateDirectory: mount.path)
    func unit(_ bytes: [UInt8], _ version: Int64) throws -> UpdateUnit {
      let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
      return UpdateUnit(
        target: try #require(UnitTarget(model: "fold", version: version)), slot: .screening, fileSHA256: digest,
        unitSHA256: digest, bytes: bytes.count)
    }
    let small = [UInt8](repeating: 1, count: 100_000)
    let large = [UInt8](repeating: 2, count: 900_000)
    let first = try unit(small, 1)
    try store.stage(first, small)
    let before = try store.read()
    let second = try unit(large, 2)
    do throws(UpdateStoreError) {
      try store.stage(second, large)
      Issue.record("900 kB on a disk of 512")
    } catch { #expect("\(error)".contains("free space"), "\(error)") }
    #expect(try store.read() == before && store.bytes(of: first) == small)
    let names = try FileManager.default.contentsOfDirectory(atPath: mount.path + "/models/store")
    #expect(names == [first.fileSHA256])
    // With room again it goes on.
    let other = [UInt8](repeating: 3, count: 50_000)
    try store.stage(try unit(other, 3), other)
    #expect(try store.read().update?.unit.version == 3)
  }

  @Test func whatIsHeldWaitsForAWordAndTheOldestGoes() throws {
    let unit = try Self.unit("screening-fold")
    for version in 1...6 {
      let lines = try take(repository(["models/screening-fold/\(version).tar": unit]), isHeld: true)
      #expect(lines.contains { $0.isTaken && $0.text.contains("update-install") })
    }
    #expect(try store.stamp() == nil)
    let held = try (1...6).filter {
      try store.held(try #require(UnitTarget(model: "screening-fold", version: $0))) != nil
    }
    #expect(held == [3, 4, 5, 6])
  }
}
