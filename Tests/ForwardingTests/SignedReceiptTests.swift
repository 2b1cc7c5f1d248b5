import Cryptography
import Forwarding
import Foundation
import Provenance
import Storage
import Testing
import Trust

/// What a device believes on `dn/receipt`. The forger reads every uplink and may publish on every topic.
@Suite struct SignedReceiptTests {
  private let digests = OpenSSLDigests()
  private let topics: TopicSchema
  private let outboxID: RandomIdentifier
  private let receiver: SigningKey
  private let forger: SigningKey

  init() throws {
    var generator = SeededGenerator(seed: 5)
    topics = TopicSchema(site: try TopicIdentifier("clinic-7"), device: try TopicIdentifier("thermo-1"))
    outboxID = RandomIdentifier(using: &generator)
    receiver = try SigningKey(pem: try SigningKey.make(), digests: digests)
    forger = try SigningKey(pem: try SigningKey.make(), digests: digests)
  }

  private func reader(_ keys: [SigningKey]?, requires: Bool = true) throws -> ReceiptReader {
    let trusted = try keys.map { try TrustedKeys($0.map(\.publicKey), digests: digests) }
    return ReceiptReader(
      .init(keys: trusted, requiresSignature: requires), topics: topics, outboxID: outboxID, verifier: OpenSSLVerifier()
    )
  }

  private func receipt(
    entries: Int = 2, site: String = "clinic-7", device: String = "thermo-1", outbox: RandomIdentifier? = nil
  ) -> Receipt {
    var generator = SeededGenerator(seed: 9)
    return Receipt(
      receiver: "archive",
      addressee: .init(site: site, device: device, outboxID: outbox ?? outboxID),
      entries: (0..<entries).map { _ in
        .init(
          captureID: RandomIdentifier(using: &generator), name: "record.json",
          sha256: String(repeating: "ab", count: 32))
      })
  }

  @Test func aReceiversWordIsTaken() throws {
    var sent = receipt()
    sent.refused = [.init(sent.entries[0], .contentDiffers)]
    sent.cosignature = .init(size: 7, digest: Array(repeating: 0x0C, count: 32))
    let message = try sent.signed(by: receiver)
    #expect(try reader([receiver]).read(message) == sent)
    #expect(try reader([receiver], requires: false).read(message) == sent)
    #expect(try reader([receiver]).read(message).concerns(outbox: outboxID))
  }

