import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// Receipts of somebody who has read every message on `up/capture`: the record names the images and their hashes.
@Suite struct ReceiptForgeryTests {
  private let clock = ManualClock()

  private func configuration(_ scratch: ScratchFolder, retentionSeconds: Int) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), retentionSeconds: retentionSeconds)
  }

  /// 20 captures whose records are with the broker and whose images wait.
  private func outbox(_ scratch: ScratchFolder, retentionSeconds: Int) async throws -> (Outbox, [Receipt.Entry]) {
    let outbox = try Outbox(configuration(scratch, retentionSeconds: retentionSeconds), time: clock)
    var entries: [Receipt.Entry] = []
    var settlement = Settlement()
    for index in UInt64(1)...20 {
      let capture = makeCapture(index, at: clock.now(), imageBytes: [300, 400])
      settlement.awaitingReceipt.append(try #require(try await outbox.enqueue(capture).itemIDs.first))
      entries += try await outbox.items(ofCapture: capture.captureID).dropFirst().map {
        Receipt.Entry(
          captureID: capture.captureID, name: $0.item.name ?? "", sha256: Hexadecimal.text(of: $0.item.sha256))
      }
    }
    try await outbox.settle(settlement)
    return (outbox, entries)
  }

  @Test(arguments: [0, 86_400]) func noImageThatWasNeverSentIsFreed(retentionSeconds: Int) async throws {
    let scratch = try ScratchFolder()
    let (outbox, entries) = try await outbox(scratch, retentionSeconds: retentionSeconds)
    let outcome = try await outbox.apply(Receipt(receiver: "forger", entries: entries))
    #expect(outcome.delivered == [] && outcome.unfounded.entries == entries)
    #expect(try await outbox.accounts()[.image, .pending].rows == 40)
    await outbox.close()
    // Nor after a restart, when nobody remembers.
    let again = try Outbox(configuration(scratch, retentionSeconds: retentionSeconds), time: clock)
    #expect(try await again.apply(Receipt(receiver: "forger", entries: entries)).delivered == [])
    #expect(try await again.accounts()[.image, .pending].rows == 40)
    await again.close()
  }

  @Test(arguments: [Receipt.Refusal.Reason.numberTaken, .contentDiffers])
  func aForgedRefusalSetsNothingAside(reason: Receipt.Refusal.Reason) async throws {
    let scratch = try ScratchFolder()
    let (outbox, entries) = try await outbox(scratch, retentionSeconds: 0)
    let record = try await outbox.enqueue(makeCapture(21, at: clock.now(), imageBytes: [300]))
    let item = try await outbox.item(try #require(record.itemIDs.first)).item
    let own = Receipt.Entry(
      captureID: try #require(item.captureID), name: OutboxItem.recordName, sha256: Hexadecimal.text(of: item.sha256))
    let refusals = (entries + [own]).map { Receipt.Refusal($0, reason) }
    let outcome = try await outbox.apply(Receipt(receiver: "forger", entries: [], refused: refusals))
    #expect(outcome.refused == [] && outcome.unfounded.refused == refusals)
    #expect(try await outbox.accounts()[.image, .quarantined].rows == 0)
    #expect(try await outbox.enqueue(makeCapture(22, at: clock.now())).number.sequence == 22, "no number is left out")
    await outbox.close()
  }

  /// What was acknowledged once may be sent again, be asked for again and outlive a restart: a late receipt counts.
  @Test func theMarkOfAnAcknowledgementLasts() async throws {
    let scratch = try ScratchFolder()
    let (outbox, _) = try await outbox(scratch, retentionSeconds: 0)
    clock.advance(seconds: 500)
    #expect(try await outbox.requeueUnreceipted(olderThanSeconds: 60) == 20)
    try await outbox.retry([1])
    await outbox.close()
    let again = try Outbox(configuration(scratch, retentionSeconds: 0), time: clock)
    let records = try await again.pending(.capture, after: 0, limit: 100)
    let entries = try records.map {
      Receipt.Entry(
        captureID: try #require($0.captureID), name: OutboxItem.recordName, sha256: Hexadecimal.text(of: $0.sha256))
    }
    #expect(entries.count == 20)
    #expect(try await again.apply(Receipt(receiver: "clinic", entries: entries)).delivered == records.map(\.id))
    await again.close()
  }

  /// The broker acknowledged it and had nobody to give it to: it waits on, and a receipt counts, also after a restart.
  @Test func whatNobodyHeardHasLeftTheDeviceAllTheSame() async throws {
    let scratch = try ScratchFolder()
    let (outbox, entries) = try await outbox(scratch, retentionSeconds: 0)
    let images = try await outbox.pending(.image, after: 0, limit: 100)
    var settlement = Settlement()
    settlement.unheard = [images[0].id, images[5].id]
    try await outbox.settle(settlement)
    #expect(try await outbox.accounts()[.image, .pending].rows == 40)
    #expect(try await outbox.apply(Receipt(receiver: "clinic", entries: [entries[0]])).delivered == [images[0].id])
    await outbox.close()
    let again = try Outbox(configuration(scratch, retentionSeconds: 0), time: clock)
    let outcome = try await again.apply(Receipt(receiver: "clinic", entries: entries))
    #expect(outcome.delivered == [images[5].id])
    #expect(outcome.unfounded.entries.count == 38)
    await again.close()
  }

  /// A stick is a way out too: what lies on it may be confirmed, what waits and what is set aside alike.
  @Test func whatWasExportedMayBeConfirmed() async throws {
    let scratch = try ScratchFolder()
    let (outbox, entries) = try await outbox(scratch, retentionSeconds: 0)
    let images = try await outbox.pending(.image, after: 0, limit: 100)
    var settlement = Settlement()
    settlement.quarantined = [.init(id: images[3].id, reason: "too large")]
    try await outbox.settle(settlement)
    do {
      let tool = try OutboxTool(configuration(scratch, retentionSeconds: 0), time: clock)
      try tool.noteExported([images[0].id, images[3].id])
      try tool.noteExported([images[3].id])
      #expect(try tool.item(images[3].id).reason == "too large")
    }
    let outcome = try await outbox.apply(Receipt(receiver: "clinic", entries: entries))
    #expect(outcome.delivered == [images[0].id, images[3].id])
    #expect(outcome.unfounded.entries.count == 38)
    await outbox.close()
  }

  /// An outbox that only 0.1.0 has opened so far, exported by the tool before the device of today ever ran.
  @Test func aToolMarksAnOutboxOfAnEarlierProgram() async throws {
    let scratch = try ScratchFolder()
    let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/outbox-0.1.0/closed").path
    for file in ["outbox.sqlite", "outbox.sqlite-wal", "outbox.sqlite.numbers"] {
      try FileManager.default.copyItem(atPath: fixture + "/" + file, toPath: scratch.file(file))
    }
    let key = try #require(SealingKey(bytes: (0..<32).map { UInt8($0) }, digests: OpenSSLDigests()))
    let configuration = OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: key), retentionSeconds: 86_400,
      quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 0))
    func capture(_ index: Int) throws -> RandomIdentifier {
      try #require(RandomIdentifier("00000000-0000-4000-8000-0000000000" + (index < 10 ? "0" : "") + "\(index)"))
    }
    func entries(_ items: [StoredItem]) throws -> [Receipt.Entry] {
      try items.map {
        Receipt.Entry(
          captureID: try #require($0.item.captureID), name: $0.item.name ?? "",
          sha256: Hexadecimal.text(of: $0.item.sha256))
      }
    }
    let (exported, waiting, sent) = (try capture(4), try capture(5), try capture(2))
    var all: [[Receipt.Entry]] = []
    do {
      let tool = try OutboxTool(configuration, time: clock)
      all = try [exported, waiting, sent].map { try entries(try tool.items(ofCapture: $0)) }
      #expect(all.map(\.count) == [3, 3, 3])
      #expect(try tool.apply(Receipt(receiver: "x", entries: all[0])).unfounded.entries == all[0])
      try tool.noteExported(try tool.items(ofCapture: exported).map(\.item.id))
    }
    let device = try Outbox(configuration, time: clock)
    #expect(device.recoveryAtStart == nil)
    let outcome = try await device.apply(Receipt(receiver: "clinic", entries: all[0] + all[1] + all[2]))
    // What 0.1.0 had an acknowledgement for waits for its receipt, and that is mark enough.
    #expect(outcome.delivered.count == 6 && outcome.unfounded.entries == all[1])
    await device.close()
  }
}
