import Audit
import Cryptography
import Provenance
import Storage
import TestSupport
import Testing

/// Somebody who holds the device, its keys and its log changes what was written, and makes everything consistent again. What
/// others keep tells.
@Suite struct ManipulationTests {
  enum Manipulation: CaseIterable {
    case tailCut, reordered, inserted, removed, rewritten, forked, clonedCard, replacedKey, prunedTooFar, backDated
    case entryOfAnotherDevice, begunAnew, putBack, emptied
  }

  /// A log as texts, with what others keep of it.
  private struct Scene {
    let device: AuditDevice
    var entries: [AuditEntry]
    var base: AuditHead
    /// Delivered records name every fifth head, a receipt has cosigned one.
    var anchors: [AuditAnchor]
    let digests = OpenSSLDigests()

    init(seed: UInt64) throws {
      device = try AuditDevice()
      var generator = SeededGenerator(seed: seed)
      let count = Int.random(in: 20...60, using: &generator)
      var second = 0
      entries = []
      for index in 0..<count {
        second += Int.random(in: 1...5000, using: &generator)
        entries.append(
          AuditEntry(
            index: UInt64(index), kind: AuditKind.allCases.randomElement(using: &generator) ?? .start,
            time: device.time(second, boot: "boot-\(index / 10)"),
            what: ["n": .integer(Int64.random(in: 0...1_000_000, using: &generator))]))
      }
      base = AuditHead(of: device.origin, digests: digests)
      anchors = []
      let heads = try Self.heads(entries, from: base)
      for head in heads where head.size % 5 == 0 {
        anchors.append(AuditAnchor(head, source: "record \(head.size)", isWitnessed: false))
      }
      anchors.append(AuditAnchor(heads[count / 2], source: "receipt", isWitnessed: true))
    }

    static func heads(_ entries: [AuditEntry], from base: AuditHead) throws -> [AuditHead] {
      var heads = [base]
      for entry in entries {
        heads.append(heads[heads.count - 1].extended(by: try entry.encoded(), digests: OpenSSLDigests()))
      }
      return heads
    }

    func examined() throws -> [AuditFinding] {
      var examination = AuditExamination(from: base, anchors: anchors, digests: digests)
      for entry in entries { examination.take(try entry.encoded()) }
      return examination.finish()
    }

    /// Numbers everything anew, as a careful forger does.
    mutating func renumber() {
      entries = entries.enumerated().map { index, entry in
        AuditEntry(index: UInt64(index), kind: entry.kind, time: entry.time, what: entry.what)
      }
    }

    func changed(_ entry: AuditEntry, time: Timestamp? = nil) -> AuditEntry {
      AuditEntry(
        index: entry.index, kind: time == nil ? .stop : entry.kind, time: time ?? entry.time,
        what: time == nil ? ["forged": .boolean(true)] : entry.what)
    }

