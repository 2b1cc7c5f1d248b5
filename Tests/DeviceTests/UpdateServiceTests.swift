import Forwarding
import Foundation
import Logging
import Provenance
import Remote
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Device

/// The service between the record on disk, the trial's process, the session and the far side, with a clock that the test
/// moves.
@Suite struct UpdateServiceTests {
  final class Bench: Sendable {
    let scratch: ScratchFolder
    let store: UpdateStore
    let clock = ManualClock()
    let intake = ShadowIntake()
    let service: UpdateService
    let quiet = Mutex<Int64?>(0)
    let trials = Mutex<[TrialRequest]>([])
    let answers = Mutex<[UpdateTrial]>([])
    let loads = Mutex<[String]>([])
    let unusable = Mutex<Set<String>>([])
    let told = Mutex<[UpdateMessage]>([])
    let tellFails = Mutex(false)
    let isReady = Mutex(true)
    let incoming = PartIntake(
      base: "tg/v1/s/d/dn/model", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let isLineFree = Mutex(true)
    let withdrawn = Mutex<Set<String>>([])

    struct Fault: Error {}

    /// - Parameter scratch: of a bench before it, whose device starts again.
    init(_ scratch: ScratchFolder? = nil, bytesPerDay: Int? = nil) throws {
      self.scratch = try scratch ?? ScratchFolder(inMemory: true)
      store = UpdateStore(stateDirectory: self.scratch.path)
      let boxed = Boxed()
      service = UpdateService(
        parts: .init(
          store: store,
          trial: { request, isWanted in
            guard let bench = boxed.bench else { return .interrupted }
            bench.trials.withLock { $0.append(request) }
            guard isWanted() else { return .interrupted }
            return bench.answers.withLock { $0.isEmpty ? .interrupted : $0.removeFirst() }
          },
          installed: { "/models/\($0.rawValue)" }, quietSeconds: { boxed.bench?.quiet.withLock { $0 } },
          load: { book in
            guard let bench = boxed.bench, bench.isReady.withLock({ $0 }) else { return .later }
            let name = book[.screening].active.unit.map { "\($0.version)" } ?? "installed"
            if bench.unusable.withLock({ $0.contains(name) }) { return .unusable(.screening, reason: "damaged") }
            bench.loads.withLock { $0.append(name) }
            return .done
          },
          tell: { message in
            guard let bench = boxed.bench, !bench.tellFails.withLock({ $0 }) else { throw Fault() }
            bench.told.withLock { $0.append(message) }
          },
          incoming: incoming, isLineFree: { boxed.bench?.isLineFree.withLock { $0 } ?? false },
          bytesPerDay: bytesPerDay,
          examine: { bytes, target in
            if bytes.first == 0xEE { throw Fault() }
            return try Self.unit(target, bytes)
          },
          isNamed: { _, file in boxed.bench?.withdrawn.withLock { !$0.contains(file) } ?? true }),
        intake: intake, loaded: [:], time: clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      boxed.set(self)
    }

    /// The bench, for closures that are made before it.
    final class Boxed: Sendable {
      struct Weak: Sendable { weak var bench: Bench? }
      private let box = Mutex(Weak())
      var bench: Bench? { box.withLock { $0.bench } }
      func set(_ bench: Bench) { box.withLock { $0.bench = bench } }
    }

    static func unit(_ target: UnitTarget, _ bytes: [UInt8]) throws -> UpdateUnit {
      let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
      return UpdateUnit(target: target, slot: .screening, fileSHA256: digest, unitSHA256: digest, bytes: bytes.count)
    }

    func order(_ version: Int64, _ bytes: [UInt8]) throws -> UpdateOrder {
      let target = try #require(UnitTarget(model: "fold", version: version))
      let order = UpdateOrder(
        target, fileSHA256: try Self.unit(target, bytes).fileSHA256, bytes: bytes.count, command: "c-1", window: nil)
      try store.apply(.ordered(order))
      return order
    }

    /// Sends a part as the broker hands it over, `number` from 1.
    func send(_ order: UpdateOrder, _ number: Int, of count: Int? = nil, _ bytes: [UInt8]) {
      incoming.take(
        IncomingMessage(
          topic: "tg/v1/s/d/dn/model/\(order.fileSHA256)/\(number)-of-\(count ?? order.parts)", payload: bytes))
    }

    func part(_ bytes: [UInt8], _ number: Int) -> [UInt8] {
      Array(bytes[(number - 1) * 65_536..<min(bytes.count, number * 65_536)])
    }

    func look(after seconds: Int = 5, quiet: Int64?) async {
      clock.advance(seconds: seconds)
      self.quiet.withLock { $0 = quiet }
      await service.look()
    }

    func stage(_ version: Int64) throws -> UpdateUnit {
      let bytes = [UInt8](repeating: UInt8(version), count: 500)
      let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
      let unit = UpdateUnit(
        target: try #require(UnitTarget(model: "fold", version: version)), slot: .screening, fileSHA256: digest,
        unitSHA256: "\(version)" + digest.dropFirst(), bytes: bytes.count)
      try store.stage(unit, bytes, command: "c-\(version)")
      return unit
    }

    static let figures = TrialFigures(samples: 8, candidateMicroseconds: 900, currentMicroseconds: 800)

    /// Through trial and exchange.
    func activate(_ version: Int64) async throws -> UpdateUnit {
      let unit = try stage(version)
      answers.withLock {
        $0 = [.golden(Self.figures)] + Array(repeating: .shadow(agrees: true, Self.figures), count: 3)
      }
      await look(quiet: 300)
      for _ in 0..<3 { intake.put(KeptCapture(master: [1], unitSHA256s: ["old"], hasScore: true)) }
      await look(quiet: 20)
      await look(quiet: 300)
      return unit
    }
  }

  @Test func fromTheStoreToTheConfirmationAndTold() async throws {
    let bench = try Bench()
    let unit = try await bench.activate(7)
    #expect(bench.loads.withLock { $0 } == ["7"])
    let requests = bench.trials.withLock { $0 }
    #expect(requests.count == 4 && requests.map { $0.master == nil } == [true, false, false, false])
    #expect(requests.allSatisfy { $0.candidate == bench.store.path(of: unit) && $0.current == "/models/screening" })
    #expect(requests.allSatisfy { $0.beside == "/models/quality" })
    for _ in 0..<5 { bench.intake.put(KeptCapture(master: [], unitSHA256s: [unit.unitSHA256], hasScore: true)) }
    await bench.look(quiet: nil)
    #expect(try bench.store.read().floors["fold"]?.version == 7)
    let told = bench.told.withLock { $0 }
    #expect(
      told.map(\.state) == ["waiting", "trial", "active", "confirmed"] && told.allSatisfy { $0.command == "c-7" })
    #expect(told.last?.agreements == 3 && told.last?.trial == Bench.figures)
    #expect(try bench.store.read().notes.isEmpty)
    // Nothing is under way: nothing is read, written or kept.
    let stamp = try bench.store.stamp()
    await bench.look(quiet: 300)
    bench.intake.put(KeptCapture(master: [1], unitSHA256s: [unit.unitSHA256], hasScore: true))
    await bench.look(after: 5000, quiet: 300)
    #expect(try bench.store.stamp() == stamp && bench.intake.first() == nil)
  }

