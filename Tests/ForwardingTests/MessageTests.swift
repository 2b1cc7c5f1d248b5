import Forwarding
import Foundation
import Provenance
import Testing

@Suite struct ReceiptTests {
  private func receipt() throws -> Receipt {
    let id = try #require(RandomIdentifier("9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"))
    return Receipt(
      receiver: "clinic",
      entries: [
        Receipt.Entry(captureID: id, name: OutboxItem.recordName, sha256: String(repeating: "ab", count: 32)),
        Receipt.Entry(captureID: id, name: "master.png", sha256: String(repeating: "0c", count: 32)),
      ])
  }

  @Test func wireFormIsFixed() throws {
    let text = String(decoding: try receipt().encoded(), as: UTF8.self)
    let id = "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"
    let hashes = [String(repeating: "ab", count: 32), String(repeating: "0c", count: 32)]
    #expect(
      text == "{\"entries\":[{\"capture_id\":\"\(id)\",\"name\":\"record.json\",\"sha256\":\"\(hashes[0])\"},"
        + "{\"capture_id\":\"\(id)\",\"name\":\"master.png\",\"sha256\":\"\(hashes[1])\"}],"
        + "\"receiver\":\"clinic\",\"schema\":\"thermograph.receipt.v1\"}")
    #expect(try Receipt(decoding: Array(text.utf8)) == receipt())
  }

  @Test func nothingMalformedIsBelieved() throws {
    let good = String(decoding: try receipt().encoded(), as: UTF8.self)
    #expect(throws: ReceiptError.malformed("not a receipt of schema thermograph.receipt.v1")) {
      try Receipt(decoding: Array(good.replacing("receipt.v1", with: "receipt.v2").utf8))
    }
    #expect(throws: ReceiptError.entry(index: 1, "sha256 is not 64 hexadecimal digits")) {
      try Receipt(decoding: Array(good.replacing("0c0c", with: "0cxx").utf8))
    }
    #expect(throws: ReceiptError.entry(index: 0, "the name has 0 bytes; expected 1...64")) {
      try Receipt(decoding: Array(good.replacing("record.json", with: "").utf8))
    }
    #expect(throws: ReceiptError.tooLarge(byteCount: 65_537)) {
      try Receipt(decoding: [UInt8](repeating: 32, count: 65_537))
    }
    var many = try receipt()
    many.entries = (0..<257).map { _ in many.entries[0] }
    #expect(throws: ReceiptError.malformed("257 entries; expected at most 256")) {
      try Receipt(decoding: try many.encoded())
    }
    let bytes = Array(good.utf8)
    for count in 0..<bytes.count {
      #expect(throws: ReceiptError.self) { try Receipt(decoding: Array(bytes[..<count])) }
    }
  }
}

@Suite struct MessageComposerTests {
  @Test func publishCarriesItsIdentityBesideThePayload() throws {
    let topics = TopicSchema(site: try TopicIdentifier("s"), device: try TopicIdentifier("d"))
    let outboxID = try #require(RandomIdentifier("11111111-2222-4333-8444-555555555555"))
    let composer = MessageComposer(topics: topics, outboxID: outboxID, healthExpirySeconds: 600)
    var bench = Bench(
      quick {
        $0.partBytes = 1024
        $0.window = 9
      }, waiting: [makeItem(4, .image, bytes: 1500), makeItem(5, .health, bytes: 3)])
    bench.connect()
    let payload = (0..<1500).map { UInt8(truncatingIfNeeded: $0) }
    let second = try composer.message(for: bench.sent[1], payload: payload)
    let item = bench.sent[1].item
    #expect(second.topic == "tg/v1/s/d/up/\(item.topicSuffix)/2-of-2")
    #expect(second.payload == Array(payload[1024...]))
    #expect(second.qualityOfService == .atLeastOnce)
    #expect(!second.retain)
    #expect(second.expirySeconds == nil)
    let properties = Dictionary(uniqueKeysWithValues: second.userProperties.map { ($0.name, $0.value) })
    #expect(
      properties == [
        "specversion": "1.0", "id": "\(outboxID):4", "source": "/tg/v1/s/d", "type": "thermograph.image.v1",
        "time": "2026-02-25T06:13:20.000Z", "captured_at": "2026-02-25T06:13:20.000Z", "outbox_id": "\(outboxID)",
        "sequence": "4", "capture_id": try #require(item.captureID).description, "replayed": "true",
        "sha256": String(repeating: "07", count: 32),
      ])
    let health = try composer.message(for: bench.sent[2], payload: [1, 2, 3])
    #expect(health.expirySeconds == 600)
    #expect(health.payload == [1, 2, 3])
    // Names and values never take more than the reserve that the machine leaves for them.
    #expect(second.packetBytesUpperBound - second.payload.count <= 1024)
  }
}

@Suite struct StatusAndGapTests {
  private let outboxID = RandomIdentifier("11111111-2222-4333-8444-555555555555")

