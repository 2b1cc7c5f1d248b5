import CSQLite
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// The folder's lists follow the corrections of devices; the records stay as they came.
@Suite struct CorrectionFollowingTests {
  private let bench: ReceiverBench
  private let path: String
  private let session: RandomIdentifier
  private let other: RandomIdentifier

  init() throws {
    bench = try ReceiverBench()
    path = bench.root.appending(path: "captures.sqlite").path
    var generator = SystemRandomNumberGenerator()
    session = RandomIdentifier(using: &generator)
    other = RandomIdentifier(using: &generator)
  }

  private func store(_ index: CaptureIndex) throws -> ReceivedFolder {
    try ReceivedFolder(bench.root.path, name: "archive", digests: OpenSSLDigests()) { capture in
      try index.add(
        CaptureIndex.Entry(
          site: capture.site, device: capture.device, captureID: capture.captureID, outboxID: capture.outboxID,
          sequence: capture.sequence, record: capture.record, images: [], folder: "f", receivedAt: ManualClock().now()))
    } registerCorrection: {
      try index.add($2, site: $0, device: $1)
    }
  }

  private func receiver(_ index: CaptureIndex) throws -> Receiver {
    try Receiver(store: store(index), name: "archive", digests: OpenSSLDigests(), time: ManualClock())
  }

