import Forwarding
import LocalFiles
import Provenance

/// A folder as the receiver's store.
///
/// All its knowledge lies in the folder, so a receiver may be killed at any time, started again, and several may work on
/// one folder:
///
/// ```
/// arrivals.jsonl                                   everything that arrived, in order, duplicates included
/// captures.sqlite                                  index of what is complete (`register`), made again when missing
/// {site}/{device}/{capture_id}/record.json         the record
/// {site}/{device}/{capture_id}/master.png ...      its images, checked against the record's SHA-256
/// {site}/{device}/{capture_id}/rendered.json       says which pictures were not sent and were drawn here
/// {site}/{device}/{capture_id}/receipt.json        there when everything is there and on the disk
/// {site}/{device}/by-sequence/{outbox_id}-{n}      link to the capture; the unique key (device, outbox_id, sequence)
/// {site}/{device}/messages/alert-....json          alerts, events, replies, once each
/// {site}/{device}/status.json, health.json         the newest
/// {site}/{device}/audit-heads.json                 where the device's audit log stood, by its records
/// ```
package final class ReceivedFolder: CaptureStore {
  let root: String
  let name: String
  let digests: any MessageDigests
  private let time: (any TimeSource)?
  private let log: ArrivalLog
  private let register: (Receiver.CompletedCapture) throws -> Void
  /// Draws a picture that a device left out, from the capture's master.
  package typealias Drawing = (_ record: RecordEnvelope, _ name: String, _ master: [UInt8]) throws -> [UInt8]

  let draw: Drawing?
  let registerCorrection: (_ site: String, _ device: String, CorrectionMessage) throws -> String?

  /// - Parameters:
  ///   - folder: made when missing.
  ///   - name: the receiver's name in the receipts that lie beside the captures.
  ///   - time: nil: receipts say nothing of the receiver's time.
  ///   - register: enters a complete capture in an index, on the disk when it returns, before the receipt is made. It
  ///     may be called again for the same capture. When it throws there is no receipt and the device sends again.
  ///   - registerCorrection: the same for a correction; answers why it is not followed, or nil.
  ///   - draw: nil leaves pictures that were not sent to whoever reads the folder.
  package init(
    _ folder: String, name: String, digests: any MessageDigests, time: (any TimeSource)? = nil,
    register: @escaping (Receiver.CompletedCapture) throws -> Void = { _ in },
    registerCorrection: @escaping (_ site: String, _ device: String, CorrectionMessage) throws -> String? = { _, _, _ in
      nil
    }, draw: Drawing? = nil
  ) throws(ReceiverError) {
    self.draw = draw
    self.time = time
    self.registerCorrection = registerCorrection
    root = folder
    self.name = name
    self.digests = digests
    self.register = register
    log = try onDisk { () throws(FileError) in
      try Folder.makeAll(folder, mode: 0o755)
      let log = try ArrivalLog(path: "\(folder)/arrivals.jsonl")
      try Folder.synchronise(folder)
      return log
    }
  }

  package func keep(_ deliveries: [Delivery]) throws(ReceiverError) -> [StoreOutcome] {
    var outcomes: [StoreOutcome] = []
    for delivery in deliveries { outcomes.append(try keep(delivery)) }
    return outcomes
  }

  private func keep(_ delivery: Delivery) throws(ReceiverError) -> StoreOutcome {
    let message = delivery.message
    var arrival = Arrival(of: message, at: delivery.arrivedAt)
    var outcome = StoreOutcome()
    do {
      guard let topics = delivery.topics else { throw Rejection("no topic of a device's uplink") }
      switch delivery.content {
      case .record(let record):
        try watch(record, topics, at: delivery.arrivedAt, &outcome)
        try takeRecord(delivery, record, topics, &arrival, &outcome)
      case .image(let captureID, let name, let part):
        arrival.captureID = "\(captureID)"
        arrival.name = name
        try takeImage(delivery, topics, captureID, name, part, &arrival, &outcome)
      case .latest(let kind):
        try overwrite("\(kind.rawValue).json", message, topics)
        if kind == .status { outcome.vouched += try answers(toBirth: message.payload, topics) }
      case .message(let kind):
        try keep(kind, delivery, topics, &arrival)
        if kind == .event { try follow(delivery.message.payload, topics, &outcome) }
      case .rejected(let rejection): throw rejection
      }
      for index in outcome.vouched.indices {
        outcome.vouched[index].cosignature = try cosignature(outcome.vouched[index].outboxID, topics)
      }
    } catch let rejection as Rejection {
      if arrival.outcome == .stored { arrival.outcome = .rejected }
      arrival.reason = rejection.description
      outcome.isKept = false
      outcome.notes.append("\(message.topic): not stored: \(rejection)")
    } catch let error as FileError {
      throw ReceiverError(error)
    } catch {
      throw ReceiverError("store", message.topic, reason: "\(error)")
    }
    try onDisk { () throws(FileError) in
      try log.append(arrival)
      if !outcome.vouched.isEmpty || !outcome.refused.isEmpty { try log.synchronise() }
    }
    return outcome
  }

  // MARK: Captures

  /// Registers again every capture of the folder for which there is a receipt, and every correction: for an index that was
  /// lost or is new. Returns how many captures.
  package func registerAll() throws(ReceiverError) -> Int {
    var count = 0
    do {
      for site in try Self.folders(in: root) {
        for device in try Self.folders(in: "\(root)/\(site)") {
          let topics = TopicSchema(site: try TopicIdentifier(site), device: try TopicIdentifier(device))
          try registerCorrections(site, device)
          for name in try Self.folders(in: "\(root)/\(site)/\(device)") {
            guard let captureID = RandomIdentifier(name) else { continue }
            let folder = CaptureFolder(root: root, topics: topics, captureID: captureID)
            guard let receipt = try folder.receipt(), let bytes = try folder.read(OutboxItem.recordName) else {
              continue
            }
            let record = try RecordEnvelope(decoding: bytes, from: topics)
            try register(
              Receiver.CompletedCapture(
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
    _ delivery: Delivery, _ record: RecordEnvelope, _ topics: TopicSchema, _ arrival: inout Arrival,
    _ outcome: inout StoreOutcome
  ) throws {
    let payload = delivery.message.payload
    arrival.captureID = "\(record.captureID)"
    arrival.name = OutboxItem.recordName
    arrival.outboxID = "\(record.outboxID)"
    arrival.sequence = record.sequence
    let folder = CaptureFolder(root: root, topics: topics, captureID: record.captureID)
    if let stored = try folder.read(OutboxItem.recordName) {
      guard stored == payload else {
        outcome.refused.append(
          refusal(record.captureID, OutboxItem.recordName, delivery, .contentDiffers, record.outboxID))
        arrival.outcome = .conflict
        throw Rejection("another record of this capture is stored already")
      }
      arrival.outcome = .duplicate
      if let receipt = try folder.receipt() {
        outcome.vouched.append(StoreOutcome.Vouched(outboxID: record.outboxID, entries: receipt.entries))
        return
      }
    } else {
      try folder.make()
      guard try claim(record, topics) else {
        outcome.refused.append(
          refusal(record.captureID, OutboxItem.recordName, delivery, .numberTaken, record.outboxID))
        arrival.outcome = .conflict
        throw Rejection("number \(record.sequence) of this outbox belongs to another capture")
      }
      try folder.write(payload, as: OutboxItem.recordName)
    }
    try complete(folder, record, topics, arrival, delivery.arrivedAt, &outcome)
  }

  private func takeImage(
    _ delivery: Delivery, _ topics: TopicSchema, _ captureID: RandomIdentifier, _ imageName: String,
    _ part: UplinkTopic.Part?, _ arrival: inout Arrival, _ outcome: inout StoreOutcome
  ) throws {
    let message = delivery.message
    let folder = CaptureFolder(root: root, topics: topics, captureID: captureID)
    if let receipt = try folder.receipt() {
      return try takeAgain(delivery, imageName, part, receipt, folder, topics, &arrival, &outcome)
    }
    try folder.make()
    var whole = message.payload
    var digest = delivery.sha256
    if let part {
      guard let assembled = try folder.keep(message.payload, part: part, of: imageName) else {
        arrival.outcome = .part
        return
      }
      whole = assembled
      digest = digests.sha256(whole)
      try folder.removeParts(of: imageName, count: part.count)
      try Receiver.checkDigest(of: message, is: digest)
    }
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
    if let record { try complete(folder, record, topics, arrival, delivery.arrivedAt, &outcome) }
  }

  /// An image of a capture that is complete: the device has not heard the receipt.
  private func takeAgain(
    _ delivery: Delivery, _ imageName: String, _ part: UplinkTopic.Part?, _ receipt: Receipt,
    _ folder: CaptureFolder, _ topics: TopicSchema, _ arrival: inout Arrival, _ outcome: inout StoreOutcome
  ) throws {
    guard let entry = receipt.entries.first(where: { $0.name == imageName }) else {
      throw Rejection("the record knows no such image")
    }
    let outboxID = try outbox(of: receipt, folder, topics)
    if part == nil, Hexadecimal.text(of: delivery.sha256) != entry.sha256 {
      outcome.refused.append(refusal(entry.captureID, imageName, delivery, .contentDiffers, outboxID))
      arrival.outcome = .conflict
      throw Rejection("another image of this name is stored already")
    }
    arrival.outcome = .duplicate
    // One receipt for a divided image, not one for each of its parts.
    if part == nil || part?.index == part?.count {
      outcome.vouched.append(StoreOutcome.Vouched(outboxID: outboxID, entries: [entry]))
    }
  }

  /// The outbox that a complete capture came from. Receipts of earlier versions do not name it; the record does.
  private func outbox(
    of receipt: Receipt, _ folder: CaptureFolder, _ topics: TopicSchema
  ) throws -> RandomIdentifier {
    if let outboxID = receipt.addressee?.outboxID { return outboxID }
    guard let record = try folder.read(OutboxItem.recordName) else { throw Rejection("its record is gone") }
    return try RecordEnvelope(decoding: record, from: topics).outboxID
  }

  /// Makes the receipt when everything is there.
  private func complete(
    _ folder: CaptureFolder, _ record: RecordEnvelope, _ topics: TopicSchema, _ arrival: Arrival,
    _ arrivedAt: Timestamp, _ outcome: inout StoreOutcome
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
        outcome.notes.append("\(folder.file(image.name)): SHA-256 differs from the record's; removed, awaited again")
        return
      }
      entries.append(Receipt.Entry(captureID: record.captureID, name: image.name, sha256: digest))
    }
    try drawWhatWasNotSent(folder, record, &outcome)
    // First the names of the files, then the receipt that vouches for them, then its own name.
    try Folder.synchronise(folder.path)
    let completed = Receiver.CompletedCapture(
      site: topics.site.text, device: topics.device.text, captureID: record.captureID, outboxID: record.outboxID,
      sequence: record.sequence, replayed: arrival.replayed, path: folder.path, images: record.images.map(\.name),
      record: recordBytes, entries: entries, imageBytes: record.images.map(\.bytes))
    try register(completed)
    // The wall clock is read once and the rest is the monotonic clock's: a step between the two is no time that passed.
    if let stored = time?.now(), stored.bootID == arrivedAt.bootID,
      stored.monotonicNanoseconds >= arrivedAt.monotonicNanoseconds
    {
      var later = arrivedAt
      later.utcNanoseconds += Int64(clamping: stored.monotonicNanoseconds - arrivedAt.monotonicNanoseconds)
      (entries[0].receivedAt, entries[0].storedAt) = (arrivedAt.rfc3339, later.rfc3339)
    }
    let receipt = Receipt(
      receiver: name, addressee: Receipt.Addressee(topics, outboxID: record.outboxID), entries: entries)
    try folder.write(try receipt.encoded(), as: CaptureFolder.receiptName)
    try Folder.synchronise(folder.path)
    outcome.vouched.append(StoreOutcome.Vouched(outboxID: record.outboxID, entries: entries))
    outcome.completed = completed
  }

  /// Numbers that one birth may ask about: more than an outbox holds by default.
  private static let answeredNumbers = StatusMessage.answeredNumbers

  /// Receipts of what is here from the number on that a birth says it has none for: they were lost while the device was
  /// away. A status that cannot be read asks for nothing.
  private func answers(toBirth payload: [UInt8], _ topics: TopicSchema) throws -> [StoreOutcome.Vouched] {
    guard let status = StatusMessage(reading: payload), let oldest = status.askedNumber else { return [] }
    let keys = "\(root)/\(topics.site)/\(topics.device)/by-sequence"
    var vouched: [StoreOutcome.Vouched] = []
    for number in oldest..<(oldest + Self.answeredNumbers) {
      let key = "\(keys)/\(status.outboxID)-\(number)"
      guard try BoundedFile.status(key, followingLink: false) != nil,
        let captureID = RandomIdentifier(String(try Folder.target(ofLink: key).dropFirst("../".count))),
        let receipt = try CaptureFolder(root: root, topics: topics, captureID: captureID).receipt()
      else { continue }
      vouched.append(StoreOutcome.Vouched(outboxID: status.outboxID, entries: receipt.entries))
    }
    return vouched
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
  private func refusal(
    _ captureID: RandomIdentifier, _ file: String, _ delivery: Delivery, _ reason: Receipt.Refusal.Reason,
    _ outboxID: RandomIdentifier
  ) -> StoreOutcome.Refused {
    let entry = Receipt.Entry(captureID: captureID, name: file, sha256: Hexadecimal.text(of: delivery.sha256))
    return StoreOutcome.Refused(outboxID: outboxID, refusal: Receipt.Refusal(entry, reason))
  }

  // MARK: Other messages

  private func overwrite(_ file: String, _ message: IncomingMessage, _ topics: TopicSchema) throws {
    let folder = "\(root)/\(topics.site)/\(topics.device)"
    try Folder.makeAll(folder, mode: 0o755)
    try BoundedFile.replace("\(folder)/\(file)", with: message.payload, isDurable: false)
  }

  private func keep(
    _ kind: Delivery.MessageKind, _ delivery: Delivery, _ topics: TopicSchema, _ arrival: inout Arrival
  ) throws {
    let folder = "\(root)/\(topics.site)/\(topics.device)/messages"
    try Folder.makeAll(folder, mode: 0o755)
    let path = "\(folder)/\(kind.rawValue)-\(delivery.identity).json"
    if try BoundedFile.exists(path) {
      arrival.outcome = .duplicate
      return
    }
    try BoundedFile.replace(path, with: delivery.message.payload, isDurable: false)
    try Folder.synchronise(folder)
  }
}