    mutating func apply(_ manipulation: Manipulation, _ generator: inout SeededGenerator) throws {
      // An entry that an anchor covers; behind the last one nobody can know.
      let covered = (entries.count / 5) * 5
      let victim = Int.random(in: 1..<(covered - 1), using: &generator)
      switch manipulation {
      case .tailCut: entries.removeLast(entries.count - Int.random(in: 0..<covered, using: &generator))
      case .reordered:
        entries.swapAt(victim, victim - 1)
        renumber()
      case .inserted:
        entries.insert(changed(entries[victim]), at: victim)
        renumber()
      case .removed:
        entries.remove(at: victim)
        renumber()
      case .rewritten: entries[victim] = changed(entries[victim])
      case .forked:
        for index in victim..<entries.count { entries[index] = changed(entries[index]) }
        for _ in 0..<10 { entries.append(changed(entries[entries.count - 1])) }
        renumber()
      case .clonedCard:
        var clone = self
        clone.entries = Array(entries.prefix(victim)) + entries.dropFirst(victim).map { changed($0) }
        let head = try Self.heads(clone.entries, from: base)[covered]
        anchors.append(AuditAnchor(head, source: "the other card's record", isWitnessed: false))
      case .replacedKey:
        let thief = try AuditDevice()
        base = AuditHead(
          of: AuditOrigin(site: "clinic-7", device: "unit-3", log: device.origin.log, key: thief.origin.key),
          digests: digests)
      case .prunedTooFar:
        let heads = try Self.heads(entries, from: base)
        let cut = Int.random(in: (entries.count / 2 + 1)...entries.count, using: &generator)
        base = heads[cut]
        entries.removeFirst(cut)
      case .backDated:
        // In the middle of a run of the system, so that the entries beside it show it even where no anchor is.
        let index = victim % 10 == 0 ? victim + 1 : victim
        let time = entries[index].time
        entries[index] = changed(
          entries[index],
          time: Timestamp(
            utcNanoseconds: time.utcNanoseconds - 3600 * 1_000_000_000, bootID: time.bootID,
            monotonicNanoseconds: time.monotonicNanoseconds, synchronised: true))
      case .entryOfAnotherDevice:
        let other = try Scene(seed: generator.next())
        entries[victim] = other.entries[victim % other.entries.count]
        renumber()
      case .begunAnew:
        let anew = try AuditDevice()
        base = AuditHead(
          of: AuditOrigin(site: "clinic-7", device: "unit-3", log: anew.origin.log, key: device.origin.key),
          digests: digests)
      case .putBack: entries = Array(entries.prefix(victim))
      case .emptied: entries = []
      }
    }
  }

  private static let count = 100

  @Test(arguments: Manipulation.allCases) func isFound(_ manipulation: Manipulation) throws {
    var generator = SeededGenerator(seed: 0xA0D1)
    for seed in 0..<UInt64(Self.count) {
      var scene = try Scene(seed: seed)
      #expect(try scene.examined().filter(isNoClock) == [], "\(seed) before")
      try scene.apply(manipulation, &generator)
      #expect(try !scene.examined().filter(isNoClock).isEmpty, "\(manipulation), log \(seed)")
    }
  }

  /// Kinds are drawn at random here, so entries are clock steps at will; what the clock says is tried by itself.
  private func isNoClock(_ finding: AuditFinding) -> Bool { if case .clock = finding { false } else { true } }

  @Test func aClockThatMovesUnsaidIsFoundWithoutAnAnchor() throws {
    let device = try AuditDevice()
    let digests = OpenSSLDigests()
    func findings(_ times: [(AuditKind, Timestamp)]) throws -> [AuditFinding] {
      var examination = AuditExamination(
        from: AuditHead(of: device.origin, digests: digests), anchors: [], digests: digests)
      for (index, (kind, time)) in times.enumerated() {
        examination.take(try AuditEntry(index: UInt64(index), kind: kind, time: time).encoded())
      }
      return examination.finish()
    }
    #expect(try findings([(.start, device.time(1)), (.stop, device.time(86_400))]) == [])
    #expect(try findings([(.start, device.time(1)), (.stop, device.time(60, ahead: -3600))]).count == 1)
    #expect(try findings([(.start, device.time(1)), (.stop, device.time(60, ahead: 3))]).count == 1)
    #expect(try findings([(.start, device.time(1)), (.clockStep, device.time(60, ahead: -3600))]) == [])
    #expect(try findings([(.start, device.time(60)), (.stop, device.time(1))]).count == 1)
    // Another start of the system begins its monotonic time anew, and nothing proves its clock.
    #expect(try findings([(.start, device.time(60)), (.start, device.time(1, boot: "b", ahead: -99))]) == [])
  }

  /// 500 logs that were only ever used: nothing is found.
  @Test func honestLogsAreSound() throws {
    for seed in 1000..<1500 {
      let scene = try Scene(seed: UInt64(seed))
      #expect(try scene.examined().filter(isNoClock) == [], "\(seed)")
    }
  }
}