  @Test func birthAndWillHaveOneShape() throws {
    let outboxID = try #require(outboxID)
    var accounts = OutboxAccounts()
    accounts.add(100, to: .capture, .pending)
    accounts.add(50, to: .capture, .awaitingReceipt)
    accounts.add(9, to: .capture, .delivered)
    let birth = StatusMessage(
      state: .online, site: "s", device: "d", connectCounter: 3, firmware: "1.2.3",
      models: [StatusMessage.Model(id: "m", sha256: "00")], configurationSHA256: "ff", outboxID: outboxID,
      accounts: accounts,
      line: StatusMessage.Line(protection: "TLSv1.3", certificateDays: 30, plaintextAllowed: false), at: anInstant)
    let bytes = try birth.encoded()
    #expect(try JSONDecoder().decode(StatusMessage.self, from: Data(bytes)) == birth)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    #expect(object["schema"] as? String == "thermograph.status.v1")
    #expect(object["connect_counter"] as? Int == 3)
    let backlog = try #require(object["backlog"] as? [String: [String: Int]])
    #expect(backlog["capture"] == ["rows": 2, "bytes": 150])
    #expect(backlog.count == 5)
    let will = StatusMessage(
      state: .offline, site: "s", device: "d", connectCounter: 3, firmware: "1.2.3", models: [],
      configurationSHA256: "ff", outboxID: outboxID, accounts: nil, line: nil, at: nil)
    #expect(String(decoding: try will.encoded(), as: UTF8.self).contains("\"state\":\"offline\""))
    #expect(try JSONDecoder().decode(StatusMessage.self, from: Data(will.encoded())) == will)
  }

  @Test func gapRecordNamesWhatIsMissing() throws {
    let outboxID = try #require(outboxID)
    let gap = GapRecord(
      reason: .dropped, item: makeItem(4, .image), detail: "quota", outboxID: outboxID, at: anInstant)
    let bytes = try gap.encoded()
    #expect(try JSONDecoder().decode(GapRecord.self, from: Data(bytes)) == gap)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    #expect(object["class"] as? String == "image")
    #expect(object["sequence"] as? Int == 4)
    #expect(object["reason"] as? String == "dropped")
  }
}

@Suite struct ReconnectBackoffTests {
  @Test func pausesStayWithinTheirBoundsAndGrow() {
    var backoff = ReconnectBackoff()
    var generator = SeededGenerator(seed: 1)
    var pauses: [Int] = []
    for _ in 0..<200 { pauses.append(backoff.afterFailure(.unreachable, using: &generator)) }
    #expect(pauses.allSatisfy { (1000...120_000).contains($0) })
    #expect(pauses[0] <= 3000)
    #expect(pauses.suffix(100).reduce(0, +) / 100 > 20_000)
    // Decorrelated: not monotonous, and hardly ever twice the same.
    #expect(Set(pauses).count > 150)
  }

  /// The first pause is even over 1 to 3 s; the long run keeps no fleet in step: of ten thousand devices that fail
  /// together, no second of a later attempt sees more than a twentieth.
  @Test(arguments: [(attempt: 1, seconds: 1...3, most: 0.6), (2, 1...9, 0.4), (4, 1...81, 0.2), (12, 1...120, 0.06)])
  func theJitterSpreadsAFleet(attempt: Int, seconds: ClosedRange<Int>, most: Double) {
    let devices = 10_000
    var generator = SeededGenerator(seed: UInt64(attempt))
    var buckets = [Int](repeating: 0, count: 121)
    for _ in 0..<devices {
      var backoff = ReconnectBackoff()
      var pause = 0
      for _ in 0..<attempt { pause = backoff.afterFailure(.unreachable, using: &generator) }
      buckets[pause / 1000] += 1
    }
    #expect(buckets.enumerated().allSatisfy { $1 == 0 || seconds.contains($0) }, "\(buckets)")
    #expect(buckets.count { $0 > 0 } >= seconds.count * 3 / 5, "\(buckets)")
    #expect(Double(buckets.max() ?? 0) <= most * Double(devices), "\(buckets)")
  }

  /// A connection that held for 30 s starts the pauses anew; one that did not goes on where they were.
  @Test(arguments: [(29, false), (30, true), (3600, true)])
  func onlyASteadyConnectionResetsThePauses(seconds: Int, resets: Bool) {
    var resetCount = 0
    for seed in 1...200 {
      var generator = SeededGenerator(seed: UInt64(seed))
      var backoff = ReconnectBackoff()
      for _ in 0..<12 { _ = backoff.afterFailure(.unreachable, using: &generator) }
      _ = backoff.afterLoss(.closedByPeer, connectedSeconds: seconds, using: &generator)
      if backoff.afterFailure(.unreachable, using: &generator) <= 3000 { resetCount += 1 }
    }
    #expect(resets ? resetCount == 200 : resetCount < 60, "\(resetCount) of 200")
  }

  @Test func floorsHoldForRefusals() {
    var generator = SeededGenerator(seed: 2)
    for kind in [LinkFailure.Kind.refused, .tls, .busy, .sessionTaken, .clock] {
      var backoff = ReconnectBackoff()
      #expect(backoff.afterFailure(kind, using: &generator) >= 15_000)
    }
  }

  /// A hundred devices lose one broker: no second of the first minute sees more than a tenth of them return.
  @Test(arguments: 1...20)
  func aFleetSpreadsItself(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    var buckets = [Int](repeating: 0, count: 200)
    for _ in 0..<100 {
      var backoff = ReconnectBackoff()
      buckets[backoff.afterLoss(.closedByPeer, connectedSeconds: 3600, using: &generator) / 1000] += 1
    }
    #expect(buckets.max() ?? 0 <= 10)
    #expect(buckets.reduce(0, +) == 100)
  }
}
