import Cryptography
import Foundation
import Remote
import Screening
import Storage
import TestSupport
import Testing

@testable import Device

/// A model on a stick, from the vendor's signature to the device's store, by the real program.
@Suite(.serialized) struct UpdateImportTests {
  private let workspace: Workspace
  private let path: String
  private let store: UpdateStore
  private var repository: TestRepository

  init() throws {
    workspace = try Workspace()
    path = try workspace.configure(port: 1, captures: 0)
    store = UpdateStore(stateDirectory: workspace.folder + "/state")
    repository = try TestRepository()
    _ = try TrustStore(
      .vendor, stateDirectory: workspace.folder + "/state", packagedRoot: nil, verifier: OpenSSLVerifier()
    ).install(root: try #require(repository.files["1.root.json"]), isReplacing: false)
  }

  private func unit(version: String) throws -> [UInt8] {
    let folder = Workspace.repository + "/Models/screening-fold"
    let json = try String(contentsOfFile: folder + "/manifest.json", encoding: .utf8)
      .replacing(/"version": "[^"]*"/, with: "\"version\": \"\(version)\"")
    var files = ["manifest.json": Array(json.utf8)]
    for file in try ModelManifest(json: Array(json.utf8)).files {
      files[file.path] = [UInt8](try Data(contentsOf: URL(filePath: folder + "/" + file.path)))
    }
    return ModelUnitFile.archive(of: files)
  }

  /// Signs the unit under a number, and writes the repository as a stick has it.
  private func stick(
    _ repository: inout TestRepository, _ units: [(Int, [UInt8])], raising: Bool = false
  ) throws -> String {
    repository.targets = units.map { ("models/screening-fold/\($0).tar", TestRepository.target($1)) }
    if raising { repository.raise("targets", "snapshot", "timestamp") }
    try repository.publish()
    let stick = workspace.folder + "/stick-\(UUID().uuidString.prefix(8))"
    let targets = stick + "/targets/models/screening-fold"
    for folder in [stick + "/metadata", targets] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    for (name, bytes) in repository.files { try Data(bytes).write(to: URL(filePath: "\(stick)/metadata/\(name)")) }
    for (number, bytes) in units {
      let hash = TestRepository.digests.sha256(bytes).map { String(format: "%02x", $0) }.joined()
      try Data(bytes).write(to: URL(filePath: "\(targets)/\(hash).\(number).tar"))
    }
    return stick
  }

  private func take(_ stick: String, _ options: [String] = []) async throws -> (
    status: Int32, output: String, errors: String
  ) {
    let result = try await Program.run(["update", "import", stick, "--config", path] + options, in: workspace.folder)
    return (result.status, result.output, result.errors)
  }

  @Test func aSignedUnitIsTakenAndWaitsAndANewerOneTakesItsPlace() async throws {
    var repository = repository
    let second = try unit(version: "2")
    let first = try await take(try stick(&repository, [(1, try unit(version: "1")), (2, second)]))
    #expect(first.status == 0 && first.output.contains("screening-fold 2: taken"), "\(first)")
    let update = try #require(try store.read().update)
    #expect(update.unit.version == 2 && update.phase == .waiting)
    #expect(try store.bytes(of: update.unit) == second)
    let next = try await take(try stick(&repository, [(3, try unit(version: "3"))], raising: true))
    #expect(next.status == 0, "\(next)")
    #expect(try store.read().update?.unit.version == 3)
    let status = try await Program.run(["update", "status", "--config", path], in: workspace.folder)
    #expect(status.output.contains("under way: screening-fold 3") && status.output.contains("superseded"), "\(status)")
    let list = try await Program.run(
      ["model", "list", "--directory", Workspace.repository + "/Models", "--config", path], in: workspace.folder)
    #expect(list.status == 0 && list.output.contains("under way: screening-fold 3"), "\(list.output) \(list.errors)")
    // By another's hand it goes back.
    let back = try await Program.run(["update", "rollback", "--config", path], in: workspace.folder)
    #expect(back.status == 0, "\(back.errors)")
    #expect(try store.read().update == nil)
  }

  @Test func whatIsHeldIsNotTried() async throws {
    var repository = repository
    let held = try await take(try stick(&repository, [(2, try unit(version: "2"))]), ["--hold"])
    #expect(held.status == 0 && held.output.contains("update-install"), "\(held)")
    #expect(try store.read().update == nil)
    #expect(try store.held(try #require(UnitTarget(model: "screening-fold", version: 2))) != nil)
  }

  @Test func aStickThatIsNotTheVendorsOrIsDamagedChangesNothing() async throws {
    var repository = repository
    let bytes = try unit(version: "2")
    let good = try stick(&repository, [(2, bytes)])
    let target = try #require(
      try FileManager.default.subpathsOfDirectory(atPath: good + "/targets").first { $0.hasSuffix("2.tar") })
    var spoilt = bytes
    spoilt[5000] ^= 1
    func refused(_ word: String, _ change: (String) throws -> Void) async throws {
      let stick = workspace.folder + "/bad-\(UUID().uuidString.prefix(8))"
      try FileManager.default.copyItem(atPath: good, toPath: stick)
      try change(stick)
      let result = try await take(stick)
      #expect(result.status == 1 && result.errors.contains(word), "\(word): \(result)")
      #expect(try store.read() == UpdateBook())
    }
    try await refused("sha256") { try Data(spoilt).write(to: URL(filePath: "\($0)/targets/\(target)")) }
    try await refused("bytes") { try Data(bytes + [0]).write(to: URL(filePath: "\($0)/targets/\(target)")) }
    try await refused("not there") { try FileManager.default.removeItem(atPath: "\($0)/targets/\(target)") }
    try await refused("symbolic link") {
      try FileManager.default.removeItem(atPath: "\($0)/targets/\(target)")
      try FileManager.default.createSymbolicLink(
        atPath: "\($0)/targets/\(target)", withDestinationPath: "/etc/hostname")
    }
    try await refused("metadata") { try FileManager.default.removeItem(atPath: $0 + "/metadata") }
    try await refused("timestamp") { try FileManager.default.removeItem(atPath: $0 + "/metadata/timestamp.json") }
    var stranger = try TestRepository()
    let foreign = try stick(&stranger, [(2, bytes)])
    let result = try await take(foreign)
    #expect(result.status == 1 && result.errors.contains("signatures"), "\(result)")
    #expect(try store.read() == UpdateBook())
    let whole = try await take(good)
    #expect(whole.status == 0, "\(whole)")
  }
}
