import Cryptography
import Forwarding
import Foundation
import Provenance
import Testing

/// The way back from the receiver: what is refused of it, and what happens when it does not work.
@Suite struct DownlinkTests {
  private let limits = ConnectionLimits()

  private func topics() throws -> TopicSchema {
    TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
  }

  private func reader(_ rules: ReceiptReader.Rules = .anybody) throws -> DownlinkReader {
    DownlinkReader(
      try topics(),
      receipts: ReceiptReader(rules, topics: try topics(), outboxID: nil, verifier: OpenSSLVerifier()))
  }

  // MARK: - What comes down

  @Test func retainedAndForeignMessagesAreRefused() throws {
    var reader = try reader()
    let payload = try Receipt(receiver: "archive", entries: []).encoded()
    let good = IncomingMessage(topic: try topics().receipts, payload: payload)
    #expect(reader.read(good) == .receipt(Receipt(receiver: "archive", entries: [])))
    var retained = good
    retained.retain = true
    #expect(reader.read(retained) == .refused("a retained message on tg/v1/clinic/unit-1/dn/receipt", isReceipt: false))
    var other = good
    other.topic = try topics().commands
    guard case .refused(let reason?, isReceipt: false) = reader.read(other) else {
      Issue.record("a topic that is not in use was taken")
      return
    }
    #expect(reason.contains("dn/command"))
  }

  @Test func aFloodOfBadReceiptsLeavesAFewLines() throws {
    var reader = try reader()
    let bad = IncomingMessage(topic: try topics().receipts, payload: Array("{}".utf8))
    var lines = 0
    for _ in 0..<100_000 {
      guard case .refused(let reason, isReceipt: true) = reader.read(bad) else {
        Issue.record("an unreadable receipt was taken")
        return
      }
      if reason != nil { lines += 1 }
    }
    #expect(lines == 17)
  }

  @Test func aDeviceThatAsksForSignaturesTakesNoReceiptWithout() throws {
    var reader = try reader(.init(keys: nil, requiresSignature: true))
    let bare = IncomingMessage(
      topic: try topics().receipts, payload: try Receipt(receiver: "archive", entries: []).encoded())
    guard case .refused(let reason?, isReceipt: true) = reader.read(bare) else {
      Issue.record("a receipt without a signature was taken")
      return
    }
    #expect(reason.contains("not signed") && reason.contains("frees nothing"))
  }

  // MARK: - Too large

  @Test func anOversizeMessageIsToldOnceADayAndTheDeviceGoesOnSending() {
    var bench = Bench(quick { $0.confirm = .receipt }, waiting: [makeItem(1), makeItem(2)])
    bench.connect()
    #expect(bench.machine.isListening)
    let start = bench.now
    var deaf = 0
    // The first time may be noise.
    bench.wire = []
    bench.send(.link(.oversize(maximumBytes: 262_144)))
    bench.send(.link(.disconnected(LinkFailure(kind: .protocolError, detail: "test"))))
    #expect(bench.machine.isListening && bench.alerts.isEmpty)
    bench.sleep()
    bench.send(.link(.connected(limits)))
    // A day with a broker that sends its retained message to every subscription.
    while bench.now < start + 86_300 * 1_000_000_000 {
      if bench.machine.isListening {
        bench.wire = []
        bench.send(.link(.oversize(maximumBytes: 262_144)))
        bench.send(.link(.disconnected(LinkFailure(kind: .protocolError, detail: "test"))))
        #expect(!bench.machine.isListening)
        bench.sleep()
      }
      bench.send(.link(.connected(limits)))
      if !bench.machine.isListening {
        deaf += 1
        bench.answerAll()
      }
      // To the end of the time without subscriptions: the machine ends that connection by itself.
      let before = bench.disconnects
      while bench.disconnects == before { bench.sleep() }
      bench.send(.link(.disconnected(LinkFailure(kind: .requested, detail: "test"))))
      bench.sleep()
      bench.send(.link(.connected(limits)))
    }
    #expect(bench.alerts == ["downlink-oversize"])
    // Every ten minutes, and not more often.
    #expect((130...144).contains(deaf), "\(deaf)")
    #expect(bench.awaitingReceipt.count + bench.waiting.count == 2)
    #expect(Set(bench.sent.map(\.item.id)) == [1, 2])
  }

  /// Garbage on a bad line may look like the beginning of a large packet.
  @Test func noiseNowAndThenDeafensNobody() {
    var bench = Bench(quick { $0.confirm = .receipt })
    bench.send(.start)
    for _ in 0..<20 {
      bench.send(.link(.connected(limits)))
      bench.send(.link(.oversize(maximumBytes: 262_144)))
      bench.send(.link(.disconnected(LinkFailure(kind: .protocolError, detail: "test"))))
      #expect(bench.machine.isListening)
      bench.sleep()
      bench.send(.link(.connected(limits)))
      bench.lose()
      bench.sleep()
    }
    #expect(bench.alerts.isEmpty)
  }

