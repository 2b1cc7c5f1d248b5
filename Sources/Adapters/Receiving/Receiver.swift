import Forwarding
import LocalFiles
import Provenance

/// The reference receiver: writes what devices send to a folder and says with receipts what is safe there.
///
/// All its knowledge lies in the folder, so it may be killed at any time, started again, and several may work on one
/// folder:
///
/// ```
/// arrivals.jsonl                                   everything that arrived, in order, duplicates included
/// captures.sqlite                                  index of what is complete (`register`), made again when missing
/// {site}/{device}/{capture_id}/record.json         the record
/// {site}/{device}/{capture_id}/master.png ...      its images, checked against the record's SHA-256
/// {site}/{device}/{capture_id}/receipt.json        there when everything is there and on the disk
/// {site}/{device}/by-sequence/{outbox_id}-{n}      link to the capture; the unique key (device, outbox_id, sequence)
/// {site}/{device}/messages/alert-....json          alerts, events, replies, once each
/// {site}/{device}/status.json, health.json         the newest
/// ```
///
/// A receipt for a capture is made only when the record **and all its images** are on the disk; one that may have been
/// lost is made again when the device sends again. Not thread-safe: one owner.
package final class Receiver {
  /// What one message led to.
  package struct Reaction: Sendable, Equatable {
    /// To be published through a `ReceiptQueue`.
    package var receipts: [AddressedReceipt] = []
    /// The capture that became complete with this message.
    package var completed: CompletedCapture?
    /// For a person: what was not stored, and why; what is missing.
    package var notes: [String] = []

    package init() {}
  }

  /// A capture of which everything is on the disk.
  package struct CompletedCapture: Sendable, Equatable {
    package var site: String
    package var device: String
    package var captureID: RandomIdentifier
    package var outboxID: RandomIdentifier
    package var sequence: Int64
    package var replayed: Bool?
    /// Folder with the files.
    package var path: String
    /// Names of the images.
    package var images: [String]
    /// The record as it came.
    package var record: [UInt8]
    /// What the receipt vouches for, the record first.
    package var entries: [Receipt.Entry]
    /// Bytes of each image, in the order of `images`.
    package var imageBytes: [Int]
  }

  private let root: String
  private let name: String
  private let digests: any MessageDigests
  private let time: any TimeSource
  private let log: ArrivalLog
  private let register: (CompletedCapture) throws -> Void

  /// - Parameters:
  ///   - folder: made when missing.
  ///   - name: this receiver's name in receipts and temporary files, `[A-Za-z0-9._-]{1,64}`.
  ///   - register: enters a complete capture in an index, on the disk when it returns, before the receipt is made. It
  ///     may be called again for the same capture. When it throws there is no receipt and the device sends again.
  package init(
    folder: String, name: String, digests: any MessageDigests, time: any TimeSource,
    register: @escaping (CompletedCapture) throws -> Void = { _ in }
  ) throws(ReceiverError) {
    let isUsable = (1...64).contains(name.utf8.count) && name.utf8.allSatisfy(Self.isNameCharacter)
    guard isUsable else {
      throw ReceiverError("use the name", "'\(name)'", reason: "expected 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
    }
    root = folder
    self.register = register
    self.name = name
    self.digests = digests
    self.time = time
    log = try onDisk { () throws(FileError) in
      try Folder.makeAll(folder, mode: 0o755)
      let log = try ArrivalLog(path: "\(folder)/arrivals.jsonl")
      try Folder.synchronise(folder)
      return log
    }
  }

  /// Stores what `message` carries. Throws when the disk does not take it; nothing is then acknowledged, and the
  /// device sends it again.
  package func take(_ message: IncomingMessage) throws(ReceiverError) -> Reaction {
    var arrival = Arrival(of: message, at: time.now())
    var reaction = Reaction()
    do {
      guard let topic = UplinkTopic(message.topic) else { throw Rejection("no topic of a device's uplink") }
      switch topic.kind {
      case .capture: try takeRecord(message, topic.schema, &arrival, &reaction)
      case .image(let captureID, let name, let part):
        arrival.captureID = "\(captureID)"
        arrival.name = name
        try takeImage(message, topic.schema, captureID, name, part, &arrival, &reaction)
      case .status:
        try overwrite("status.json", message, topic.schema)
        reaction.receipts += try answers(toBirth: message.payload, topic.schema)
      case .health: try overwrite("health.json", message, topic.schema)
      case .alert: try keep("alert", message, topic.schema, &arrival)
      case .event:
        try keep("event", message, topic.schema, &arrival)
        if let probe = ProbeMessage(decoding: message.payload) {
          let entry = probe.receipt(payload: message.payload, digests: digests)
          reaction.receipts.append(vouch([entry], to: topic.schema, outboxID: nil))
        }
      case .reply: try keep("reply", message, topic.schema, &arrival)
      }
    } catch let rejection as Rejection {
      if arrival.outcome == .stored { arrival.outcome = .rejected }
      arrival.reason = rejection.description
      reaction.notes.append("\(message.topic): not stored: \(rejection)")
    } catch let error as FileError {
      throw ReceiverError(error)
    } catch {
      throw ReceiverError("store", message.topic, reason: "\(error)")
    }
    try onDisk { () throws(FileError) in
      try log.append(arrival)
      if !reaction.receipts.isEmpty { try log.synchronise() }
    }
    return reaction
  }

  // MARK: Captures

  /// Registers again every capture of the folder for which there is a receipt: for an index that was lost or is new.
  /// Returns how many.
  package func registerAll() throws(ReceiverError) -> Int {
    var count = 0
    do {
      for site in try Self.folders(in: root) {
        for device in try Self.folders(in: "\(root)/\(site)") {
          let topics = TopicSchema(site: try TopicIdentifier(site), device: try TopicIdentifier(device))
          for name in try Self.folders(in: "\(root)/\(site)/\(device)") {
            guard let captureID = RandomIdentifier(name) else { continue }
            let folder = CaptureFolder(root: root, topics: topics, captureID: captureID)
            guard let receipt = try folder.receipt(), let bytes = try folder.read(OutboxItem.recordName) else {
              continue
            }
            let record = try RecordEnvelope(decoding: bytes, from: topics)
            try register(
              CompletedCapture(
                site: site, device: device, captureID: captureID, outboxID: record.outboxID,
                sequence: record.sequence, replayed: nil, path: folder.path, images: record.images.map(\.name),
                record: bytes, entries: receipt.entries, imageBytes: record.images.map(\.bytes)))
            count += 1
          }
        }
      }
    } catch let error as FileError {
      throw ReceiverError(error)
    } catch {
      throw ReceiverError("register the captures of", root, reason: "\(error)")
    }
    return count
  }

  /// Names of the folders within `path`, in their order; links and hidden ones are left out.
  private static func folders(in path: String) throws(FileError) -> [String] {
    var folders: [String] = []
    for name in try Folder.names(in: path, maximumNames: 1_000_000) where !name.hasPrefix(".") {
      if try BoundedFile.status("\(path)/\(name)", followingLink: false)?.kind == .folder { folders.append(name) }
    }
    return folders
  }

  private func takeRecord(
    _ message: IncomingMessage, _ topics: TopicSchema, _ arrival: inout Arrival, _ reaction: inout Reaction
  ) throws {
    let record = try RecordEnvelope(decoding: message.payload, from: topics)
    arrival.captureID = "\(record.captureID)"
    arrival.name = OutboxItem.recordName
    arrival.outboxID = "\(record.outboxID)"
    arrival.sequence = record.sequence
    try checkDigest(of: message, is: digests.sha256(message.payload))
    let folder = CaptureFolder(root: root, topics: topics, captureID: record.captureID)
    if let stored = try folder.read(OutboxItem.recordName) {
      guard stored == message.payload else {
        reaction.receipts.append(
          refuse(
            record.captureID, OutboxItem.recordName, message.payload, .contentDiffers, topics, record.outboxID))
        arrival.outcome = .conflict
        throw Rejection("another record of this capture is stored already")
      }
      arrival.outcome = .duplicate
      if let receipt = try folder.receipt() {
        reaction.receipts.append(vouch(receipt.entries, to: topics, outboxID: record.outboxID))
        return
      }
    } else {
      try folder.make()
      guard try claim(record, topics) else {
        reaction.receipts.append(
          refuse(record.captureID, OutboxItem.recordName, message.payload, .numberTaken, topics, record.outboxID))
        arrival.outcome = .conflict
        throw Rejection("number \(record.sequence) of this outbox belongs to another capture")
      }
      try folder.write(message.payload, as: OutboxItem.recordName)
    }
    try complete(folder, record, topics, arrival, &reaction)
  }

  private func takeImage(
    _ message: IncomingMessage, _ topics: TopicSchema, _ captureID: RandomIdentifier, _ imageName: String,
    _ part: UplinkTopic.Part?, _ arrival: inout Arrival, _ reaction: inout Reaction
  ) throws {
    guard RecordEnvelope.isImageName(imageName) else { throw Rejection("'\(imageName)' cannot name an image") }
    let folder = CaptureFolder(root: root, topics: topics, captureID: captureID)
    if let receipt = try folder.receipt() {
      return try takeAgain(message, imageName, part, receipt, topics, &arrival, &reaction)
    }
    try folder.make()
    var whole = message.payload
    if let part {
      guard let assembled = try folder.keep(message.payload, part: part, of: imageName) else {
        arrival.outcome = .part
        return
      }
      whole = assembled
      try folder.removeParts(of: imageName, count: part.count)
    }
    let digest = digests.sha256(whole)
    try checkDigest(of: message, is: digest)
    let record = try folder.read(OutboxItem.recordName).map { try RecordEnvelope(decoding: $0, from: topics) }
    if let record {
      guard let expected = record.images.first(where: { $0.name == imageName }) else {
        throw Rejection("the record knows no such image")
      }
      guard expected.sha256 == Hexadecimal.text(of: digest) else {
        throw Rejection("SHA-256 differs from the record's")
      }
    }
    if try folder.read(imageName) == whole {
      arrival.outcome = .duplicate
    } else {
      try folder.write(whole, as: imageName)
    }
    if let record { try complete(folder, record, topics, arrival, &reaction) }
  }

  /// An image of a capture that is complete: the device has not heard the receipt.
  private func takeAgain(
    _ message: IncomingMessage, _ imageName: String, _ part: UplinkTopic.Part?, _ receipt: Receipt,
    _ topics: TopicSchema, _ arrival: inout Arrival, _ reaction: inout Reaction
  ) throws {
    guard let entry = receipt.entries.first(where: { $0.name == imageName }) else {
      throw Rejection("the record knows no such image")
    }
    let outboxID = try outbox(of: entry.captureID, receipt, topics)
    if part == nil, Hexadecimal.text(of: digests.sha256(message.payload)) != entry.sha256 {
      reaction.receipts.append(
        refuse(entry.captureID, imageName, message.payload, .contentDiffers, topics, outboxID))
      arrival.outcome = .conflict
      throw Rejection("another image of this name is stored already")
    }
    arrival.outcome = .duplicate
    // One receipt for a divided image, not one for each of its parts.
    if part == nil || part?.index == part?.count {
      reaction.receipts.append(vouch([entry], to: topics, outboxID: outboxID))
    }
  }

  /// The outbox that a complete capture came from. Receipts of earlier versions do not name it; the record does.
  private func outbox(
    of captureID: RandomIdentifier, _ receipt: Receipt, _ topics: TopicSchema
  ) throws -> RandomIdentifier {
    if let outboxID = receipt.addressee?.outboxID { return outboxID }
    let folder = CaptureFolder(root: root, topics: topics, captureID: captureID)
    guard let record = try folder.read(OutboxItem.recordName) else { throw Rejection("its record is gone") }
    return try RecordEnvelope(decoding: record, from: topics).outboxID
  }

  /// Makes the receipt when everything is there.
  private func complete(
    _ folder: CaptureFolder, _ record: RecordEnvelope, _ topics: TopicSchema, _ arrival: Arrival,
    _ reaction: inout Reaction
  ) throws {
    guard let recordBytes = try folder.read(OutboxItem.recordName),
      try record.images.allSatisfy({ try folder.has($0.name) })
    else { return }
    var entries = [
      Receipt.Entry(
        captureID: record.captureID, name: OutboxItem.recordName,
        sha256: Hexadecimal.text(of: digests.sha256(recordBytes)))
    ]
    for image in record.images {
      guard let bytes = try folder.read(image.name) else { return }
      let digest = Hexadecimal.text(of: digests.sha256(bytes))
      guard digest == image.sha256 else {
        // It came before its record and could not be checked then.
        try folder.remove(image.name)
        reaction.notes.append("\(folder.file(image.name)): SHA-256 differs from the record's; removed, awaited again")
        return
      }
      entries.append(Receipt.Entry(captureID: record.captureID, name: image.name, sha256: digest))
    }
    // First the names of the files, then the receipt that vouches for them, then its own name.
    try Folder.synchronise(folder.path)
    let completed = CompletedCapture(
      site: topics.site.text, device: topics.device.text, captureID: record.captureID, outboxID: record.outboxID,
      sequence: record.sequence, replayed: arrival.replayed, path: folder.path, images: record.images.map(\.name),
      record: recordBytes, entries: entries, imageBytes: record.images.map(\.bytes))
    try register(completed)
    let vouched = vouch(entries, to: topics, outboxID: record.outboxID)
    try folder.write(try vouched.receipt.encoded(), as: CaptureFolder.receiptName)
    try Folder.synchronise(folder.path)
    reaction.receipts.append(vouched)
    reaction.completed = completed
  }

  /// Numbers that one birth may ask about: more than an outbox holds by default.
  private static let answeredNumbers: Int64 = 8192

  /// Receipts of what is here from the number on that a birth says it has none for: they were lost while the device was
  /// away. A status that cannot be read asks for nothing.
  private func answers(toBirth payload: [UInt8], _ topics: TopicSchema) throws -> [AddressedReceipt] {
    guard payload.count <= Receipt.maximumBytes, let status = Self.status(payload), status.state == .online,
      let oldest = status.oldestWithoutReceipt, (0..<Int64.max - Self.answeredNumbers).contains(oldest)
    else { return [] }
    let keys = "\(root)/\(topics.site)/\(topics.device)/by-sequence"
    var receipts: [AddressedReceipt] = []
    for number in oldest..<(oldest + Self.answeredNumbers) {
      let key = "\(keys)/\(status.outboxID)-\(number)"
      guard try BoundedFile.status(key, followingLink: false) != nil,
        let captureID = RandomIdentifier(String(try Folder.target(ofLink: key).dropFirst("../".count))),
        let receipt = try CaptureFolder(root: root, topics: topics, captureID: captureID).receipt()
      else { continue }
      receipts.append(vouch(receipt.entries, to: topics, outboxID: status.outboxID))
    }
    return receipts
  }

  private static func status(_ payload: [UInt8]) -> StatusMessage? {
    do { return try StatusMessage(decoding: payload) } catch { return nil }
  }

  /// Takes the unique key (device, outbox_id, sequence) for this capture; false when another has it.
  private func claim(_ record: RecordEnvelope, _ topics: TopicSchema) throws -> Bool {
    let keys = "\(root)/\(topics.site)/\(topics.device)/by-sequence"
    try Folder.makeAll(keys, mode: 0o755)
    let key = "\(keys)/\(record.outboxID)-\(record.sequence)"
    let target = "../\(record.captureID)"
    if try Folder.link(key, to: target) {
      try Folder.synchronise(keys)
      return true
    }
    return try Folder.target(ofLink: key) == target
  }

  /// The word that this content will never be taken: the device sets it aside instead of sending it for ever.
  private func refuse(
    _ captureID: RandomIdentifier, _ file: String, _ payload: [UInt8], _ reason: Receipt.Refusal.Reason,
    _ topics: TopicSchema, _ outboxID: RandomIdentifier
  ) -> AddressedReceipt {
    let entry = Receipt.Entry(
      captureID: captureID, name: file, sha256: Hexadecimal.text(of: digests.sha256(payload)))
    return AddressedReceipt(
      topic: topics.receipts,
      receipt: Receipt(
        receiver: name, addressee: addressee(topics, outboxID), entries: [], refused: [Receipt.Refusal(entry, reason)]))
  }

  /// - Parameter outboxID: nil for a probe, which lies in no outbox.
  private func vouch(
    _ entries: [Receipt.Entry], to topics: TopicSchema, outboxID: RandomIdentifier?
  ) -> AddressedReceipt {
    AddressedReceipt(
      topic: topics.receipts,
      receipt: Receipt(receiver: name, addressee: addressee(topics, outboxID), entries: entries))
  }

  private func addressee(_ topics: TopicSchema, _ outboxID: RandomIdentifier?) -> Receipt.Addressee {
    Receipt.Addressee(site: topics.site.text, device: topics.device.text, outboxID: outboxID)
  }

  /// The digest that travels beside a message must be that of its whole payload.
  private func checkDigest(of message: IncomingMessage, is digest: [UInt8]) throws {
    guard let announced = message.property(MessageComposer.Name.sha256) else { return }
    guard announced == Hexadecimal.text(of: digest) else { throw Rejection("SHA-256 differs from the announced one") }
  }

  // MARK: Other messages

  private func overwrite(_ file: String, _ message: IncomingMessage, _ topics: TopicSchema) throws {
    let folder = "\(root)/\(topics.site)/\(topics.device)"
    try Folder.makeAll(folder, mode: 0o755)
    try BoundedFile.replace("\(folder)/\(file)", with: message.payload, isDurable: false)
  }

  private func keep(
    _ kind: String, _ message: IncomingMessage, _ topics: TopicSchema, _ arrival: inout Arrival
  ) throws {
    let folder = "\(root)/\(topics.site)/\(topics.device)/messages"
    try Folder.makeAll(folder, mode: 0o755)
    // The sender's number when it came along (MQTT 5), otherwise the content names itself.
    let number = message.property(MessageComposer.Name.id).map { $0.replacing(":", with: "-") }
    let identity =
      number.flatMap { $0.utf8.count <= 100 && $0.utf8.allSatisfy(Self.isNameCharacter) ? $0 : nil }
      ?? Hexadecimal.text(of: digests.sha256(message.payload))
    let path = "\(folder)/\(kind)-\(identity).json"
    if try BoundedFile.exists(path) {
      arrival.outcome = .duplicate
      return
    }
    try BoundedFile.replace(path, with: message.payload, isDurable: false)
    try Folder.synchronise(folder)
  }

  private static func isNameCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