  /// What a receiver of somebody else's is told of the payload.
  @Test func theSchemaNamesTheMembersThatAreWritten() throws {
    var sent = receipt()
    sent.refused = [.init(sent.entries[0], .contentDiffers)]
    sent.cosignature = .init(size: 7, digest: Array(repeating: 0x0C, count: 32))
    let envelope = try #require(
      JSONSerialization.jsonObject(with: Data(try sent.signed(by: receiver))) as? [String: Any])
    #expect(envelope["payloadType"] as? String == "application/vnd.thermograph.receipt.v2+json")
    let payload = try #require(Data(base64Encoded: envelope["payload"] as? String ?? ""))
    let written = try #require(JSONSerialization.jsonObject(with: payload) as? [String: Any])
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Docs/schemas/receipt-2.schema.json")
    let schema = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    let properties = try #require(schema["properties"] as? [String: [String: Any]])
    #expect(Set(written.keys) == Set(properties.keys))
    #expect(written["schema"] as? String == properties["schema"]?["const"] as? String)
  }

  @Test func nobodyElsesWordIsTaken() throws {
    let reader = try reader([receiver])
    #expect(throws: ReceiptError.unsigned) { try reader.read(try receipt().encoded()) }
    #expect(throws: ReceiptError.untrusted("envelope: no signature of a known key is right")) {
      try reader.read(try receipt().signed(by: forger))
    }
    // A key that calls itself the receiver's.
    let named = String(decoding: try receipt().signed(by: forger), as: UTF8.self)
      .replacing(forger.keyIdentifier, with: receiver.keyIdentifier)
    #expect(throws: ReceiptError.self) { try reader.read(Array(named.utf8)) }
    // The receiver's signature of another kind of statement.
    let other = try Envelope(
      try receipt().encoded(), type: "application/vnd.thermograph.result.v1+json", signedBy: [receiver])
    #expect(throws: ReceiptError.self) { try reader.read(other.encoded()) }
    // Its signature over version 1, which names no device.
    let first = try Envelope(try receipt().encoded(), type: Receipt.payloadType, signedBy: [receiver])
    #expect(throws: ReceiptError.self) { try reader.read(first.encoded()) }
    // A wrong signature is no better where none is asked for.
    let lenient = try self.reader([receiver], requires: false)
    #expect(throws: ReceiptError.self) { try lenient.read(try receipt().signed(by: forger)) }
  }

  @Test func anotherDevicesReceiptsAndThoseOfAnEarlierOutboxFreeNothing() throws {
    let reader = try reader([receiver])
    var generator = SeededGenerator(seed: 77)
    for receipt in [receipt(device: "thermo-2"), receipt(site: "clinic-8")] {
      #expect(throws: ReceiptError.misdirected("another device")) { try reader.read(try receipt.signed(by: receiver)) }
    }
    let earlier = receipt(outbox: RandomIdentifier(using: &generator))
    #expect(throws: ReceiptError.misdirected("another outbox of this device")) {
      try reader.read(try earlier.signed(by: receiver))
    }
    // The answer to a probe speaks of no outbox, so it frees nothing.
    var probe = receipt()
    probe.addressee?.outboxID = nil
    #expect(try !reader.read(try probe.signed(by: receiver)).concerns(outbox: outboxID))
  }

  /// While one key replaces another both are listed; the old one is then taken out.
  @Test func keysRotate() throws {
    let next = try SigningKey(pem: try SigningKey.make(), digests: digests)
    for key in [receiver, next] {
      #expect(throws: Never.self) { try reader([receiver, next]).read(try receipt().signed(by: key)) }
    }
    #expect(throws: ReceiptError.self) { try reader([next]).read(try receipt().signed(by: receiver)) }
  }

  /// A device that was set up before receivers had keys.
  @Test func whereNoSignatureIsAskedForEarlierReceiversAreTaken() throws {
    let bare = Receipt(receiver: "archive", entries: receipt().entries)
    #expect(try reader(nil, requires: false).read(try bare.encoded()) == bare)
    #expect(try reader([receiver], requires: false).read(try bare.encoded()) == bare)
    #expect(try reader(nil, requires: false).read(try bare.encoded()).concerns(outbox: outboxID))
    #expect(throws: ReceiptError.noKeys) { try reader(nil, requires: false).read(try receipt().signed(by: receiver)) }
    // A receiver of today without a key names the device, and is held to that.
    #expect(throws: ReceiptError.misdirected("another device")) {
      try reader(nil, requires: false).read(try receipt(device: "thermo-2").encoded())
    }
  }

  @Test func theLargestReceiptFitsAndALargerOneDoesNot() throws {
    var largest = receipt(entries: 0)
    var generator = SeededGenerator(seed: 3)
    largest.refused = (0..<Receipt.maximumEntries).map { _ in
      .init(
        .init(
          captureID: RandomIdentifier(using: &generator), name: String(repeating: "n", count: 64),
          sha256: String(repeating: "ab", count: 32)), .contentDiffers)
    }
    let message = try largest.signed(by: receiver)
    #expect(message.count <= 96 * 1024)
    #expect(try reader([receiver]).read(message) == largest)
    largest.refused.append(largest.refused[0])
    #expect(throws: ReceiptError.self) { try reader([receiver]).read(try largest.signed(by: receiver)) }
    #expect(throws: ReceiptError.self) {
      try reader([receiver]).read([UInt8](repeating: 32, count: 96 * 1024 + 1) + message)
    }
  }

  /// 5,000 damaged messages: none is read as another receipt.
  @Test func noDamagedReceiptSaysSomethingElse() throws {
    let sent = receipt()
    let message = try sent.signed(by: receiver)
    let reader = try reader([receiver])
    var generator = SeededGenerator(seed: 0x7265_6365)
    var taken = 0
    for _ in 0..<5000 {
      var damaged = message
      for _ in 0...Int.random(in: 0...2, using: &generator) {
        let place = Int.random(in: 0..<damaged.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1: damaged.remove(at: place)
        case 2: damaged.insert(damaged[place], at: place)
        default: damaged[place] = UInt8.random(in: 0...255, using: &generator)
        }
      }
      guard let read = try? reader.read(damaged) else { continue }
      taken += 1
      #expect(read == sent)
    }
    #expect(taken < 2500)
  }
}
