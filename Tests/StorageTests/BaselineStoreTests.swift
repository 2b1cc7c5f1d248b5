import Foundation
import LocalFiles
import Provenance
import TestSupport
import Testing

@testable import Storage

/// What is kept of patients for the comparison over time: whatever happens to it, it is the right patient's or nobody's.
@Suite struct BaselineStoreTests {
  private let scratch: ScratchFolder
  private var directory: String { scratch.file("baselines") }

  init() throws { scratch = try ScratchFolder(inMemory: true) }

  private func store(_ keys: KeyRing? = nil, patients: Int = 100) throws -> BaselineStore {
    try BaselineStore(
      directory: directory, keys: try keys ?? KeyRing(current: makeKey(1)), maximumPatients: patients)
  }

  static func session(_ number: UInt64) -> RandomIdentifier {
    var generator = SeededGenerator(seed: number &* 977 &+ 5)
    return RandomIdentifier(using: &generator)
  }

  private func master(
    _ session: UInt64, of patient: String, view: String = "frontal", at seconds: Int64? = nil, mark: UInt16 = 0
  ) -> BaselineMaster {
    var generator = SeededGenerator(seed: session &* 31 &+ UInt64(mark))
    return BaselineMaster(
      captureID: RandomIdentifier(using: &generator), sessionID: Self.session(session), view: view, takenAs: patient,
      utcNanoseconds: (seconds ?? Int64(session)) * 1_000_000_000, camera: "c", columns: 4, rows: 3, noiseCelsius: 0.05,
      samples: (0..<12).map { 30_000 + UInt16(session) + mark + $0 }, states: Array(repeating: 0, count: 12))
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0 != "lock" }.sorted()
  }

  private func file(_ patient: String) -> String {
    directory + "/" + BaselineFile.name(of: patient, OpenSSLDigests())
  }

  @Test func theNewestSessionsOfAViewAreKeptOverYearsAndRestarts() async throws {
    for session in 1...20 {
      // Opened anew each time, as after a restart.
      let store = try store()
      try await store.add(master(UInt64(session), of: "p-1"), to: "p-1")
      if session.isMultiple(of: 2) {
        try await store.add(master(UInt64(session), of: "p-1", view: "left-lateral"), to: "p-1")
      }
    }
    let store = try store()
    let frontal = try await store.earlier(of: "p-1", view: "frontal", before: nil)
    #expect(frontal == (13...20).map { master($0, of: "p-1") })
    // The session under way is no earlier one.
    let before = try await store.earlier(of: "p-1", view: "frontal", before: Self.session(20))
    #expect(before.map(\.sessionID) == (13...19).map { Self.session($0) })
    let lateral = try await store.earlier(of: "p-1", view: "left-lateral", before: nil)
    #expect(lateral.map(\.sessionID) == stride(from: 6, through: 20, by: 2).map { Self.session($0) })
    let none = try await store.earlier(of: "p-2", view: "frontal", before: nil)
    #expect(none.isEmpty)
    let size = try #require(try FileManager.default.attributesOfItem(atPath: file("p-1"))[.size] as? Int)
    #expect(size < 10_000)
  }

  @Test func aSecondAttemptTakesThePlaceOfTheFirst() async throws {
    let store = try store()
    for (session, mark) in [(1, 0), (2, 0), (2, 1), (3, 0)] as [(UInt64, UInt16)] {
      try await store.add(master(session, of: "p-1", mark: mark), to: "p-1")
    }
    let kept = try await store.earlier(of: "p-1", view: "frontal", before: nil)
    #expect(kept == [master(1, of: "p-1"), master(2, of: "p-1", mark: 1), master(3, of: "p-1")])
  }

  /// Nothing of it can be read without the key, and nobody's name is on it.
  @Test func whatLiesThereIsSealedAndNamesNobody() async throws {
    let store = try store()
    try await store.add(master(1, of: "ward-7-0042"), to: "ward-7-0042")
    let name = try #require(try files().first)
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: directory + "/" + name)))
    #expect(try files().count == 1 && !name.contains("ward"))
    for text in ["ward", "frontal", "samples", "patient"] { #expect(!bytes.contains(Array(text.utf8)), "\(text)") }
    let mode = try FileManager.default.attributesOfItem(atPath: directory + "/" + name)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    // Nor can a file be taken for somebody else's.
    try FileManager.default.copyItem(atPath: file("ward-7-0042"), toPath: file("other"))
    await #expect(throws: BaselineError.self) {
      try await store.earlier(of: "other", view: "frontal", before: nil)
    }
    #expect(try await store.earlier(of: "ward-7-0042", view: "frontal", before: nil).count == 1)
  }

  @Test(arguments: 0..<40) func everyDamageIsToldOnceAndCostsOnePatient(at place: Int) async throws {
    let store = try store()
    for patient in ["p-1", "p-2"] {
      for session in 1...3 { try await store.add(master(UInt64(session), of: patient), to: patient) }
    }
    let path = file("p-1")
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    switch place {
    case 0: bytes = []
    case 1: bytes = noise(5000, seed: 3)
    case 2: bytes.removeLast()
    case 3: bytes += [0]
    // Behind the header, which says version and key.
    default: bytes[13 + (place - 4) * (bytes.count - 14) / 35] ^= 0x10
    }
    try Data(bytes).write(to: URL(filePath: path))
    do {
      _ = try await store.earlier(of: "p-1", view: "frontal", before: nil)
      Issue.record("damage at \(place) was not told")
    } catch {
      guard case .damaged = error else { throw error }
      #expect("\(error)".contains("begins anew"))
    }
    #expect(FileManager.default.fileExists(atPath: path + ".damaged"))
    #expect(try await store.earlier(of: "p-2", view: "frontal", before: nil).count == 3)
    try await store.add(master(4, of: "p-1"), to: "p-1")
    #expect(try await store.earlier(of: "p-1", view: "frontal", before: nil).map(\.sessionID) == [Self.session(4)])
    #expect(try await store.forget("p-1"))
    #expect(!FileManager.default.fileExists(atPath: path + ".damaged"))
  }

  @Test func aNewerFileIsLeftAlone() async throws {
    let store = try store()
    try await store.add(master(1, of: "p-1"), to: "p-1")
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: file("p-1"))))
    bytes[4] = 2
    try Data(bytes).write(to: URL(filePath: file("p-1")))
    for _ in 0..<2 {
      do {
        try await store.add(master(2, of: "p-1"), to: "p-1")
        Issue.record("an older program wrote over a newer one's file")
      } catch {
        #expect(error == .newer(path: file("p-1"), version: 2))
      }
    }
    #expect([UInt8](try Data(contentsOf: URL(filePath: file("p-1")))) == bytes)
  }

  @Test func aChangedKeyIsFollowedAndAMissingOneLosesNothing() async throws {
    let (old, new) = (try makeKey(1), try makeKey(2))
    try await store(KeyRing(current: old)).add(master(1, of: "p-1"), to: "p-1")
    try await store(KeyRing(current: old)).add(master(1, of: "p-2"), to: "p-2")
    let without = try store(KeyRing(current: new))
    for _ in 0..<2 {
      do {
        try await without.add(master(2, of: "p-1"), to: "p-1")
        Issue.record("what lies under another key was written over")
      } catch {
        #expect(error == .unknownKey(path: file("p-1"), id: old.id))
        #expect("\(error)".contains("older_key_file"))
      }
    }
    let both = try store(KeyRing(current: new, older: [old]))
    try await both.add(master(2, of: "p-1"), to: "p-1")
    #expect(try await both.count(keyID: old.id) == 1)
    #expect(try await both.count(keyID: new.id) == 1)
    #expect(try await both.reseal() == 0)
    #expect(try await both.count(keyID: old.id) == 0)
    // The older key is no longer needed.
    #expect(try await without.earlier(of: "p-1", view: "frontal", before: nil).count == 2)
    #expect(try await without.earlier(of: "p-2", view: "frontal", before: nil).count == 1)
    // And a patient whose file nobody can open any more can be forgotten.
    let lost = try store(KeyRing(current: try makeKey(3)))
    #expect(try await lost.patients().problems.count == 2)
    #expect(try await lost.forget("p-1"))
    try await lost.add(master(9, of: "p-1"), to: "p-1")
  }

  @Test func theNumberOfPatientsIsBounded() async throws {
    let store = try store(patients: 2)
    for patient in ["p-1", "p-2"] { try await store.add(master(1, of: patient), to: patient) }
    do {
      try await store.add(master(1, of: "p-3"), to: "p-3")
      Issue.record("a third patient was taken")
    } catch {
      #expect(error == .full(patients: 2))
    }
    try await store.add(master(2, of: "p-2"), to: "p-2")
    #expect(try await store.forget("p-1"))
    try await store.add(master(1, of: "p-3"), to: "p-3")
    var large = master(1, of: "p-2")
    (large.columns, large.rows) = (100, 100)
    await #expect(throws: BaselineError.self) { try await store.add(large, to: "p-2") }
  }

  @Test func aFormerReferenceIsFollowedAtTheNextTap() async throws {
    let store = try store()
    for session in 1...3 { try await store.add(master(UInt64(session), of: "old"), to: "old") }
    try await store.add(master(4, of: "new"), to: "new")
    let kept = try await store.earlier(of: "new", former: "old", view: "frontal", before: nil)
    #expect(kept.map(\.sessionID) == (1...4).map { Self.session($0) } && kept.allSatisfy { $0.takenAs == "new" })
    #expect(try files().count == 1)
    #expect(try await store.earlier(of: "old", view: "frontal", before: nil).isEmpty)
  }

  @Test func aSessionUnderTheWrongTagIsMovedAndAWithdrawnOneRemoved() async throws {
    let store = try store()
    for session in 1...3 { try await store.add(master(UInt64(session), of: "p-1"), to: "p-1") }
    try await store.add(master(2, of: "p-1", view: "left-lateral"), to: "p-1")
    try await store.add(master(7, of: "p-2"), to: "p-2")
    #expect(try await store.move(session: Self.session(2), to: "p-2"))
    // A second time changes nothing: a correction may arrive twice.
    #expect(try await store.move(session: Self.session(2), to: "p-2"))
    func sessions(_ patient: String, _ view: String = "frontal") async throws -> [RandomIdentifier] {
      try await store.earlier(of: patient, view: view, before: nil).map(\.sessionID)
    }
    #expect(try await sessions("p-1") == [Self.session(1), Self.session(3)])
    #expect(try await sessions("p-2") == [Self.session(2), Self.session(7)])
    #expect(try await sessions("p-1", "left-lateral").isEmpty)
    #expect(try await sessions("p-2", "left-lateral") == [Self.session(2)])
    #expect(try await store.earlier(of: "p-2", view: "frontal", before: nil).allSatisfy { $0.takenAs == "p-2" })
    #expect(try await store.remove(session: Self.session(2)))
    #expect(try await !store.remove(session: Self.session(2)))
    #expect(try await !store.move(session: Self.session(99), to: "p-1"))
    #expect(try await sessions("p-2") == [Self.session(7)])
    #expect(try await sessions("p-2", "left-lateral").isEmpty)
  }

  @Test func mergedPatientsAreOneUntilTheyAreNot() async throws {
    let store = try store()
    for (session, patient) in [(1, "a"), (2, "b"), (3, "a"), (4, "b")] as [(UInt64, String)] {
      try await store.add(master(session, of: patient), to: patient)
    }
    try await store.merge("b", into: "a")
    try await store.merge("b", into: "a")
    func sessions(_ patient: String) async throws -> [RandomIdentifier] {
      try await store.earlier(of: patient, view: "frontal", before: nil).map(\.sessionID)
    }
    let all = (1...4).map { Self.session($0) }
    #expect(try await sessions("a") == all)
    #expect(try await sessions("b") == all)
    // A tap of either is the same person's.
    try await store.add(master(5, of: "b"), to: "b")
    try await store.add(master(6, of: "a"), to: "a")
    #expect(try await sessions("b") == (1...6).map { Self.session($0) })
    try await store.unmerge("b")
    #expect(try await sessions("a") == [1, 3, 6].map { Self.session($0) })
    #expect(try await sessions("b") == [2, 4, 5].map { Self.session($0) })
    await #expect(throws: BaselineError.self) { try await store.unmerge("b") }
    // Neither into itself nor in a circle.
    try await store.merge("b", into: "a")
    await #expect(throws: BaselineError.self) { try await store.merge("a", into: "b") }
    await #expect(throws: BaselineError.self) { try await store.merge("a", into: "a") }
    // Who is forgotten after a merge leaves nothing with the other.
    #expect(try await store.forget("b"))
    #expect(try await sessions("a") == [1, 3, 6].map { Self.session($0) })
    #expect(try await sessions("b").isEmpty)
  }

  @Test func anExportOnAnotherDeviceOfTheSiteIsTheSameToTheBit() async throws {
    let (siteKey, digests) = (noise(32, seed: 5), OpenSSLDigests())
    let store = try store()
    for session in 1...4 { try await store.add(master(UInt64(session), of: "ward-7-bed-1"), to: "ward-7-bed-1") }
    try await store.add(master(9, of: "ward-7-bed-2"), to: "ward-7-bed-2")
    try await store.merge("ward-7-bed-2", into: "ward-7-bed-1")
    let sealed = try await store.exported(nil).transfer.sealed(siteKey: siteKey, digests)
    #expect(!sealed.contains(Array("ward-7-bed-1".utf8)) && !sealed.contains(Array("frontal".utf8)))
    let other = try BaselineStore(
      directory: scratch.file("other"), keys: KeyRing(current: try makeKey(8)), maximumPatients: 100)
    let transfer = try BaselineTransfer(file: sealed, path: "stick", siteKey: siteKey, digests)
    #expect(try await other.restore(transfer).changed == 2)
    #expect(try await other.restore(transfer) == BaselineStore.Restored())
    for patient in ["ward-7-bed-1", "ward-7-bed-2"] {
      let there = try await other.earlier(of: patient, view: "frontal", before: nil)
      #expect(try await there == store.earlier(of: patient, view: "frontal", before: nil) && there.count == 5)
    }
    // What the other has already stays beside it.
    try await other.add(master(10, of: "ward-7-bed-3"), to: "ward-7-bed-3")
    let one = try await store.exported(["ward-7-bed-3", "ward-7-bed-1"])
    #expect(one.transfer.patients.map(\.patient).sorted() == ["ward-7-bed-1", "ward-7-bed-2"])

    for (bytes, key) in [
      (sealed, noise(32, seed: 6)), (Array(sealed.dropLast()), siteKey), ([], siteKey), (noise(500, seed: 1), siteKey),
    ] {
      #expect(throws: BaselineError.self) { try BaselineTransfer(file: bytes, path: "stick", siteKey: key, digests) }
    }
  }

  /// Two processes at once: nothing of either is lost, and who is forgotten stays forgotten.
  @Test func storesBesideEachOtherLoseNothing() async throws {
    let (first, second) = (try store(), try store())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for session in 1...8 {
        for (store, patient) in [(first, "p-1"), (second, "p-1")] {
          let number = UInt64(session) * 2 + (store === first ? 0 : 1)
          group.addTask { try await store.add(master(number, of: patient, view: "v\(number % 4)"), to: patient) }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await first.patients().patients.first?.sessions == 16)
  }

  @Test func whatAPowerCutLeftIsTidiedUpAndTheListKnowsEveryFile() async throws {
    let store = try store()
    try await store.add(master(1, of: "p-1"), to: "p-1")
    try Data([1, 2]).write(to: URL(filePath: directory + "/.thermograph-0123456789abcdef.tmp"))
    _ = try self.store()
    #expect(try files() == [BaselineFile.name(of: "p-1", OpenSSLDigests())])
    let listed = Set(try StateFiles.all(in: scratch.path))
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
      #expect(listed.contains(directory + "/" + name), "\(name) is not on the list")
    }
    #expect(StateFiles.allFolders(in: scratch.path).contains(directory))
  }
}
