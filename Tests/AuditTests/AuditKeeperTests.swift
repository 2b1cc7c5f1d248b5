import Audit
import Cryptography
import Forwarding
import Foundation
import LocalFiles
import Provenance
import Storage
import Synchronization
import TestSupport
import Testing
import Trust

/// The log of a running device: who writes, what waits, what is refused.
@Suite struct AuditKeeperTests {
  private let scratch: ScratchFolder
  private let device: AuditDevice
  private let clock = ManualClock()
  private let outbox: Outbox
  private let files: AuditFiles

  init() throws {
    scratch = try ScratchFolder()
    device = try AuditDevice()
    outbox = try Outbox(
      OutboxConfiguration(
        path: scratch.file("outbox.sqlite"), keys: device.sealing,
        quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 0)), time: clock)
    files = AuditFiles(stateDirectory: scratch.path)
  }

  private func keeper(
    limits: AuditLog.Limits = .init(), tell: @escaping @Sendable (String?) -> Void = { _ in }
  ) throws -> AuditKeeper {
    try AuditKeeper(
      files, keys: device.sealing, origin: .success(device.origin), limits: limits, outbox: outbox, time: clock,
      tell: tell)
  }

  private let start = AuditEvent.start(.service, firmware: "test", configurationSHA256: "00", rosterSHA256: nil)

  private func entries() throws -> [AuditEntry] {
    var entries: [AuditEntry] = []
    try AuditLog(reading: files.directory, keys: device.sealing).forEachEntry {
      entries.append(try AuditEntry(reading: $0))
    }
    return entries
  }

  /// What went up, in its order.
  private func sent() async throws -> [JSONObject] {
    var objects: [JSONObject] = []
    for item in try await outbox.pending(.event, after: 0, limit: 1000) {
      let payload = try await outbox.payload(of: item.id)
      guard
        case .object(let object) = try JSONValue(
          reading: payload, within: JSONLimits(bytes: 8192, depth: 4, values: 64))
      else { continue }
      if try object.text("schema") == AuditMessage.schema { objects.append(object) }
    }
    return objects
  }

  private func receipt(_ head: AuditHead, by key: SigningKey) throws -> [UInt8] {
    var receipt = Receipt(
      receiver: "archive",
      addressee: Receipt.Addressee(site: "clinic-7", device: "unit-3", outboxID: outbox.outboxID), entries: [])
    receipt.cosignature = head
    return try receipt.signed(by: key)
  }

  @Test func everyEntryGoesUpOnceWithItsHead() async throws {
    let first = try keeper()
    await first.begin(start)
    first.post(.sessionStart(outbox.outboxID, patient: "p-1", signedBy: nil))
    try await first.write(.commandAccepted(name: "doctor", id: outbox.outboxID))
    await first.end()
    let second = try keeper()
    await second.begin(start)
    await second.end()
    let kinds = try entries().map(\.kind)
    #expect(kinds == [.start, .sessionStart, .commandAccepted, .stop, .start, .stop])
    let sent = try await sent()
    #expect(try sent.map { try $0.integer("size", in: 0...100) } == [1, 2, 3, 4, 5, 6])
    // Whoever has the messages alone can make the heads again.
    var head = AuditHead(of: device.origin, digests: OpenSSLDigests())
    for message in sent {
      head = head.extended(by: Array(try message.text("entry").utf8), digests: OpenSSLDigests())
      #expect(try AuditHead(reading: message) == head)
    }
    #expect(second.head == head)
  }

  /// A start after a run that did not end, at every moment of it.
  @Test func anEndThatNobodySaidIsFound() async throws {
    for _ in 0..<3 {
      let keeper = try keeper()
      await keeper.begin(start)
      keeper.post(.sessionStart(outbox.outboxID, patient: "p-1", signedBy: nil))
      await keeper.look()
      await keeper.abandon()
    }
    let last = try keeper()
    await last.begin(start)
    await last.end()
    #expect(try entries().count { $0.kind == .uncleanEnd } == 3)
    let again = try keeper()
    await again.begin(start)
    await again.end()
    #expect(try entries().count { $0.kind == .uncleanEnd } == 3)
    #expect(try AuditLog(reading: files.directory, keys: device.sealing).examine(against: [AuditAnchor]()) == [])
  }

  @Test func aClockThatMovesIsSaidBeforeTheNextEntry() async throws {
    let keeper = try keeper()
    await keeper.begin(start)
    clock.advance(seconds: 3600)
    clock.change { $0.utcNanoseconds -= 86_400_000_000_000 }
    keeper.post(.configuration(.reloaded, version: nil, sha256: nil))
    await keeper.look()
    clock.change { $0.utcNanoseconds += 5_000_000_000 }
    await keeper.look()
    await keeper.end()
    let kinds = try entries().map(\.kind)
    #expect(kinds == [.start, .clockStep, .configuration, .clockStep, .stop])
    #expect(try AuditLog(reading: files.directory, keys: device.sealing).examine(against: [AuditAnchor]()) == [])
  }

  @Test func whatToolsLeaveIsTakenOnce() async throws {
    try files.leave(.roster(.add, rows: 1, sha256: nil), at: clock.now())
    try files.leave(.technician(.retry, user: 0), at: clock.now())
    let notes = scratch.file("audit/notes")
    try Data("no note".utf8).write(to: URL(filePath: notes + "/0-broken.json"))
    let keeper = try keeper()
    await keeper.begin(start)
    await keeper.look()
    await keeper.end()
    let kinds = try entries().map(\.kind)
    #expect(kinds.count { $0 == .rosterChange } == 1 && kinds.count { $0 == .technician } == 1)
    #expect(kinds.count { $0 == .storageRefusal } == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: notes) == ["0-broken.json.unreadable"])
  }

  /// A log that is full of what nobody has cosigned: nothing from afar, and everything else goes on.
  @Test func aFullLogRefusesWhatComesFromAfarOnly() async throws {
    var limits = AuditLog.Limits()
    (limits.segmentBytes, limits.totalBytes, limits.remoteBytes, limits.keptBytes) = (4000, 60_000, 30_000, 10_000)
    let keeper = try keeper(limits: limits)
    await keeper.begin(start)
    var heads: [AuditHead] = []
    while keeper.refusalFromAfar == nil, heads.count < 1000 {
      keeper.post(.technician(.reload, user: 1000))
      await keeper.look()
      heads.append(try #require(keeper.head))
    }
    #expect(heads.count < 1000)
    await #expect(throws: AuditLogError.self) {
      try await keeper.write(.commandAccepted(name: "restart", id: outbox.outboxID))
    }
    // Who stands before the device, and the device itself, go on.
    try await keeper.write(.technician(.reload, user: 1000))
    let key = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    let middle = heads[heads.count * 3 / 4]
    await keeper.take(cosignature: middle, receipt: try receipt(middle, by: key))
    #expect(keeper.refusalFromAfar == nil)
    try await keeper.write(.commandAccepted(name: "restart", id: outbox.outboxID))
    await keeper.end()
    // What went is covered, and the witness is kept with it.
    let log = try AuditLog(reading: files.directory, keys: device.sealing)
    #expect(log.base.size > 0 && log.base.size <= middle.size)
    let kept = try BoundedFile.read(files.cosignedPath, maximumBytes: 1 << 20)
    let witness = AuditAnchor(
      try #require(try Receipt(unverified: kept).cosignature), source: "kept", isWitnessed: true)
    #expect(try log.examine(against: [witness]) == [])
    #expect(try log.examine(against: [AuditAnchor]()) == [.prunedTooFar(base: log.base.size)])
  }

  /// A receiver that has signed another log: nothing goes, and it is told.
  @Test func aCosignatureOfAnotherLogLetsNothingGo() async throws {
    var limits = AuditLog.Limits()
    (limits.segmentBytes, limits.keptBytes) = (4000, 4000)
    let keeper = try keeper(limits: limits)
    await keeper.begin(start)
    for _ in 0..<50 { try await keeper.write(.technician(.reload, user: 1000)) }
    let key = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    let head = try #require(keeper.head)
    for forged in [
      AuditHead(size: head.size, digest: [UInt8](repeating: 7, count: 32)),
      AuditHead(size: head.size + 5, digest: head.digest), AuditHead(size: 20, digest: head.digest),
    ] {
      await keeper.take(cosignature: forged, receipt: try receipt(forged, by: key))
    }
    await keeper.end()
    #expect(try AuditLog(reading: files.directory, keys: device.sealing).base.size == 0)
    #expect(!FileManager.default.fileExists(atPath: files.cosignedPath))
    let alerts = try await outbox.pending(.alert, after: 0, limit: 10)
    #expect(alerts.count == 1)
  }

  /// A log that cannot be opened: it is told once, nothing from afar is done, and what is handed over breaks nothing.
  @Test func aDamagedLogRefusesAndIsTold() async throws {
    let first = try keeper()
    await first.begin(start)
    await first.end()
    let file = try #require(
      try FileManager.default.contentsOfDirectory(atPath: files.directory).first { $0.hasSuffix(".log") })
    try Data(repeating: 0xA5, count: 9000).write(to: URL(filePath: files.directory + "/" + file))
    let told = Counter()
    let keeper = try keeper(tell: { told.add($0) })
    await keeper.begin(start)
    keeper.post(.sessionStart(outbox.outboxID, patient: "p-1", signedBy: nil))
    await keeper.look()
    await #expect(throws: AuditLogError.self) {
      try await keeper.write(.commandAccepted(name: "restart", id: outbox.outboxID))
    }
    #expect(keeper.head == nil && keeper.refusalFromAfar != nil)
    #expect(told.problems == 1)
  }

  /// A disk that is full for a while: what happened meanwhile is written when it takes entries again.
  @Test func whatADiskDidNotTakeIsWrittenLater() async throws {
    let told = Counter()
    let keeper = try keeper(tell: { told.add($0) })
    await keeper.begin(start)
    // Whoever may write nothing here can open no file for writing.
    let file = try #require(
      try FileManager.default.contentsOfDirectory(atPath: files.directory).first { $0.hasSuffix(".log") })
    let path = files.directory + "/" + file
    try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    keeper.post(.sessionStart(outbox.outboxID, patient: "p-1", signedBy: nil))
    await keeper.look()
    await #expect(throws: AuditLogError.self) {
      try await keeper.write(.commandAccepted(name: "restart", id: outbox.outboxID))
    }
    #expect(keeper.refusalFromAfar != nil && told.problems == 1)
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
    await keeper.look()
    #expect(keeper.refusalFromAfar == nil)
    await keeper.end()
    #expect(try entries().map(\.kind) == [.start, .sessionStart, .stop])
  }

  /// Entries hold what they were given, cut where others wrote too much, and never more than an entry may have.
  @Test func everyKindFitsIntoAnEntry() throws {
    let long = String(repeating: "ä", count: 5000)
    let id = outbox.outboxID
    let events: [AuditEvent] = [
      .start(.service, firmware: long, configurationSHA256: long, rosterSHA256: long), .uncleanEnd, .stop(reason: long),
      .clockStep(milliseconds: .min), .enrolment(.requestWritten, key: long),
      .keys(.receivers([String](repeating: long, count: 50))), .keys(.trust(root: long, versions: long)),
      .roster(.file, rows: .max, sha256: long), .sessionStart(id, patient: long, signedBy: long),
      .sessionEnd(
        id, patient: long, isComplete: false, reason: long, views: [String](repeating: "right-lateral", count: 99)),
      .correction(kind: long, subject: long, target: long, signedBy: long), .storageRefusal(.capture, reason: long),
      .commandAccepted(name: long, id: id), .commandRefused(name: long, id: id, reason: long),
      .configuration(.takenBack, version: .max, sha256: long, reason: long),
      .update(model: long, version: .max, state: long, reason: long), .imported(.model, items: .max, detail: long),
      .technician(.forgetPatient, user: .max, detail: long), .result(.refused, id: id, capture: id, reason: long),
      .lockDown(isEntered: true, reason: long),
    ]
    #expect(Set(events.map(\.kind)) == Set(AuditKind.allCases))
    for event in events {
      let entry = AuditEntry(index: .max >> 1, kind: event.kind, time: clock.now(), what: event.what)
      let text = try entry.encoded()
      #expect(try AuditEntry(reading: text) == entry)
    }
  }
}

/// Counts what a keeper tells.
private final class Counter: Sendable {
  private let state = Mutex((problems: 0, ends: 0))

  var problems: Int { state.withLock { $0.problems } }

  func add(_ problem: String?) {
    state.withLock { state in if problem == nil { state.ends += 1 } else { state.problems += 1 } }
  }
}