  private func capture(_ sequence: Int64, _ session: RandomIdentifier, _ patient: String) -> TestCapture {
    bench.capture(
      sequence, images: ["master.png": 90],
      more: #""session_id":"\#(session)","patient_ref":"\#(patient)","view":"frontal","#
        + #""captured_at":{"utc":"2026-03-01T09:30:0\#(sequence)Z"},"#)
  }

  private func correction(
    _ kind: String, _ subject: String, to target: String? = nil, number: Int, id: RandomIdentifier? = nil
  ) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    var members = [
      #""schema":"thermograph.correction.v1""#, #""correction_id":"\#(id ?? RandomIdentifier(using: &generator))""#,
      #""outbox_id":"\#(bench.outboxID)""#, #""number":\#(number)"#, #""kind":"\#(kind)""#, #""subject":"\#(subject)""#,
      #""reason":"wrong tag""#, #""at":"2026-03-01T10:00:00Z""#,
    ]
    if let target { members.append(#""target":"\#(target)""#) }
    if kind == "reassign" || kind == "withdraw" { members.append(#""recorded_ref":"anna""#) }
    return Array("{\(members.joined(separator: ","))}".utf8)
  }

  private func event(_ payload: [UInt8], number: Int) -> IncomingMessage {
    IncomingMessage(
      topic: bench.topics.up("event"), payload: payload,
      userProperties: [UserProperty("id", "\(bench.outboxID):\(number)")])
  }

  /// `patient withdrawn` of each capture, in their order.
  private func standing() throws -> [String] {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK)
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    let sql = "SELECT patient_ref || ' ' || withdrawn FROM capture JOIN standing USING (capture_id) ORDER BY sequence"
    try #require(sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK)
    var rows: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW { rows.append(String(cString: sqlite3_column_text(statement, 0))) }
    return rows
  }

  private func take(_ capture: TestCapture, by receiver: Receiver) throws {
    _ = try receiver.take(capture.recordMessage())
    #expect(try receiver.take(capture.imageMessage("master.png")).completed != nil)
  }

  @Test func theIndexFollowsBeforeAndAfterTheCapturesCame() throws {
    let index = try CaptureIndex(path: path)
    let receiver = try receiver(index)
    let first = capture(1, session, "anna")
    try take(first, by: receiver)
    try take(capture(2, other, "anna"), by: receiver)
    #expect(try standing() == ["anna 0", "anna 0"])
    let reassigned = event(correction("reassign", "\(session)", to: "berta", number: 7), number: 7)
    for _ in 0..<2 { #expect(try receiver.take(reassigned).notes == []) }
    #expect(try standing() == ["berta 0", "anna 0"])
    // Before its captures, and out of order: the earlier one comes late and overrules nothing.
    _ = try receiver.take(event(correction("reassign", "\(other)", to: "dora", number: 12), number: 12))
    _ = try receiver.take(event(correction("reassign", "\(other)", to: "clara", number: 11), number: 11))
    try take(capture(3, other, "anna"), by: receiver)
    #expect(try standing() == ["berta 0", "dora 0", "dora 0"])
    _ = try receiver.take(event(correction("merge", "berta", to: "emma", number: 20), number: 20))
    _ = try receiver.take(event(correction("withdraw", "\(other)", number: 21), number: 21))
    #expect(try standing() == ["emma 0", "dora 1", "dora 1"])
    // No device has a say in another's sessions; whom it takes for one person is heard at the whole site.
    for (payload, number) in [
      (correction("withdraw", "\(session)", number: 1), 1), (correction("merge", "dora", to: "flora", number: 2), 2),
    ] {
      var foreign = event(payload, number: 100 + number)
      foreign.topic = foreign.topic.replacingOccurrences(of: "unit-1", with: "unit-2")
      _ = try receiver.take(foreign)
    }
    #expect(try standing() == ["emma 0", "flora 1", "flora 1"])
    #expect(try bench.file(first, "record.json") == first.record, "the original stays byte for byte")
    // A lost index is made again, corrections included.
    try FileManager.default.removeItem(atPath: path)
    for suffix in ["-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
      try FileManager.default.removeItem(atPath: path + suffix)
    }
    let again = try CaptureIndex(path: path)
    #expect(again.needsFilling)
    #expect(try store(again).registerAll() == 3)
    #expect(try standing() == ["emma 0", "flora 1", "flora 1"])
  }

  @Test func anIndexOfAnEarlierVersionIsFilledAgain() throws {
    let index = try CaptureIndex(path: path)
    try take(capture(1, session, "anna"), by: try receiver(index))
    try index.noteFilled()
    #expect(try !CaptureIndex(path: path).needsFilling)
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    let older = "PRAGMA user_version = 1; DROP TABLE standing; DROP TABLE correction;"
    try #require(sqlite3_exec(handle, older, nil, nil, nil) == SQLITE_OK)
    let opened = try CaptureIndex(path: path)
    #expect(opened.needsFilling)
    #expect(try store(opened).registerAll() == 1)
    #expect(try standing() == ["anna 0"])
  }

  @Test func whatIsNoCorrectionIsStoredAndSaid() throws {
    let index = try CaptureIndex(path: path)
    let receiver = try receiver(index)
    try take(capture(1, session, "anna"), by: receiver)
    let text = String(decoding: correction("reassign", "\(session)", to: "berta", number: 7), as: UTF8.self)
    for (number, broken) in ["\"Berta\"", "\"../x\""].enumerated() {
      let payload = Array(text.replacingOccurrences(of: "\"berta\"", with: broken).utf8)
      let notes = try receiver.take(event(payload, number: number)).notes
      #expect(notes.count == 1 && notes[0].contains("a correction is stored and not followed"), "\(notes)")
    }
    // Other events are nobody's correction.
    #expect(try receiver.take(event(Array(#"{"schema":"thermograph.gap.v1"}"#.utf8), number: 8)).notes == [])
    #expect(try receiver.take(event(Array("no JSON".utf8), number: 9)).notes == [])
    #expect(try standing() == ["anna 0"])
  }

  /// Two devices' messages on one stick, each attributed to its own; the list is by what holds.
  @Test func aSticksMessagesAreTakenAndItsListFollows() throws {
    let index = try CaptureIndex(path: path)
    let receiver = try receiver(index)
    let stick = try ScratchFolder()
    let one = capture(1, session, "anna")
    let two = capture(2, other, "anna")
    let manager = FileManager.default
    for capture in [one, two] {
      try manager.createDirectory(atPath: stick.path + "/\(capture.id)", withIntermediateDirectories: true)
      try Data(capture.record).write(to: URL(filePath: stick.path + "/\(capture.id)/record.json"))
      try Data(capture.images["master.png"] ?? []).write(to: URL(filePath: stick.path + "/\(capture.id)/master.png"))
    }
    try manager.createDirectory(atPath: stick.path + "/messages", withIntermediateDirectories: true)
    var generator = SystemRandomNumberGenerator()
    let foreign = RandomIdentifier(using: &generator)
    let nobody = RandomIdentifier(using: &generator)
    func lay(_ outboxID: RandomIdentifier, _ number: Int, _ payload: [UInt8]) throws {
      try Data(payload).write(to: URL(filePath: stick.path + "/messages/\(outboxID)-\(number)-event.json"))
    }
    try lay(bench.outboxID, 7, correction("reassign", "\(session)", to: "berta", number: 7))
    try lay(bench.outboxID, 8, correction("withdraw", "\(other)", number: 8))
    try lay(foreign, 7, Array(#"{"schema":"thermograph.gap.v1"}"#.utf8))
    try lay(nobody, 7, correction("withdraw", "\(session)", number: 7))
    for (outboxID, device) in [(bench.outboxID, "unit-1"), (foreign, "unit-2")] {
      try Data(ExportOrigin(site: "clinic", device: device, outboxID: outboxID).encoded())
        .write(to: URL(filePath: stick.path + "/" + ExportOrigin.fileName(outboxID)))
    }
    let reception = StickReception(receiver, signer: nil, corrections: { try index.corrections(site: $0, device: $1) })
    for round in 0..<2 {
      let outcome = try reception.take(stick.path)
      #expect(outcome.completed.count == (round == 0 ? 2 : 0))
      #expect(outcome.notes.count == 1 && outcome.notes[0].contains("there is no device-\(nobody).json"))
    }
    #expect(try standing() == ["berta 0", "anna 1"])
    let csv = try String(contentsOfFile: stick.path + "/captures.csv", encoding: .utf8)
    #expect(csv.contains("unit-1,berta,started under the tag of anna,frontal,\(one.id),stored"), "\(csv)")
    #expect(csv.contains("unit-1,anna,withdrawn,frontal,\(two.id),stored"), "\(csv)")
    #expect(try manager.contentsOfDirectory(atPath: bench.root.path + "/clinic/unit-2/messages").count == 1)
    #expect(try manager.contentsOfDirectory(atPath: bench.root.path + "/clinic/unit-1/messages").count == 2)
  }
}
