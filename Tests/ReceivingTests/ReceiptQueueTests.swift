import Cryptography
import Forwarding
import Provenance
import Receiving
import Storage
import Testing
import Trust

@Suite struct ReceiptQueueTests {
  private func receipt(_ number: UInt64, device: String = "unit-1") throws -> AddressedReceipt {
    var bytes = [UInt8](repeating: 0, count: 8)
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64(shift)))) }
    let entry = Receipt.Entry(
      captureID: try #require(RandomIdentifier(bytes: bytes)), name: OutboxItem.recordName,
      sha256: String(repeating: "0", count: 64))
    return AddressedReceipt(
      topic: "tg/v1/clinic/\(device)/dn/receipt", receipt: Receipt(receiver: "archive", entries: [entry]))
  }

  private func connected(maximumPacketBytes: Int? = nil) -> ReceiptQueue {
    var queue = ReceiptQueue()
    queue.connectionBegan(maximumPacketBytes: maximumPacketBytes)
    return queue
  }

  @Test func whatWaitsForTheWindowTravelsTogether() throws {
    var queue = connected()
    var first: [PublishToken] = []
    for number in 0..<UInt64(ReceiptQueue.window) {
      queue.add(try receipt(number))
      first += try queue.takeReady().map(\.token)
    }
    #expect(first.count == ReceiptQueue.window)
    let rest = try (100..<UInt64(100 + 2 * Receipt.maximumEntries)).map { try receipt($0) }
    for each in rest { queue.add(each) }
    #expect(try queue.takeReady().isEmpty)
    for token in first { queue.settled(token) }
    let together = try queue.takeReady()
    #expect(together.count == 2)
    let arrived = try together.flatMap { try Receipt(decoding: $0.message.payload).entries }
    #expect(arrived == rest.flatMap(\.receipt.entries))
    for token in together.map(\.token) { queue.settled(token) }
    #expect(queue.isEmpty)
  }

  @Test func devicesGetTheirOwnAndNothingTwice() throws {
    var queue = ReceiptQueue()
    for _ in 0..<3 {
      queue.add(try receipt(1))
      queue.add(try receipt(2, device: "unit-2"))
    }
    #expect(try queue.takeReady().isEmpty, "there is no connection")
    queue.connectionBegan(maximumPacketBytes: nil)
    let ready = try queue.takeReady()
    #expect(ready.map(\.message.topic) == [try receipt(1).topic, try receipt(2, device: "unit-2").topic])
    #expect(try ready.map { try Receipt(decoding: $0.message.payload).entries.count } == [1, 1])
  }

  /// A device sends what is refused again until it hears of it.
  @Test func aRefusalWaitsOnce() throws {
    var queue = ReceiptQueue()
    var refused = try receipt(1)
    refused.receipt.refused = refused.receipt.entries.map { Receipt.Refusal($0, .numberTaken) }
    refused.receipt.entries = []
    for _ in 0..<3 { queue.add(refused) }
    queue.connectionBegan(maximumPacketBytes: nil)
    let ready = try queue.takeReady()
    #expect(try ready.map { try Receipt(decoding: $0.message.payload) } == [refused.receipt])
  }

  @Test func whatHasNoAnswerIsSentAgainOnTheNextConnection() throws {
    var queue = connected()
    for number in 0..<UInt64(3) {
      queue.add(try receipt(number))
      let ready = try queue.takeReady()
      if number == 0 { for each in ready { queue.settled(each.token) } }
    }
    queue.connectionEnded()
    #expect(try queue.takeReady().isEmpty)
    queue.connectionBegan(maximumPacketBytes: nil)
    let again = try queue.takeReady()
    #expect(
      try again.map { try Receipt(decoding: $0.message.payload) } == [try receipt(1).receipt, try receipt(2).receipt])
    queue.settled(PublishToken(rawValue: 1))
    #expect(!queue.isEmpty)
    for each in again { queue.settled(each.token) }
    #expect(queue.isEmpty)
  }

  @Test(arguments: [4096, 20_000, 1 << 20]) func aReceiptFitsTheBrokersPackets(bytes: Int) throws {
    var queue = connected(maximumPacketBytes: bytes)
    for number in 0..<UInt64(2000) { queue.add(try receipt(number)) }
    for (message, _) in try queue.takeReady() { #expect(message.packetBytesUpperBound <= bytes) }
  }

  @Test func noMoreIsTakenThanThereIsRoomFor() throws {
    var queue = connected()
    var number: UInt64 = 0
    while number < UInt64(ReceiptQueue.maximumWaiting), queue.add(try receipt(number)) { number += 1 }
    #expect(number == UInt64(ReceiptQueue.maximumWaiting))
    let tookMore = queue.add(try receipt(number))
    let tookAgain = queue.add(try receipt(1))
    #expect(!tookMore)
    #expect(tookAgain, "it waits already")
  }

  /// With a key every receipt is a statement of this receiver, for one device and one outbox of it.
  @Test func receiptsAreSignedForOneDeviceAndOneOutboxEach() throws {
    let key = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    let topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
    let outboxes = try [1, 2].map { try #require(RandomIdentifier(bytes: [UInt8](repeating: $0, count: 16))) }
    var queue = ReceiptQueue(signer: key)
    for number in 0..<UInt64(2) {
      for outboxID in outboxes {
        var each = try receipt(number)
        each.receipt.addressee = .init(site: "clinic", device: "unit-1", outboxID: outboxID)
        each.receipt.entries[0].sha256 = String(repeating: outboxID == outboxes[0] ? "a" : "b", count: 64)
        queue.add(each)
      }
    }
    queue.connectionBegan(maximumPacketBytes: nil)
    let ready = try queue.takeReady()
    #expect(ready.allSatisfy { $0.message.contentType == "application/vnd.dsse.envelope.v1+json" })
    let keys = try TrustedKeys([key.publicKey], digests: OpenSSLDigests())
    var entries: [Int] = []
    for (message, _) in ready {
      let taken = outboxes.compactMap { outboxID -> Receipt? in
        let reader = ReceiptReader(
          .init(keys: keys, requiresSignature: true), topics: topics, outboxID: outboxID, verifier: OpenSSLVerifier())
        do throws(ReceiptError) { return try reader.read(message.payload) } catch {
          #expect(error == .misdirected("another outbox of this device"))
          return nil
        }
      }
      #expect(taken.count == 1, "one outbox takes it")
      entries.append(taken.first?.entries.count ?? 0)
    }
    // Neighbours of one outbox travel together; here they alternate.
    #expect(entries.reduce(0, +) == 4)
  }

  @Test func aSignedReceiptStaysBelowTheBrokersPacketLimit() throws {
    let key = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    var queue = ReceiptQueue(signer: key)
    queue.connectionBegan(maximumPacketBytes: 8192)
    for number in 0..<UInt64(200) { queue.add(try receipt(number)) }
    let ready = try queue.takeReady()
    #expect(!ready.isEmpty && ready.allSatisfy { $0.message.payload.count <= 8192 - 512 })
  }
}
