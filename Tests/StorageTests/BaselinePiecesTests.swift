import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// A patient's earlier sessions in pieces that a command carries.
@Suite struct BaselinePiecesTests {
  private let scratch: ScratchFolder
  private let siteKey = noise(32, seed: 5)
  private let digests = OpenSSLDigests()

  init() throws { scratch = try ScratchFolder(inMemory: true) }

  private func store(_ name: String) throws -> BaselineStore {
    try BaselineStore(
      directory: scratch.file(name), keys: KeyRing(current: try makeKey(1)), maximumPatients: 100)
  }

  /// As the sensor makes it.
  private func master(_ session: UInt64, of patient: String, view: String) -> BaselineMaster {
    var generator = SeededGenerator(seed: session &* 31 &+ UInt64(view.utf8.count))
    let pixels = 32 * 24
    return BaselineMaster(
      captureID: RandomIdentifier(using: &generator), sessionID: BaselineStoreTests.session(session), view: view,
      takenAs: patient, utcNanoseconds: Int64(session) * 1_000_000_000, camera: "0123-4567-89ab", columns: 32, rows: 24,
      noiseCelsius: 0.048_271_93,
      samples: (0..<pixels).map { _ in UInt16.random(in: 29_000...31_500, using: &generator) },
      states: (0..<pixels).map { _ in UInt8.random(in: 0...2, using: &generator) })
  }

  @Test func allPiecesInAnyOrderAreTheWhole() async throws {
    let here = try store("here")
    for session in 1...8 {
      for view in ["frontal", "left-lateral", "right-lateral"] {
        try await here.add(master(UInt64(session), of: "ward-7-bed-1", view: view), to: "ward-7-bed-1")
      }
    }
    try await here.add(master(9, of: "ward-7-bed-2", view: "frontal"), to: "ward-7-bed-2")
    try await here.merge("ward-7-bed-2", into: "ward-7-bed-1")
    let pieces = try await here.exported(["ward-7-bed-1"]).transfer.pieces()
    #expect(pieces.count == 14, "two pictures each, 25 of them, and the merge")
    let there = try store("there")
    var generator = SeededGenerator(seed: 11)
    for piece in (pieces + pieces).shuffled(using: &generator) {
      let sealed = try piece.sealed(siteKey: siteKey, digests)
      #expect(sealed.count <= BaselineTransfer.pieceBytes)
      #expect(!sealed.contains(Array("ward-7-bed-1".utf8)))
      let opened = try BaselineTransfer(file: sealed, path: "piece", siteKey: siteKey, digests)
      #expect(try await there.restore(opened).problems.isEmpty)
    }
    for patient in ["ward-7-bed-1", "ward-7-bed-2"] {
      for view in ["frontal", "left-lateral", "right-lateral"] {
        let expected = try await here.earlier(of: patient, view: view, before: nil)
        #expect(try await there.earlier(of: patient, view: view, before: nil) == expected && !expected.isEmpty)
      }
    }
  }

  @Test func aPictureThatNoCommandTakesIsTold() async throws {
    let here = try store("here")
    var large = master(1, of: "ward-7-bed-1", view: "frontal")
    (large.columns, large.rows) = (64, 64)
    large.samples = Array(repeating: 30_000, count: 4096)
    large.states = Array(repeating: 0, count: 4096)
    try await here.add(large, to: "ward-7-bed-1")
    let transfer = try await here.exported(nil).transfer
    #expect(throws: BaselineError.tooLarge(reason: "a picture is larger than one command takes; use a stick")) {
      try transfer.pieces()
    }
  }
}