  @Test func aSessionEndsATrialAndTheSamePictureIsTriedAgain() async throws {
    let bench = try Bench()
    _ = try bench.stage(7)
    bench.answers.withLock { $0 = [.interrupted, .golden(Bench.figures), .interrupted] }
    await bench.look(quiet: 300)
    #expect(try bench.store.read().update?.phase == .waiting)
    #expect(try bench.store.read().update?.trials == 0)
    await bench.look(quiet: 600)
    #expect(try bench.store.read().update?.phase == .shadow)
    bench.intake.put(KeptCapture(master: [7], unitSHA256s: ["old"], hasScore: true))
    await bench.look(quiet: nil)
    #expect(bench.trials.withLock { $0.count } == 2, "no trial while a session is open")
    await bench.look(quiet: 0)
    #expect(bench.intake.first()?.master == [7])
    bench.answers.withLock { $0 = [.shadow(agrees: false, Bench.figures)] }
    await bench.look(quiet: 0)
    #expect(bench.intake.first() == nil)
    #expect(try bench.store.read().update?.shadows == 1)
    // A picture that the model was not asked about is no trial of it.
    bench.intake.put(KeptCapture(master: [8], unitSHA256s: ["old"], hasScore: false))
    await bench.look(quiet: 0)
    #expect(try bench.store.read().update?.shadows == 1)
  }

  @Test func aModelThatCannotBeLoadedGivesWay() async throws {
    let bench = try Bench()
    bench.unusable.withLock { $0 = ["7"] }
    _ = try await bench.activate(7)
    let book = try bench.store.read()
    #expect(book[.screening].active == .installed && book.ends.last?.result == .rolledBack)
    // The installed one never stopped deciding: nothing had to be loaded.
    #expect(bench.loads.withLock { $0 }.isEmpty)
    await bench.look(quiet: 0)
    #expect(bench.told.withLock { $0.map(\.state) }.last == "rolled-back")
  }

