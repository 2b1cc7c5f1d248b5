import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

@testable import Trust

/// Damaged metadata, lists of keys, sets in one piece and envelopes: no trap, no hang, and whatever is taken says what was
/// signed. `THERMOGRAPH_TRUST_MUTATIONS` says how many (`make mutate-trust`).
@Suite struct TrustMutationTests {
  private static let asked =
    ProcessInfo.processInfo.environment["THERMOGRAPH_TRUST_MUTATIONS"].flatMap { Int($0) }
  private static let count = asked ?? 4000
  private static let slowest = 1.0

  private enum Kind: CaseIterable { case metadata, piece, list, envelope, kept }

  @Test func nothingDamagedIsTakenForAnother() throws {
    var repository = try SiteRepository()
    try repository.raise()
    let root = try #require(repository.metadata.files["1.root.json"])
    let first = try TrustedRepository(
      .site, rootFile: root, verifier: OpenSSLVerifier(), digests: TestRepository.digests)
    let trusted = try first.updated(from: repository.bundle, clock: SiteRepository.now)
    let before = try Self.residentBytes()
    var random = SeededGenerator(seed: 0x7472_7375)
    var taken = 0
    for round in 0..<Self.count {
      let kind = Kind.allCases[round % Kind.allCases.count]
      let began = processorSeconds()
      let isTaken = try Self.attempt(kind, repository, first, trusted, &random)
      if isTaken { taken += 1 }
      #expect(processorSeconds() - began < Self.slowest, "\(kind), round \(round)")
    }
    let grown = try Self.residentBytes() - before
    print("\(Self.count) mutations, \(taken) without effect, \(grown / 1024) KiB more memory at the most")
    #expect(taken < Self.count / 2, "the mutations hit nothing")
    // The most memory is that of the whole process: it says something only where this test runs alone, as the long form does.
    if Self.asked != nil { #expect(grown < 64 * 1024 * 1024) }
  }

  /// One damaged input; true when it was taken, which is right only when it says what had been signed.
  private static func attempt(
    _ kind: Kind, _ repository: SiteRepository, _ first: TrustedRepository, _ trusted: TrustedRepository,
    _ random: inout SeededGenerator
  ) throws -> Bool {
    func damaged(_ bytes: [UInt8]) -> [UInt8] {
      var bytes = bytes
      for _ in 0...Int.random(in: 0...2, using: &random) { bytes.mutate(using: &random) }
      return bytes
    }
    let commander = repository.commander.publicKey
    func isRight(_ result: TrustedRepository) -> Bool {
      guard case .keys(let keys) = result.siteKeys(for: .command, SiteRepository.now) else { return false }
      return keys.keys.map(\.key) == [commander]
    }
    switch kind {
    case .metadata:
      var spoilt = repository
      let names = ["1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]
      let name = names[Int.random(in: 0..<names.count, using: &random)]
      spoilt.metadata.files[name] = damaged(spoilt.metadata.files[name] ?? [])
      guard let result = try? first.updated(from: spoilt.bundle, clock: SiteRepository.now) else { return false }
      #expect(isRight(result))
    case .piece:
      guard let bundle = try? MetadataBundle(reading: damaged(repository.bundle.encoded())),
        let result = try? first.updated(from: bundle, clock: SiteRepository.now)
      else { return false }
      #expect(isRight(result))
    case .list:
      var spoilt = repository
      guard let (name, bytes) = spoilt.targetFiles.first else { return false }
      let other = damaged(bytes)
      // The list alone is not signed: read by itself it must only not trap.
      _ = try? OnlineKeys(reading: other, digests: TestRepository.digests)
      spoilt.targetFiles[name] = other
      guard let result = try? first.updated(from: spoilt.bundle, clock: SiteRepository.now) else { return false }
      #expect(isRight(result))
    case .envelope:
      let type: ExactText = "application/vnd.thermograph.command.v1+json"
      let envelope = try Envelope(Array("{\"name\":\"status\"}".utf8), type: type, signedBy: [repository.commander])
      guard case .keys(let keys) = trusted.siteKeys(for: .command, SiteRepository.now),
        let read = try? Envelope(reading: damaged(envelope.encoded()), within: .statement),
        let statement = try? keys.open(read, type: type, verifier: OpenSSLVerifier())
      else { return false }
      #expect(statement.payload == Array("{\"name\":\"status\"}".utf8))
    case .kept:
      guard
        let kept = try? MetadataBundle(
          reading: damaged(trusted.kept.encoded()), maximumBytes: MetadataBundle.messageBytesMaximum),
        let result = try? TrustedRepository(
          kept: kept, verifier: OpenSSLVerifier(), digests: TestRepository.digests)
      else { return false }
      if case .keys(let keys) = result.siteKeys(for: .command, SiteRepository.now) {
        #expect(keys.keys.map(\.key) == [commander])
      }
    }
    return true
  }

  /// The most memory that this process has had so far.
  private static func residentBytes() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.split(separator: " ").dropLast().last ?? "")) * 1024
  }
}
