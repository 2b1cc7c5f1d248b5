import DriverSupport
import Foundation
import Provenance
import Remote
import TestSupport
import Testing

@testable import LocalFiles
@testable import Storage

/// The record of updates and the units on disk.
@Suite struct UpdateStoreTests {
  private let scratch: ScratchFolder
  private let store: UpdateStore

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    store = UpdateStore(stateDirectory: scratch.path)
  }

  private func unit(_ version: Int64, _ bytes: [UInt8]) throws -> UpdateUnit {
    let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
    return UpdateUnit(
      target: try #require(UnitTarget(model: "fold", version: version)), slot: .screening, fileSHA256: digest,
      unitSHA256: digest, bytes: bytes.count)
  }

  private var stored: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: scratch.file("models/store")).sorted()) ?? []
  }

  @Test func aDeviceWithoutUpdatesHasNoFileOfThem() throws {
    #expect(try store.read() == UpdateBook() && store.stamp() == nil)
    #expect(try store.apply(.started) == UpdateBook())
    #expect(try store.apply(.time(seconds: 5, quietSeconds: 900, isWindowOpen: true)) == UpdateBook())
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
  }

  @Test func aUnitIsKeptUntilNoRecordNeedsItAndIsReadOnlyWhole() throws {
    let (first, second) = ([UInt8](repeating: 1, count: 5000), [UInt8](repeating: 2, count: 6000))
    let (seven, eight) = (try unit(7, first), try unit(8, second))
    try store.stage(seven, first)
    #expect(try stored == [seven.fileSHA256] && store.bytes(of: seven) == first)
    // Half of a file that a cut left, and one that nobody names.
    try Data([1]).write(to: URL(filePath: scratch.file("models/store/.thermograph-00.tmp")))
    try Data([1]).write(to: URL(filePath: scratch.file("updates/.thermograph-00.tmp")))
    try store.stage(eight, second)
    #expect(stored == [eight.fileSHA256], "the one that was superseded goes, and so does what was left over")
    #expect(
      try !FileManager.default.contentsOfDirectory(atPath: scratch.file("updates")).contains { $0.hasSuffix("tmp") })
    try Data(second.dropLast() + [9]).write(to: URL(filePath: store.path(of: eight)))
    #expect(throws: UpdateStoreError.self) { _ = try store.bytes(of: eight) }
    // Offered again, it is written again.
    try store.stage(eight, second)
    #expect(try store.bytes(of: eight) == second)
    #expect(try FileManager.default.attributesOfItem(atPath: store.path(of: eight))[.posixPermissions] as? Int == 0o600)
  }

  @Test func anotherFileThanTheVerifiedOneAndARefusedOneLeaveNothing() throws {
    let bytes = [UInt8](repeating: 1, count: 5000)
    let seven = try unit(7, bytes)
    #expect(throws: UpdateStoreError.self) { try store.stage(seven, Array(bytes.dropLast())) }
    #expect(throws: UpdateStoreError.self) { try store.stage(seven, [2] + bytes.dropFirst()) }
    #expect(try stored.isEmpty && store.stamp() == nil)
    try store.stage(seven, bytes)
    let before = try Data(contentsOf: URL(filePath: scratch.file("updates/state.json")))
    let six = [UInt8](repeating: 6, count: 100)
    let older = try unit(6, six)
    #expect(throws: UpdateStoreError.refused(.notNewer(older.target, underWay: 7))) { try store.stage(older, six) }
    #expect(stored == [seven.fileSHA256])
    #expect(try Data(contentsOf: URL(filePath: scratch.file("updates/state.json"))) == before)
  }

  @Test func aDamagedRecordIsToldAndNotOverwritten() throws {
    let bytes = [UInt8](repeating: 1, count: 5000)
    try store.stage(try unit(7, bytes), bytes)
    let path = URL(filePath: scratch.file("updates/state.json"))
    try Data("{}".utf8).write(to: path)
    #expect(throws: UpdateStoreError.self) { _ = try store.read() }
    #expect(throws: UpdateStoreError.self) { try store.apply(.started) }
    let seven = try unit(7, bytes)
    #expect(throws: UpdateStoreError.self) { try store.stage(seven, bytes) }
    #expect(try Data(contentsOf: path) == Data("{}".utf8))
  }

  /// Two processes' worth of hands on one record: nothing that one did is lost by the other.
  @Test func handsThatWorkAtTheSameTimeLoseNothing() async throws {
    let bytes = [UInt8](repeating: 1, count: 5000)
    let seven = try unit(7, bytes)
    try store.stage(seven, bytes)
    let store = store
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<10 {
            _ = try? store.apply(.time(seconds: 7, quietSeconds: nil, isWindowOpen: true))
          }
        }
      }
    }
    #expect(try store.read().update?.spentSeconds == 560)
  }

  @Test func allOfItIsOnTheListOfWhatTheDeviceLeaves() throws {
    let bytes = [UInt8](repeating: 1, count: 5000)
    let seven = try unit(7, bytes)
    try store.stage(seven, bytes)
    try FileManager.default.createDirectory(atPath: store.incomingPath, withIntermediateDirectories: true)
    try Data([1]).write(to: URL(filePath: store.incomingPath + "/part"))
    let listed = Set(try StateFiles.all(in: scratch.path))
    for name in ["updates/state.json", "updates/lock", "updates/incoming/part", "models/store/\(seven.fileSHA256)"] {
      #expect(listed.contains(scratch.file(name)), "\(name)")
    }
    #expect(!listed.contains(scratch.file("updates/incoming")) && !listed.contains(scratch.file("models/store")))
    for path in listed where FileManager.default.fileExists(atPath: path) { _ = try BoundedFile.erase(path) }
    for folder in StateFiles.allFolders(in: scratch.path) { try Folder.removeIfEmpty(folder) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
  }
}