  @Test func whatATechnicianTakesBackIsFoundAtTheNextLook() async throws {
    let bench = try Bench()
    _ = try await bench.activate(7)
    try bench.store.apply(.rollback(.screening, reason: "taken back at the device"))
    await bench.look(quiet: nil)
    #expect(bench.loads.withLock { $0 } == ["7", "installed"])
    #expect(bench.told.withLock { $0.last?.reason } == "taken back at the device")
  }

  @Test func whatCannotBeToldOrLoadedNowIsToldAndLoadedLater() async throws {
    let bench = try Bench()
    bench.tellFails.withLock { $0 = true }
    bench.isReady.withLock { $0 = false }
    _ = try await bench.activate(7)
    #expect(try bench.store.read().notes.map(\.state) == ["waiting", "trial", "active"])
    #expect(bench.loads.withLock { $0 }.isEmpty)
    bench.tellFails.withLock { $0 = false }
    bench.isReady.withLock { $0 = true }
    await bench.look(quiet: nil)
    #expect(bench.loads.withLock { $0 } == ["7"])
    #expect(bench.told.withLock { $0.map(\.state) } == ["waiting", "trial", "active"])
  }

  @Test func aWindowIsKept() async throws {
    let bench = try Bench()
    let bytes = [UInt8](repeating: 1, count: 500)
    let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
    let unit = UpdateUnit(
      target: try #require(UnitTarget(model: "fold", version: 1)), slot: .screening, fileSHA256: digest,
      unitSHA256: digest, bytes: 500)
    // The test's clock stands at some minute; the window begins two hours later.
    let minute = Int(bench.clock.now().utcNanoseconds / 60_000_000_000 % 1440)
    func text(_ minute: Int) -> String {
      String(format: "%02d:%02d", minute / 60 % 24, minute % 60)
    }
    try bench.store.stage(unit, bytes, window: "\(text(minute + 120))-\(text(minute + 180))")
    bench.answers.withLock { $0 = [.golden(Bench.figures)] }
    await bench.look(quiet: 3000)
    #expect(try bench.store.read().update?.phase == .waiting)
    await bench.look(after: 7230, quiet: 10_000)
    #expect(try bench.store.read().update?.phase == .shadow)
  }

  // MARK: - Parts

  static func file(_ count: Int, first: UInt8 = 1) -> [UInt8] {
    [first] + (1..<count).map { UInt8(truncatingIfNeeded: $0 * 31 >> 3) }
  }

  @Test func aUnitComesInPartsIsAskedForInWindowsAndTriedWhenWhole() async throws {
    let bench = try Bench()
    let bytes = Self.file(65_536 * 20 + 5)
    let order = try bench.order(7, bytes)
    await bench.look(quiet: 0)
    #expect(bench.told.withLock { $0.map(\.wants) } == ["1-16"] && bench.told.withLock { $0.last?.parts } == 21)
    // In any order, twice, of another size, of another count, of another file: what belongs counts once.
    for number in (1...16).reversed() {
      bench.send(order, number, bench.part(bytes, number))
      if number % 5 == 0 { await bench.look(quiet: 0) }
    }
    bench.send(order, 17, Array(bench.part(bytes, 17).dropLast()))
    bench.send(order, 18, of: 20, bench.part(bytes, 18))
    bench.send(order, 21, bench.part(bytes, 20))
    bench.isLineFree.withLock { $0 = false }
    await bench.look(quiet: 0)
    #expect(bench.told.withLock { $0.count } == 1, "captures wait: nothing is asked for")
    bench.isLineFree.withLock { $0 = true }
    await bench.look(quiet: 0)
    #expect(bench.told.withLock { $0.last?.wants } == "17-21")
    // Nothing comes: after half an hour it asks again. A new start asks too, for what is missing alone.
    bench.send(order, 19, bench.part(bytes, 19))
    await bench.look(quiet: 0)
    await bench.look(after: 1795, quiet: 0)
    #expect(bench.told.withLock { $0.count } == 2)
    await bench.look(after: 10, quiet: 0)
    #expect(bench.told.withLock { $0.last?.wants } == "17-18,20-21")
    for number in [17, 18, 20, 21] { bench.send(order, number, bench.part(bytes, number)) }
    await bench.look(quiet: 0)
    let book = try bench.store.read()
    #expect(book.order == nil && book.update?.unit.fileSHA256 == order.fileSHA256 && book.update?.command == "c-1")
    let unit = try #require(book.update?.unit)
    #expect(try bench.store.bytes(of: unit) == bytes)
    let left = try FileManager.default.contentsOfDirectory(atPath: bench.store.incomingPath)
    #expect(left.isEmpty, "\(left)")
  }

