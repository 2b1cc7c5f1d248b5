import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

@testable import Trust

/// A device that has trusted the vendor for years, and a package that brings a newer root.
@Suite struct PackagedRootTests {
  private let scratch: ScratchFolder
  private var vendor: TestRepository

  init() throws {
    scratch = try ScratchFolder()
    vendor = try TestRepository()
    try FileManager.default.createDirectory(atPath: scratch.path + "/package", withIntermediateDirectories: true)
  }

  private var package: String { scratch.path + "/package/vendor-root.json" }
  private var store: TrustStore {
    TrustStore(.vendor, stateDirectory: scratch.path + "/state", packagedRoot: package, verifier: OpenSSLVerifier())
  }

  private var bundle: MetadataBundle {
    MetadataBundle(
      root: .vendor, metadata: Dictionary(uniqueKeysWithValues: vendor.files.map { (ExactText($0.key), $0.value) }))
  }

  private func put(_ bytes: [UInt8], _ name: String = "vendor-root.json") throws {
    try Data(bytes).write(to: URL(filePath: "\(scratch.path)/package/\(name)"))
  }

  /// Another root, signed by the one before and by itself.
  private mutating func rotate(changing role: String = "root") throws -> [UInt8] {
    let old = try #require(vendor.signers["root"])
    vendor.signers[role] = [try TestRepository.key()]
    vendor.raise("root")
    let bytes = try TestRepository.signed(
      vendor.rootMembers(), by: role == "root" ? old + (vendor.signers["root"] ?? []) : old)
    vendor.files["\(vendor.versions["root"] ?? 0).root.json"] = bytes
    return bytes
  }

  @Test mutating func aSuccessorIsTakenUpAndWhatLiesBelowStays() throws {
    try put(try #require(vendor.files["1.root.json"]))
    _ = try store.update(from: bundle, clock: SiteRepository.now)
    defer { scratch.remove() }
    try put(try rotate())
    let loaded = try store.loadBeside()
    #expect(loaded.packageFault == nil)
    #expect(loaded.repository?.versionsText == "root 2, timestamp 1, snapshot 1, targets 1")
    // Newer metadata writes it down; a package that brings the old one again changes nothing.
    vendor.raise("timestamp")
    try vendor.publish()
    #expect(try store.update(from: bundle, clock: SiteRepository.now).isNew)
    try put(try #require(vendor.files["1.root.json"]))
    let after = try store.loadBeside()
    #expect(after.packageFault == nil && after.repository?.metadata.rootVersion == 2)
  }

  @Test mutating func whoeverIsSeveralBehindFollowsFromRootToRoot() throws {
    try put(try #require(vendor.files["1.root.json"]))
    _ = try store.update(from: bundle, clock: SiteRepository.now)
    defer { scratch.remove() }
    let second = try rotate()
    let third = try rotate(changing: "timestamp")
    try put(third)
    let missing = try store.loadBeside()
    #expect(missing.packageFault?.contains("2.root.json, which leads to it, is not beside it") == true)
    #expect(missing.repository?.versionsText == "root 1, timestamp 1, snapshot 1, targets 1")
    try put(second, "2.root.json")
    let loaded = try store.loadBeside()
    #expect(loaded.packageFault == nil)
    // The former timestamp's signer counts no more: only newer metadata says anything again.
    #expect(loaded.repository?.versionsText == "root 3")
    vendor.raise("timestamp")
    try vendor.publish()
    #expect(try store.update(from: bundle, clock: SiteRepository.now).repository.metadata.rootVersion == 3)
  }

  @Test mutating func aStrangersRootIsToldAndLeftAlone() throws {
    try put(try #require(vendor.files["1.root.json"]))
    _ = try store.update(from: bundle, clock: SiteRepository.now)
    defer { scratch.remove() }
    let before = try #require(try store.load()).kept
    var stranger = try TestRepository()
    func refused(_ bytes: [UInt8], _ word: String) throws {
      try put(bytes)
      let loaded = try store.loadBeside()
      #expect(loaded.packageFault?.contains(word) == true, "\(word): \(loaded.packageFault ?? "taken up")")
      #expect(loaded.packageFault?.contains("root 1, which is trusted, stays") == true)
      #expect(loaded.repository?.kept == before)
    }
    try refused(try #require(stranger.files["1.root.json"]), "another root than the trusted one")
    stranger.raise("root")
    try stranger.publish()
    try refused(try #require(stranger.files["2.root.json"]), "root: right signatures of 0 keys")
    // By the old key, and not by its own.
    let old = try #require(vendor.signers["root"])
    vendor.signers["root"] = [try TestRepository.key()]
    vendor.raise("root")
    try refused(try TestRepository.signed(vendor.rootMembers(), by: old), "root: right signatures of 0 keys")
    try refused(Array("{}".utf8), "is not taken up")
    try FileManager.default.removeItem(atPath: package)
    let loaded = try store.loadBeside()
    #expect(loaded.packageFault == nil && loaded.repository?.kept == before)
  }
}
