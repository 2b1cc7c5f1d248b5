import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// Two corrections at once, a damaged file in the middle of an import, references that lead to each other: nobody's pictures are
/// lost, and none come to the wrong person.
@Suite struct BaselineHardCasesTests {
  private let scratch: ScratchFolder
  private var directory: String { scratch.file("baselines") }

  init() throws { scratch = try ScratchFolder(inMemory: true) }

  private func store(_ key: UInt64 = 1, in folder: String? = nil, patients: Int = 100) throws -> BaselineStore {
    try BaselineStore(
      directory: folder ?? directory, keys: KeyRing(current: makeKey(key)), maximumPatients: patients)
  }

  private func master(_ session: UInt64, of patient: String, view: String = "frontal") -> BaselineMaster {
    var generator = SeededGenerator(seed: session &* 31)
    return BaselineMaster(
      captureID: RandomIdentifier(using: &generator), sessionID: BaselineStoreTests.session(session), view: view,
      takenAs: patient, utcNanoseconds: Int64(session) * 1_000_000_000, camera: "c", columns: 4, rows: 3,
      noiseCelsius: 0.05, samples: (0..<12).map { 30_000 + UInt16(session) + $0 },
      states: Array(repeating: 0, count: 12))
  }

  private func add(_ sessions: [UInt64], of patient: String, to store: BaselineStore) async throws {
    for session in sessions { try await store.add(master(session, of: patient), to: patient) }
  }

  private func sessions(_ patient: String, _ store: BaselineStore) async throws -> [RandomIdentifier] {
    try await store.earlier(of: patient, view: "frontal", before: nil).map(\.sessionID)
  }

  private func ids(_ numbers: UInt64...) -> [RandomIdentifier] { numbers.map { BaselineStoreTests.session($0) } }