  @Test func anOversizeMessageIsNoReasonToSuspectWhatWasSent() {
    var bench = Bench(quick { $0.confirm = .receipt }, waiting: [makeItem(1, .image, bytes: 60_000)])
    for _ in 0..<5 {
      bench.send(.start)
      bench.send(.link(.connected(limits)))
      bench.wire = []
      bench.send(.link(.oversize(maximumBytes: 262_144)))
      bench.send(.link(.disconnected(LinkFailure(kind: .protocolError, detail: "test"))))
      bench.sleep()
    }
    #expect(!bench.reports.contains { if case .packetLimitAssumed = $0 { true } else { false } })
  }

  // MARK: - Refused and silent

  @Test func aRefusedSubscriptionIsAFailedConnection() {
    var bench = Bench(quick { $0.confirm = .receipt }, waiting: [makeItem(1)])
    bench.connect()
    bench.send(.link(.subscribed(filter: "dn/receipt", reason: 0x87)))
    #expect(bench.disconnects == 1)
    bench.send(.link(.disconnected(LinkFailure(kind: .requested, detail: "closed by this side"))))
    #expect(bench.machine.lastFailure?.kind == .refused)
    #expect(bench.machine.counters.failures[.refused] == 1)
    // The floor of refusals holds: no storm against a broker whose ACL is wrong.
    #expect((bench.wake ?? 0) - bench.now >= 15_000_000_000)
    // Where the broker's word is enough nothing depends on the subscription.
    var content = Bench(quick { $0.confirm = .broker }, waiting: [makeItem(1)])
    content.connect()
    content.send(.link(.subscribed(filter: "dn/receipt", reason: 0x87)))
    #expect(content.disconnects == 0)
    // And a granted one is nothing to end a connection for.
    var granted = Bench(quick { $0.confirm = .receipt }, waiting: [makeItem(1)])
    granted.connect()
    granted.send(.link(.subscribed(filter: "dn/receipt", reason: 1)))
    #expect(granted.disconnects == 0)
  }

  /// A receiver that is down for a day: the device asks for another connection, but makes no churn.
  @Test func twoSilentRoundsReconnectAndADeadReceiverMakesNoChurn() {
    var bench = Bench(
      quick { ($0.confirm, $0.receiptTimeoutSeconds) = (.receipt, 60) }, waiting: [makeItem(1)])
    bench.connect()
    let start = bench.now
    var ends: [UInt64] = []
    while bench.now < start + 86_400 * 1_000_000_000 {
      let before = bench.disconnects
      bench.now += 5_000_000_000
      bench.send(.tick)
      bench.answerAll()
      if bench.disconnects > before {
        ends.append(bench.now)
        bench.wire = []
        bench.send(.link(.disconnected(LinkFailure(kind: .requested, detail: "test"))))
        bench.sleep()
        bench.send(.link(.connected(limits)))
      }
    }
    #expect(ends.count > 1, "the subscription is tried again")
    #expect(zip(ends, ends.dropFirst()).allSatisfy { $1 - $0 >= 600_000_000_000 })
    #expect(ends.count <= 144)
    #expect((ends.first ?? .max) - start <= 200_000_000_000, "after two rounds")
    #expect(bench.reports.contains(.receiptsSilent))
  }

  @Test func receiptsKeepTheConnection() throws {
    var bench = Bench(
      quick { ($0.confirm, $0.receiptTimeoutSeconds) = (.receipt, 60) }, waiting: (1...200).map { makeItem($0) })
    bench.connect()
    var generator = SeededGenerator(seed: 9)
    for _ in 0..<2000 {
      bench.now += 5_000_000_000
      bench.send(.tick)
      bench.answerAll()
      // Nothing of ours, but a sign of life between any two rounds.
      bench.send(
        .receipt(
          Receipt(
            receiver: "archive",
            entries: [
              Receipt.Entry(
                captureID: RandomIdentifier(using: &generator), name: "record.json",
                sha256: String(repeating: "0", count: 64))
            ])))
    }
    #expect(bench.disconnects == 0)
  }

  // MARK: - Birth

  @Test func birthCarriesTheOldestNumberWithoutReceiptAndOlderOnesAreStillRead() throws {
    var generator = SeededGenerator(seed: 3)
    var status = StatusMessage(
      state: .online, site: "clinic", device: "unit-1", connectCounter: 1, firmware: "1", models: [],
      configurationSHA256: "", outboxID: RandomIdentifier(using: &generator), accounts: nil, line: nil,
      oldestWithoutReceipt: 17, at: nil)
    let text = String(decoding: try status.encoded(), as: UTF8.self)
    #expect(text.contains(#""oldest_without_receipt":17"#))
    #expect(try StatusMessage(decoding: status.encoded()) == status)
    status.oldestWithoutReceipt = nil
    #expect(!String(decoding: try status.encoded(), as: UTF8.self).contains("oldest_without_receipt"))
    #expect(try StatusMessage(decoding: status.encoded()).oldestWithoutReceipt == nil)
    #expect(!String(decoding: try status.encoded(), as: UTF8.self).contains("trust"))
    status.trust = ["site": ["root": 2, "timestamp": 14], "vendor": [:]]
    #expect(try StatusMessage(decoding: status.encoded()) == status)
  }
}
