import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// A process of its own that stores captures, see `OutboxWriter`.
private final class Writer {
  private let process = Process()
  private let output = Pipe()

  init(database: String, keyFile: String, first: Int, count: Int, fileSizeLimit: Int? = nil) throws {
    process.executableURL = Self.executable
    process.arguments = [database, keyFile, "\(first)", "\(count)"] + (fileSizeLimit.map { ["\($0)"] } ?? [])
    process.standardOutput = output
    try process.run()
  }

  private static var executable: URL { builtProgram("OutboxWriter") }

  /// Reads what it says until `count` captures are saved, kills it there, and returns every whole line it ever said.
  func killAfter(_ count: Int) -> [String] {
    var text = Data()
    while true {
      let data = output.fileHandleForReading.availableData
      if data.isEmpty { break }
      text += data
      let saved = String(decoding: text, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("saved") }.count
      if saved >= count { kill(process.processIdentifier, SIGKILL) }
    }
    process.waitUntilExit()
    let whole = text.lastIndex(of: UInt8(ascii: "\n")).map { text[...$0] } ?? Data()
    return String(decoding: whole, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

@Suite(.serialized) struct KillTests {
  /// How often: `make test-faults` raises it.
  static let kills = Int(ProcessInfo.processInfo.environment["THERMOGRAPH_KILLS"] ?? "") ?? 20

  /// The number that the writer put into the capture's id.
  private func number(of item: OutboxItem) throws -> Int {
    try #require(item.captureID.flatMap { Int($0.description.suffix(12)) })
  }

  private func saved(_ lines: [String]) -> [Int] {
    lines.compactMap { $0.hasPrefix("saved ") ? Int($0.dropFirst(6)) : nil }
  }

  @Test func whatWasAnnouncedAsSavedSurvivesAKillAtAnyMoment() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.create(path: scratch.file("key"), digests: OpenSSLDigests(), using: &generator)
    var announced: [Int] = []
    var next = 1
    for round in 0..<Self.kills {
      let writer = try Writer(
        database: scratch.file("outbox.sqlite"), keyFile: scratch.file("key"), first: next, count: 100_000)
      let lines = writer.killAfter(1 + (round * 7) % 25)
      #expect(lines.first == "open whole", "round \(round)")
      announced += saved(lines)
      // One may be stored whose announcement was lost with the process; its number must not be taken again.
      next = (announced.last ?? 0) + 2
    }
    let configuration = OutboxConfiguration(path: scratch.file("outbox.sqlite"), keys: KeyRing(current: key))
    let outbox = try Outbox(configuration, time: ManualClock())
    #expect(outbox.recoveryAtStart == nil)
    var stored: [(capture: Int, sequence: Int64)] = []
    var leftOut = Set<Int64>()
    var after: Int64 = 0
    while true {
      let page = try await outbox.list(after: after, limit: 500)
      guard let last = page.last else { break }
      after = last.item.id
      for entry in page where entry.item.deliveryClass == .capture {
        let capture = try number(of: entry.item)
        stored.append((capture, try #require(entry.item.sequence)))
      }
      for entry in page where entry.item.deliveryClass == .event {
        let gap = try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: entry.item.id)))
        #expect(gap.reason == .unused)
        leftOut.formUnion(try #require(gap.sequence)...(try #require(gap.throughSequence)))
      }
      for entry in page where entry.item.deliveryClass == .image {
        let capture = try number(of: entry.item)
        let payload = try await outbox.payload(of: entry.item.id)
        #expect(payload == [UInt8](repeating: UInt8(truncatingIfNeeded: capture), count: 500 + capture % 7 * 1500))
      }
    }
    #expect(announced.count >= Self.kills)
    #expect(Set(announced).isSubset(of: stored.map(\.capture)), "an announced capture is missing")
    // After each kill the numbers that may have been used are left out, and told; none is missing beside those.
    let last = try #require(stored.last?.sequence)
    #expect(stored.map(\.sequence) == (1...last).filter { !leftOut.contains($0) }, "the sequence has gaps")
    #expect(stored.map(\.capture) == stored.map(\.capture).sorted())
    #expect(stored.count <= announced.count + Self.kills)
    await outbox.close()
  }

  /// Writes fail from some point on: nothing is announced that is not there, and the rest is whole.
  @Test(arguments: [150_000, 400_000, 1_000_000])
  func failingWritesAnnounceNothing(limit: Int) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.create(path: scratch.file("key"), digests: OpenSSLDigests(), using: &generator)
    let writer = try Writer(
      database: scratch.file("outbox.sqlite"), keyFile: scratch.file("key"), first: 1, count: 200, fileSizeLimit: limit)
    let lines = writer.killAfter(.max)
    #expect(lines.last == "done")
    let announced = saved(lines)
    #expect(lines.contains { $0.hasPrefix("refused") })
    #expect(!announced.isEmpty)
    let outbox = try Outbox(
      OutboxConfiguration(path: scratch.file("outbox.sqlite"), keys: KeyRing(current: key)), time: ManualClock())
    let records = try await outbox.pending(.capture, after: 0, limit: 1000)
    let stored = records.compactMap { $0.captureID.flatMap { Int($0.description.suffix(12)) } }
    #expect(Set(announced).isSubset(of: stored))
    #expect(records.compactMap(\.sequence) == Array(1...Int64(records.count)))
    for item in records { _ = try await outbox.payload(of: item.id) }
    await outbox.close()
  }
}
