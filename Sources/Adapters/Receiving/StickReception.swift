import Forwarding
import FoundationEssentials
import LocalFiles
import Provenance
import Trust

/// Takes what `thermograph outbox export` wrote, in the clear or opened by whoever holds the key that it was sealed for,
/// as if it had come over the line, and lays the receipts beside it: `receipts/{site}-{device}-{n}.json`, for
/// `thermograph outbox import`. A stick is a stranger's: no link is followed, and every size has its limit.
package struct StickReception {
  /// Folders of captures on one stick.
  static let maximumCaptures = 100_000
  package static let receiptsName = "receipts"
  /// Alerts, events and replies on one stick.
  static let maximumMessages = 100_000

  package struct Outcome: Sendable, Equatable {
    /// Captures that became complete now.
    package var completed: [Receiver.CompletedCapture] = []
    /// Files with receipts, below the stick's folder.
    package var receipts: [String] = []
    /// Readable lists of what lies there, below the stick's folder.
    package var lists: [String] = []
    /// For a person: what was not taken, and why.
    package var notes: [String] = []
  }

  /// Who a record says that it comes from.
  private struct Origin: Decodable {
    var site: String
    var device: String
  }

  private let receiver: Receiver
  private let signer: (any SignatureSigner)?
  private let corrections: (_ site: String, _ device: String) throws -> CorrectionLog

  /// - Parameter corrections: what holds for the captures of a device, for the list.
  package init(
    _ receiver: Receiver, signer: (any SignatureSigner)?,
    corrections: @escaping (_ site: String, _ device: String) throws -> CorrectionLog = { _, _ in CorrectionLog() }
  ) {
    self.receiver = receiver
    self.signer = signer
    self.corrections = corrections
  }

  /// - Throws: `FileError` of the stick, `ReceiverError` of the receiver's folder; what lies on the stick stays as it is.
  package func take(_ folder: String) throws -> Outcome {
    let stick = try OpenFolder(withoutLinks: folder)
    var outcome = Outcome()
    var queue = ReceiptQueue(signer: signer)
    queue.connectionBegan(maximumPacketBytes: nil)
    var counts: [String: Int] = [:]
    var list = StickList()
    try takeMessages(stick, &outcome)
    for name in try stick.names(maximumNames: Self.maximumCaptures) {
      guard let captureID = RandomIdentifier(name) else { continue }
      var record: [UInt8]?
      var isStored = false
      do {
        for receipt in try take(captureID, stick, &record, &outcome) {
          isStored = true
          _ = queue.add(receipt)
        }
      } catch let error as FileError {
        outcome.notes.append("\(captureID): not taken: \(error)")
      } catch let rejection as Rejection {
        outcome.notes.append("\(captureID): not taken: \(rejection)")
      }
      list.add(captureID, record: record, isStored: isStored)
    }
    while !queue.isEmpty {
      for (message, token) in try queue.takeReady() {
        try write(message, on: stick, &counts, &outcome)
        queue.settled(token)
      }
    }
    outcome.lists = try list.write(on: stick, corrections: corrections)
    return outcome
  }

  /// - Parameter found: the record as it lies there, for the list.
  private func take(
    _ captureID: RandomIdentifier, _ stick: borrowing OpenFolder, _ found: inout [UInt8]?, _ outcome: inout Outcome
  ) throws -> [AddressedReceipt] {
    guard let folder = try stick.folder("\(captureID)") else { return [] }
    guard let record = try folder.readIfThere(OutboxItem.recordName, maximumBytes: RecordEnvelope.bytesMaximum) else {
      throw Rejection("there is no \(OutboxItem.recordName); open the sealed files first (openssl cms -decrypt)")
    }
    found = record
    let topics = try Self.topics(of: record)
    let envelope = try RecordEnvelope(decoding: record, from: topics)
    guard envelope.captureID == captureID else { throw Rejection("its record is another capture's") }
    var receipts: [AddressedReceipt] = []
    func note(_ reaction: Receiver.Reaction) {
      receipts += reaction.receipts
      outcome.notes += reaction.notes
      if let completed = reaction.completed { outcome.completed.append(completed) }
    }
    note(try receiver.take(IncomingMessage(topic: topics.up("capture"), payload: record)))
    for image in envelope.images {
      guard let bytes = try folder.readIfThere(image.name, maximumBytes: CaptureFolder.imageBytesMaximum) else {
        outcome.notes.append("\(captureID): \(image.name) is not on the stick")
        continue
      }
      let suffix = try TopicSchema.imageSuffix(captureID: captureID, name: image.name)
      note(try receiver.take(IncomingMessage(topic: topics.up(suffix), payload: bytes)))
    }
    return receipts
  }

  /// Alerts, events and replies, whatever becomes of the captures. They have no receipt.
  private func takeMessages(_ stick: borrowing OpenFolder, _ outcome: inout Outcome) throws {
    guard let folder = try stick.folder(ExportOrigin.messagesName) else { return }
    var devices: [RandomIdentifier: TopicSchema?] = [:]
    for name in try folder.names(maximumNames: Self.maximumMessages).sorted() {
      // Health on a stick is old: only the newest says something, and the line brings it.
      guard let message = ExportOrigin.message(named: name), ["alert", "event", "reply"].contains(message.topicSuffix)
      else { continue }
      if devices[message.outboxID] == nil {
        devices[message.outboxID] = .some(try device(of: message.outboxID, on: stick, &outcome))
      }
      guard case let topics?? = devices[message.outboxID] else { continue }
      do {
        guard let payload = try folder.readIfThere(name, maximumBytes: Receipt.maximumBytes) else { continue }
        let id = UserProperty(MessageComposer.Name.id, "\(message.outboxID):\(message.number)")
        let reaction = try receiver.take(
          IncomingMessage(topic: topics.up(message.topicSuffix), payload: payload, userProperties: [id]))
        outcome.notes += reaction.notes
      } catch let error as FileError {
        outcome.notes.append("\(ExportOrigin.messagesName)/\(name): not taken: \(error)")
      }
    }
  }

  /// Whose outbox it is; nil, and told, when the stick does not say.
  private func device(
    of outboxID: RandomIdentifier, on stick: borrowing OpenFolder, _ outcome: inout Outcome
  ) throws(FileError) -> TopicSchema? {
    let name = ExportOrigin.fileName(outboxID)
    guard let bytes = try stick.readIfThere(name, maximumBytes: ExportOrigin.bytesMaximum) else {
      outcome.notes.append("messages of outbox \(outboxID) not taken: there is no \(name), which says whose they are")
      return nil
    }
    do {
      let origin = try ExportOrigin(decoding: bytes)
      guard origin.outboxID == outboxID else { throw Rejection("it is another outbox's") }
      return TopicSchema(site: try TopicIdentifier(origin.site), device: try TopicIdentifier(origin.device))
    } catch {
      outcome.notes.append("messages of outbox \(outboxID) not taken: \(name) does not say whose they are: \(error)")
      return nil
    }
  }

  private static func topics(of record: [UInt8]) throws(Rejection) -> TopicSchema {
    do {
      let origin = try JSONDecoder().decode(Origin.self, from: Data(record))
      return TopicSchema(site: try TopicIdentifier(origin.site), device: try TopicIdentifier(origin.device))
    } catch {
      throw Rejection("its record names no site and device")
    }
  }

  private func write(
    _ message: OutgoingMessage, on stick: borrowing OpenFolder, _ counts: inout [String: Int], _ outcome: inout Outcome
  ) throws(FileError) {
    let levels = message.topic.split(separator: "/")
    let name = "\(levels[2])-\(levels[3])"
    counts[name, default: 0] += 1
    let file = "\(name)-\(counts[name] ?? 1).json"
    try stick.makeFolder(Self.receiptsName, mode: 0o755).replace(file, with: message.payload, mode: 0o644)
    outcome.receipts.append("\(Self.receiptsName)/\(file)")
  }
}
