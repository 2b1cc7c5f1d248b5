import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

@testable import CaptureStorer

/// Whether this machine can start a PostgreSQL.
let hasPostgres = FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/15/bin/postgres")

@Suite(.enabled(if: hasPostgres, "needs postgresql-15"), .serialized)
struct StoringTests {
  @Test func aReceiptOnlyWhenRecordAndAllImagesAreThere() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let capture = try bench.capture(1)
    #expect(try receiver.take(capture.recordMessage()) == Receiver.Reaction())
    #expect(try receiver.take(capture.imageMessage("master.png")) == Receiver.Reaction())
    let reaction = try receiver.take(capture.imageMessage("view.png"))
    #expect(reaction.completed?.captureID == capture.id)
    #expect(Set(reaction.receipts.flatMap(\.receipt.entries)) == capture.entries)
    #expect(try bench.database.query("SELECT count(*), count(complete_at) FROM capture") == [["1", "1"]])
    #expect(try bench.database.number("SELECT count(*) FROM image") == 2)
  }

  /// The record's entry says when all of it was here and when it was durable, by the database's clock, the same each time.
  @Test func theRecordsEntryTellsTheDatabasesTime() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let capture = try bench.capture(1)
    _ = try receiver.take(capture.recordMessage())
    _ = try receiver.take(capture.imageMessage("master.png"))
    func record(_ reaction: Receiver.Reaction) -> Receipt.Entry? {
      reaction.receipts.flatMap(\.receipt.entries).first { $0.name == OutboxItem.recordName }
    }
    let first = try #require(record(try receiver.take(capture.imageMessage("view.png"))))
    let took = try #require(first.cloudMilliseconds, "\(first)")
    #expect(took < 60_000)
    let again = try #require(record(try receiver.take(capture.recordMessage())))
    #expect(again.receivedAt == first.receivedAt && again.storedAt == first.storedAt)
    // A primary whose clock is behind proves nothing, and is not told.
    _ = try bench.database.query("UPDATE capture SET received_at = complete_at + interval '1 hour'")
    let late = try #require(record(try receiver.take(capture.recordMessage())))
    #expect(late.receivedAt == nil && late.storedAt == nil)
  }

  @Test func aWholeBatchAndAllOfItAgain() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let captures = try (1...40).map { try bench.capture(Int64($0), device: "unit-\($0 % 7)") }
    let messages = captures.flatMap(\.messages).shuffled()
    let first = try receiver.take(messages)
    #expect(first.completed == 40)
    #expect(first.notes == [])
    #expect(first.entries == captures.reduce(into: []) { $0.formUnion($1.entries) })
    // Sent again by devices that heard no receipt: nothing new, everything vouched for again.
    let again = try receiver.take(messages)
    #expect(again.completed == 0)
    #expect(again.entries == first.entries)
    #expect(try bench.database.number("SELECT count(*) FROM capture") == 40)
    #expect(try bench.database.number("SELECT count(*) FROM image") == 80)
  }

  @Test func twoWorkersWhoseMessagesInterleaveMissNothing() throws {
    let bench = try DatabaseBench()
    let captures = try (1...30).map { try bench.capture(Int64($0)) }
    // Each worker gets every second message, as a broker's shared subscription deals them.
    let messages = captures.flatMap(\.messages)
    let halves = [0, 1].map { half in messages.enumerated().filter { $0.offset % 2 == half }.map(\.element) }
    let workers = try [bench.receiver(), bench.receiver()]
    var reactions: [Receiver.Reaction] = []
    for start in stride(from: 0, to: 45, by: 5) {
      for (worker, half) in zip(workers, halves) {
        reactions += try worker.take(Array(half[start..<min(start + 5, half.count)]))
      }
    }
    #expect(reactions.completed == 30)
    #expect(reactions.entries == captures.reduce(into: []) { $0.formUnion($1.entries) })
  }

  @Test func workersAtTheSameMomentDoNotBlockEachOther() async throws {
    let bench = try DatabaseBench()
    let captures = try (1...60).map { try bench.capture(Int64($0), device: "unit-\($0 % 5)") }
    let messages = captures.flatMap(\.messages)
    let target = try bench.target()
    let masters = bench.masters
    // The same messages to all of them, in different orders: the worst that resends can do.
    let entries = try await withThrowingTaskGroup(of: Set<Receipt.Entry>.self) { group in
      for _ in 0..<3 {
        let shuffled = messages.shuffled()
        group.addTask {
          let store = try DatabaseStore(target, masters: masters, digests: OpenSSLDigests())
          let receiver = try Receiver(store: store, name: "worker", digests: OpenSSLDigests(), time: ManualClock())
          var entries: Set<Receipt.Entry> = []
          for start in stride(from: 0, to: shuffled.count, by: 20) {
            entries.formUnion(try receiver.take(Array(shuffled[start..<min(start + 20, shuffled.count)])).entries)
          }
          return entries
        }
      }
      return try await group.reduce(into: Set()) { $0.formUnion($1) }
    }
    #expect(entries == captures.reduce(into: []) { $0.formUnion($1.entries) })
    #expect(try bench.database.query("SELECT count(*), count(complete_at) FROM capture") == [["60", "60"]])
  }

  @Test func partsInAnyOrderTwiceAndThroughTwoWorkers() throws {
    let bench = try DatabaseBench()
    let workers = try [bench.receiver(), bench.receiver()]
    let capture = try bench.capture(1, images: ["view.png": 100_000])
    _ = try workers[0].take(capture.recordMessage())
    let parts = capture.partMessages("view.png", size: 9000)
    var reactions: [Receiver.Reaction] = []
    for (index, part) in (parts.dropLast() + parts.dropLast() + [parts[parts.count - 1]]).reversed().enumerated() {
      reactions.append(try workers[index % 2].take(part))
    }
    #expect(reactions.completed == 1)
    #expect(reactions.entries == capture.entries)
    #expect(try bench.database.number("SELECT count(*) FROM image_part") == 0)
    // Sent again in parts: one receipt for it, at its last part, and nothing is left.
    let again = try parts.map { try workers[0].take($0).receipts.count }
    #expect(again == [Int](repeating: 0, count: parts.count - 1) + [1])
    #expect(try bench.database.number("SELECT count(*) FROM image_part") == 0)
  }

  @Test func aBirthIsAnsweredWithTheReceiptsThatWereLost() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let captures = try (1...5).map { try bench.capture(Int64($0)) }
    for (index, capture) in captures.enumerated() where index != 3 { _ = try receiver.take(capture.messages) }
    func birth(_ oldest: Int64?) throws -> Set<Receipt.Entry> {
      let status = StatusMessage(
        state: .online, site: "clinic", device: "unit-1", connectCounter: 1, firmware: "1", models: [],
        configurationSHA256: "", outboxID: bench.outboxID, accounts: nil, line: nil, oldestWithoutReceipt: oldest,
        at: nil)
      return [try receiver.take(IncomingMessage(topic: bench.topics.status, payload: status.encoded()))].entries
    }
    #expect(try birth(2) == captures[1].entries.union(captures[2].entries).union(captures[4].entries))
    #expect(try birth(nil).isEmpty && birth(6).isEmpty && birth(.max).isEmpty && birth(-1).isEmpty)
  }

  /// A death that an older connection left behind says nothing of the present one.
  @Test func aLateDeathChangesNothing() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    func tell(_ state: StatusMessage.State, _ counter: Int) throws -> [[String]] {
      let status = StatusMessage(
        state: state, site: "clinic", device: "unit-1", connectCounter: counter, firmware: "1", models: [],
        configurationSHA256: "", outboxID: bench.outboxID, accounts: nil, line: nil, at: nil)
      _ = try receiver.take(IncomingMessage(topic: bench.topics.status, payload: status.encoded()))
      return try bench.database.query("SELECT state, connect_counter FROM device")
    }
    #expect(try tell(.online, 7) == [["online", "7"]])
    #expect(try tell(.offline, 6) == [["online", "7"]])
    #expect(try tell(.offline, 7) == [["offline", "7"]])
  }

  /// A3: killed after COMMIT and before the receipt.
  @Test func killedBetweenCommitAndReceipt() throws {
    let bench = try DatabaseBench()
    let rounds = ProcessInfo.processInfo.environment["THERMOGRAPH_COMMIT_KILLS"].flatMap { Int($0) } ?? 100
    let program = builtProgram("CaptureStorer")
    let receiver = try bench.receiver()
    for seed in 1...rounds {
      let process = Process()
      process.executableURL = program
      process.arguments = [bench.database.connection, bench.keyFile.path, "\(seed)"]
      process.standardInput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGKILL)
    }
    #expect(try bench.database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == rounds)
    // The devices heard nothing and send again.
    for seed in 1...rounds {
      let capture = try SeededCapture(seed: UInt64(seed))
      let reactions = try receiver.take(capture.messages)
      #expect(reactions.entries.count == capture.messages.count && reactions.completed == 0)
    }
    #expect(try bench.database.number("SELECT count(*) FROM capture") == rounds)
    #expect(try bench.database.number("SELECT count(*) FROM image") == 2 * rounds)
    print(
      "FAULT MATRIX: SIGKILL between COMMIT and receipt, \(rounds) times: \(rounds) rows, each receipted after a resend"
    )
  }
}
