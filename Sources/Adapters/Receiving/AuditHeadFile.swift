import Audit
import Forwarding
import LocalFiles
import Provenance
import Trust

/// `audit-heads.json` in a device's folder: what is known of its audit logs (`AuditWitness`).
struct AuditHeadFile {
  static let name = "audit-heads.json"
  private static let lockName = ".audit-heads.lock"
  private static let schema: ExactText = "thermograph.audit-heads.v1"
  /// Another receiver on the same folder is never longer at it.
  private static let lockWaitMilliseconds = 5000
  private static let maximumBytes = 4 << 20
  private static let limits = JSONLimits(bytes: maximumBytes, depth: 8, values: 64 * 1024)

  /// The device's folder.
  let folder: String

  private var path: String { folder + "/" + Self.name }

  /// Takes a sighting; on the disk when this returns.
  ///
  /// - Returns: an alarm that was not told yet, with what the sighting contradicts.
  func see(_ sighting: AuditSighting) throws -> (AuditAlarm, AuditSighting)? {
    try Folder.makeAll(folder, mode: 0o755)
    let lock = try FileLock(folder + "/" + Self.lockName, waitMilliseconds: Self.lockWaitMilliseconds)
    defer { lock.release() }
    var witness = try read()
    let (isNew, alarm) = witness.see(sighting)
    if isNew { try BoundedFile.replace(path, with: encoded(witness)) }
    return alarm
  }

  /// What may be cosigned of this outbox.
  func cosignable(outbox: RandomIdentifier) throws -> AuditHead? { try read().cosignable(outbox: outbox) }

  private func read() throws -> AuditWitness {
    guard let bytes = try BoundedFile.readIfThere(path, maximumBytes: Self.maximumBytes) else { return AuditWitness() }
    do {
      guard case .object(let object) = try JSONValue(reading: bytes, within: Self.limits),
        try object.text("schema") == Self.schema
      else { throw ShapeFault("'schema' is another one") }
      return AuditWitness(
        logs: try object.objects("logs", maximum: AuditWitness.maximumOutboxes).map(Self.log))
    } catch {
      throw FileError(
        path: path, reason: "is not readable; move it away and keep it, it says what logs were seen: \(error)")
    }
  }

  private static func log(_ object: JSONObject) throws -> AuditWitness.Log {
    guard let outbox = RandomIdentifier(try object.text("outbox_id").string) else { throw ShapeFault("'outbox_id'") }
    var log = AuditWitness.Log(outboxID: outbox)
    log.sightings = try object.objects("heads", maximum: AuditWitness.maximumSightings).map { head in
      AuditSighting(
        outboxID: outbox, sequence: try head.integer("sequence", in: 1...Int64.max), head: try AuditHead(reading: head))
    }
    for code in try object.texts("alarms", maximum: AuditAlarm.allCases.count) {
      guard let alarm = AuditAlarm(rawValue: code.string) else { throw ShapeFault("'alarms'") }
      log.alarms.insert(alarm)
    }
    return log
  }

  private func encoded(_ witness: AuditWitness) -> [UInt8] {
    let logs = witness.logs.map { log -> JSONValue in
      .object([
        "outbox_id": .string(ExactText(log.outboxID.description)),
        "alarms": .array(log.alarms.map { .string(ExactText($0.rawValue)) }),
        "heads": .array(
          log.sightings.map { sighting in
            .object(
              JSONObject([JSONObject.Member("sequence", .integer(sighting.sequence))] + sighting.head.object.members))
          }),
      ])
    }
    return JSONValue.object(["schema": .string(Self.schema), "logs": .array(logs)]).encoded()
  }
}

extension ReceivedFolder {
  func deviceFolder(_ topics: TopicSchema) -> String { "\(root)/\(topics.site)/\(topics.device)" }

  /// Holds a record's word on the audit log against what is known. An alarm is one message of the device's folder, as
  /// if the device had sent it, and a note for whoever watches.
  func watch(_ record: RecordEnvelope, _ topics: TopicSchema, at now: Timestamp, _ outcome: inout StoreOutcome) throws {
    guard let sighting = record.sighting else { return }
    let file = AuditHeadFile(folder: deviceFolder(topics))
    guard let (alarm, known) = try file.see(sighting) else { return }
    let sentence = alarm.sentence(known, sighting)
    let message = AlertMessage(code: alarm.rawValue, severity: .critical, detail: sentence, at: now)
    let folder = "\(deviceFolder(topics))/messages"
    try Folder.makeAll(folder, mode: 0o755)
    try BoundedFile.replace("\(folder)/alert-\(alarm.rawValue)-\(sighting.outboxID).json", with: try message.encoded())
    outcome.notes.append("\(topics.site)/\(topics.device): \(alarm.rawValue): \(sentence)")
  }

  /// The head that goes into a receipt for this outbox.
  func cosignature(_ outboxID: RandomIdentifier, _ topics: TopicSchema) throws -> AuditHead? {
    try AuditHeadFile(folder: deviceFolder(topics)).cosignable(outbox: outboxID)
  }
}