  private func damage(_ patient: String, in folder: String? = nil) throws {
    let path = (folder ?? directory) + "/" + BaselineFile.name(of: patient, OpenSSLDigests())
    try Data(noise(400, seed: 9)).write(to: URL(filePath: path))
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0 != "lock" }
  }

  /// Staff merged the tag's former reference into its present one: the next tap must not lead the present one to itself.
  @Test func aFormerReferenceThatWasMergedIntoThePresentOneLosesNothing() async throws {
    let store = try store()
    try await add([1, 2], of: "old", to: store)
    try await add([3], of: "new", to: store)
    try await store.merge("old", into: "new")
    for _ in 0..<2 {
      let kept = try await store.earlier(of: "new", former: "old", view: "frontal", before: nil)
      #expect(kept.map(\.sessionID) == ids(1, 2, 3) && kept.allSatisfy { $0.takenAs == "new" })
    }
    #expect(try files().count == 1)
  }

  @Test func whoWasMergedIntoTheFormerReferenceFollowsToThePresentOne() async throws {
    let store = try store()
    try await add([1], of: "old", to: store)
    try await add([2], of: "card", to: store)
    try await store.merge("card", into: "old")
    #expect(
      try await store.earlier(of: "new", former: "old", view: "frontal", before: nil).map(\.sessionID) == ids(1, 2))
    #expect(try await sessions("card", store) == ids(1, 2))
    try await store.add(master(3, of: "card"), to: "card")
    #expect(try await sessions("new", store) == ids(1, 2, 3))
    try await store.unmerge("card")
    #expect(try await sessions("new", store) == ids(1))
    #expect(try await sessions("card", store) == ids(2, 3))
  }

  /// A tag whose former reference is merged into somebody else's, and that has pictures of its own already.
  @Test func aFormerReferenceMergedElsewhereTakesThePresentOneAlong() async throws {
    let store = try store()
    try await add([1], of: "home", to: store)
    try await add([2], of: "old", to: store)
    try await store.merge("old", into: "home")
    try await add([3], of: "new", to: store)
    let kept = try await store.earlier(of: "new", former: "old", view: "frontal", before: nil)
    #expect(kept.map(\.sessionID) == ids(1, 2, 3))
    try await store.unmerge("new")
    #expect(try await sessions("home", store) == ids(1))
    #expect(try await sessions("new", store) == ids(2, 3))
  }

  @Test func undoingAMergeTakesAlongWhatWasMergedIntoIt() async throws {
    let store = try store()
    for (session, patient) in [(1, "a"), (2, "b"), (3, "c")] as [(UInt64, String)] {
      try await add([session], of: patient, to: store)
    }
    try await store.merge("c", into: "b")
    try await store.merge("b", into: "a")
    #expect(try await sessions("c", store) == ids(1, 2, 3))
    try await store.unmerge("b")
    #expect(try await sessions("a", store) == ids(1))
    #expect(try await sessions("b", store) == ids(2, 3))
    #expect(try await sessions("c", store) == ids(2, 3))
    // Nobody's pictures yet: undoing is no error. Nor is what was never merged on this device, or is undone already.
    try await store.merge("x", into: "y")
    try await store.unmerge("x")
    for reference in ["x", "b", "nobody"] {
      try await store.follow(CorrectionRequest(.unmerge, reference, reason: "they are two persons"))
    }
    #expect(try await sessions("b", store) == ids(2, 3))
  }

  /// The place of a patient of whom nothing is left is free for another.
  @Test func aWithdrawnOnlySessionLeavesNothing() async throws {
    let store = try store(patients: 1)
    try await add([1], of: "p-1", to: store)
    #expect(try await store.remove(session: BaselineStoreTests.session(1)))
    #expect(try files().isEmpty)
    #expect(try await store.patients().patients.isEmpty)
    try await add([2], of: "p-2", to: store)
    #expect(try await store.move(session: BaselineStoreTests.session(2), to: "p-2"))
  }

  /// What is damaged is counted once, by whatever came upon it; a look changes nothing.
  @Test func damageIsCountedAndALookMovesNothing() async throws {
    let store = try store()
    for number in 1...4 { try await add([UInt64(number)], of: "p-\(number)", to: store) }
    try await store.add(master(9, of: "p-4"), to: "p-4")
    try damage("p-1")
    try damage("p-2")
    var found = try await store.inspect()
    #expect(found == BaselineStore.Inspection(whole: 2, damaged: 2, setAside: 0, locked: 0))
    #expect(try await store.inspect() == found)
    #expect(await store.takeDamaged() == 0)
    // A correction that looks through all files comes upon them.
    #expect(try await store.move(session: BaselineStoreTests.session(9), to: "p-3"))
    #expect(await store.takeDamaged() == 2)
    #expect(await store.takeDamaged() == 0)
    found = try await store.inspect()
    #expect(found == BaselineStore.Inspection(whole: 2, damaged: 0, setAside: 2, locked: 0))
    let other = try self.store(2)
    #expect(try await other.inspect() == BaselineStore.Inspection(whole: 0, damaged: 0, setAside: 2, locked: 2))
  }

  /// One patient that cannot be taken over, and one whose file is damaged here, keep nobody else out.
  @Test func anImportGoesOnBeyondWhatItCannotTake() async throws {
    let (there, folder) = (try store(3, in: scratch.file("there")), scratch.file("there"))
    for (session, patient) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] as [(UInt64, String)] {
      try await add([session], of: patient, to: there)
    }
    try await there.merge("b", into: "a")
    let transfer = try await there.exported(nil).transfer
    let store = try store()
    // Here `b` has pictures of its own, and `c` is damaged.
    try await add([7], of: "b", to: store)
    try await add([8], of: "c", to: store)
    try damage("c")
    let restored = try await store.restore(transfer)
    #expect(restored.changed == 3 && restored.problems.count == 1, "\(restored)")
    #expect(restored.problems.first?.contains("b is merged into a there") == true, "\(restored)")
    #expect(try await sessions("a", store) == ids(1, 2))
    #expect(try await sessions("b", store) == ids(7))
    #expect(try await sessions("c", store) == ids(3))
    #expect(try await sessions("d", store) == ids(4))
    #expect(try await store.restore(transfer) == BaselineStore.Restored(changed: 0, problems: restored.problems))
    // Nor does a circle come of two devices that merged the other way round.
    let round = try self.store(1, in: scratch.file("round"))
    try await add([5], of: "b", to: round)
    try await round.merge("a", into: "b")
    #expect(try await round.restore(transfer).problems.count == 1)
    #expect(try await sessions("a", round).count == 3)

    // And an export goes on beyond what it cannot read, and says so.
    try damage("d", in: folder)
    let exported = try await there.exported(nil)
    #expect(exported.problems.count == 1 && exported.transfer.patients.map(\.patient).sorted() == ["a", "b", "c"])
  }

  /// With a patient goes every reference that is merged into it.
  @Test func anExportOfOnePatientTakesTheMergedReferencesAlong() async throws {
    let store = try store()
    try await add([1], of: "a", to: store)
    try await add([2], of: "b", to: store)
    try await add([3], of: "z", to: store)
    try await store.merge("b", into: "a")
    for asked in ["a", "b"] {
      let exported = try await store.exported([asked])
      #expect(exported.transfer.patients.map(\.patient).sorted() == ["a", "b"] && exported.problems.isEmpty)
    }
    let other = try self.store(5, in: scratch.file("other"))
    #expect(try await other.restore(store.exported(["a"]).transfer).changed == 2)
    #expect(try await sessions("b", other) == ids(1, 2))
  }
}