  @Test func partsThatAreNotWhatWasSignedAreAskedForAgainAndThenGivenUp() async throws {
    let bench = try Bench()
    let bytes = Self.file(70_000)
    let order = try bench.order(7, bytes)
    var spoilt = bytes
    spoilt[100] ^= 1
    for round in 1...3 {
      await bench.look(quiet: 0)
      #expect(bench.told.withLock { $0.last?.wants } == "1-2", "round \(round)")
      for number in 1...2 { bench.send(order, number, bench.part(spoilt, number)) }
      await bench.look(quiet: 0)
      #expect(try bench.store.read().update == nil)
    }
    #expect(try bench.store.read().order == nil)
    #expect(bench.told.withLock { $0.last?.state } == "refused")
    #expect(bench.told.withLock { $0.last?.reason?.contains("signed") } == true)
  }

  @Test func aSignedFileThatIsNoUnitIsGivenUpAtOnce() async throws {
    let bench = try Bench()
    let bytes = Self.file(100, first: 0xEE)
    let order = try bench.order(7, bytes)
    await bench.look(quiet: 0)
    bench.send(order, 1, bytes)
    await bench.look(quiet: 0)
    #expect(try bench.store.read().order == nil && bench.store.read().update == nil)
    #expect(bench.told.withLock { $0.last?.state } == "refused")
  }

  @Test(arguments: [
    "tg/v1/s/d/dn/model", "tg/v1/s/d/dn/model/", "tg/v1/s/d/dn/model/HASH", "tg/v1/s/d/dn/model/HASH/1",
    "tg/v1/s/d/dn/model/HASH/0-of-2", "tg/v1/s/d/dn/model/HASH/3-of-2", "tg/v1/s/d/dn/model/HASH/01-of-2",
    "tg/v1/s/d/dn/model/HASH/+1-of-2", "tg/v1/s/d/dn/model/HASH/1-of-2/x", "tg/v1/s/d/dn/model/../1-of-2",
    "tg/v1/s/other/dn/model/HASH/1-of-2", "tg/v1/s/d/dn/model/HASH/1-of-0", "tg/v1/s/d/dn/model/HASH/0-of-0",
    "tg/v1/s/d/dn/model/HASH/1-of-99999999999999999999",
    "tg/v1/s/d/dn/model/HASH/1-OF-2", "tg/v1/s/d/dn/model/HASH/1--of-2", "tg/v1/s/d/dn/model/HASH/-1-of--2",
  ]) func aPartHasOneTopic(topic: String) {
    let hash = String(repeating: "a", count: 64)
    let message = IncomingMessage(topic: topic.replacing("HASH", with: hash), payload: [1])
    #expect(PartIntake.part(message, base: "tg/v1/s/d/dn/model") == nil)
    let right = IncomingMessage(topic: "tg/v1/s/d/dn/model/\(hash)/1-of-2", payload: [1])
    #expect(PartIntake.part(right, base: "tg/v1/s/d/dn/model")?.index == 0)
  }

  /// What the sentinel does not count: a part that was asked for, once.
  @Test func aPartIsAwaitedOnce() throws {
    let hash = String(repeating: "a", count: 64)
    let intake = try Bench().incoming
    func takes(_ part: Int, of file: String = hash) -> Bool {
      intake.take(IncomingMessage(topic: "tg/v1/s/d/dn/model/\(file)/\(part)-of-9", payload: [1]))
    }
    #expect(!takes(1))
    intake.want(hash, [0, 1])
    #expect(takes(1) && takes(2) && !takes(1) && !takes(3) && !takes(1, of: String(repeating: "b", count: 64)))
    // Looking for them again is not asking for them again.
    #expect(intake.takeAll().count == 2)
    intake.want(hash, [0, 1])
    #expect(!takes(1))
    intake.want(hash, [2])
    #expect(!takes(1) && takes(3) && !takes(3))
  }

  @Test func theCardIsWrittenRarelyWhileNothingHappens() async throws {
    let bench = try Bench()
    _ = try bench.stage(7)
    await bench.look(quiet: 0)
    var stamps = 0
    var last = try bench.store.stamp()
    for _ in 0..<720 {
      await bench.look(quiet: 0)
      if try bench.store.stamp() != last { stamps += 1 }
      last = try bench.store.stamp()
    }
    #expect((3...5).contains(stamps), "\(stamps) writes in an hour")
    #expect(try bench.store.read().update?.spentSeconds ?? 0 >= 2700)
  }
}
