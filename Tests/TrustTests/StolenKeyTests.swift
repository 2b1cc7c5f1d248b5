import Cryptography
import Foundation
import Provenance
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Trust

/// What a thief does with a key that counts, by both doors, and how the site gets its devices back.
@Suite struct StolenKeyTests {
  private typealias Repository = TestRepository

  /// A root of the next version by the one before and by itself.
  private func rotate(_ repository: inout SiteRepository, _ role: String) throws {
    let old = repository.metadata.signers["root"] ?? []
    repository.metadata.signers[role] = [try Repository.key()]
    repository.metadata.raise("root")
    repository.metadata.files["\(repository.metadata.versions["root"] ?? 0).root.json"] = try Repository.signed(
      repository.metadata.rootMembers(), by: role == "root" ? old + (repository.metadata.signers["root"] ?? []) : old)
  }

  /// The thief of the online key signs the highest version that there is, so that no honest one is above it: a root with
  /// another key for the role begins anew.
  @Test(arguments: SiteRepository.Door.allCases)
  func aVersionAtTheEndOfAllNumbersIsForgottenWithItsKey(door: SiteRepository.Door) throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: door)
    var stolen = repository
    stolen.metadata.versions["timestamp"] = Int64.max - 1
    try stolen.metadata.publish()
    try device.take(stolen, by: door)
    try repository.raise()
    #expect(device.refusal(of: repository, by: door) == "timestamp: an earlier version than was trusted before")
    try rotate(&repository, "timestamp")
    try repository.raise()
    let taken = try device.take(repository, by: door)
    #expect(taken.versionsText == "root 2, timestamp 3, snapshot 3, targets 3")
    // The thief's word counts no more, and his set does not come in again.
    let kept = device.kept
    stolen.metadata.files["2.root.json"] = repository.metadata.files["2.root.json"]
    #expect(device.refusal(of: stolen, by: door)?.hasPrefix("timestamp: right signatures of 0 keys") == true)
    #expect(device.kept == kept)
  }

  /// Everything from before the rotation, offered once more to a device that has followed it.
  @Test(arguments: SiteRepository.Door.allCases)
  func theSetOfBeforeARotationDoesNotComeInAgain(door: SiteRepository.Door) throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try repository.raise()
    let before = repository
    for role in ["snapshot", "timestamp", "targets"] { try rotate(&repository, role) }
    try repository.raise()
    try device.take(repository, by: door)
    let kept = device.kept
    #expect(device.refusal(of: before, by: door)?.hasPrefix("timestamp: right signatures of 0 keys") == true)
    // With the roots beside it, so that only its signers are old.
    var dressed = before
    for (name, bytes) in repository.metadata.files where name.hasSuffix(".root.json") {
      dressed.metadata.files[name] = bytes
    }
    #expect(device.refusal(of: dressed, by: door) != nil)
    #expect(device.kept == kept)
  }

  /// The targets key lists a key under which OpenSSL takes any message: nobody commands with it.
  @Test(arguments: SiteRepository.Door.allCases)
  func aKeyThatSignsAnythingIsNotListed(door: SiteRepository.Door) throws {
    let repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: door)
    let kept = device.kept
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410) around the identity point, and around a point of order eight.
    let prefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
    let eighth = try #require(
      Hexadecimal.bytes(of: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
    for point in [[1] + [UInt8](repeating: 0, count: 31), [UInt8](repeating: 0, count: 32), eighth] {
      let pem =
        "-----BEGIN PUBLIC KEY-----\\n\(Data(prefix + point).base64EncodedString())\\n-----END PUBLIC KEY-----\\n"
      var spoilt = repository
      try spoilt.listBytes(
        Array(
          "{\"schema\":\"\(OnlineKeys.schema.string)\",\"keys\":[{\"role\":\"command\",\"key\":\"\(pem)\"}]}".utf8))
      try spoilt.raise()
      let refusal = device.refusal(of: spoilt, by: door)
      #expect(refusal?.hasPrefix("online-keys.json") == true, "\(refusal ?? "taken")")
      #expect(device.kept == kept)
    }
  }

  /// A stick and the line at the same moment, older and newer sets mixed: versions only rise, and nothing is torn.
  @Test func bothDoorsAtOnceNeverGoBack() async throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: .stick)
    var sets: [(bundle: MetadataBundle, stick: String)] = []
    for number in 0..<6 {
      try repository.raise()
      sets.append((repository.bundle, "\(device.scratch.path)/stick-\(number)"))
      try repository.write(to: "\(device.scratch.path)/stick-\(number)")
    }
    let seen = Mutex<[Int64]>([])
    let isOver = Mutex(false)
    let watch = Task.detached { [store = device.store] in
      while !isOver.withLock({ $0 }) {
        let version = try #require(try store.load()).metadata.roles.first { $0.role == "timestamp" }?.version ?? 0
        seen.withLock { $0.append(version) }
      }
    }
    await withTaskGroup(of: Void.self) { [store = device.store] group in
      for (index, set) in (sets + sets.reversed()).enumerated() {
        group.addTask {
          // One that is older by then is refused.
          if index % 2 == 0 {
            _ = try? store.update(from: try RepositoryFolder(set.stick), clock: SiteRepository.now)
          } else {
            _ = try? store.update(from: set.bundle, clock: SiteRepository.now)
          }
        }
      }
    }
    isOver.withLock { $0 = true }
    try await watch.value
    let versions = seen.withLock { $0 }
    #expect(versions == versions.sorted() && !versions.isEmpty)
    #expect(try device.store.load()?.versionsText == "root 1, timestamp 7, snapshot 7, targets 7")
  }
}
