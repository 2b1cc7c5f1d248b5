import CaptureDatabase
import Forwarding
import Foundation
import ImageFiles
import Provenance
import Receiving
import Screening
import Storage
import TestSupport
import Testing
import Thermography

/// Views that are not kept: only what is made again byte for byte may go. That the device's own views are is held by
/// `CaptureImagesTests`, and by `RealDeviceTests` with its program.
@Suite(.enabled(if: hasPostgres, "needs postgresql-15"), .serialized)
struct ViewTests {
  private static let second: Int64 = 1_796_022_347

  /// A capture with a picture and the view of it.
  private func capture(_ sequence: Int64, _ bench: DatabaseBench, spoilt: Bool = false) throws -> SentCapture {
    var generator = SeededGenerator(seed: UInt64(sequence))
    let id = RandomIdentifier(using: &generator)
    let thermogram = Thermogram(
      celsius: (0..<768).map { _ in Float.random(in: 26...38, using: &generator) }, ambientCelsius: 25)
    let taken = Timestamp(
      utcNanoseconds: Self.second * 1_000_000_000 + 123_456_789, bootID: "b", monotonicNanoseconds: 0,
      synchronised: true)
    let master = PNGImage(
      width: 32, height: 24, samples: .grey16(thermogram.centikelvin), calibration: .centikelvin, modified: taken)
    var view = try RenderedImage.view.picture(
      of: thermogram, captureID: id, rightSide: CaptureView.leftOblique.rightSide, capturedAt: taken
    ).encoded()
    // As of a device that draws another view.
    if spoilt { view[view.count - 20] ^= 1 }
    return SentCapture(
      topics: bench.topics, id: id, outboxID: bench.outboxID, sequence: sequence,
      images: ["master.png": try master.encoded(), "view.png": view],
      fields: #""view":"left-oblique","captured_at":{"utc_nanoseconds":\#(taken.utcNanoseconds)},"#)
  }

  private func content(_ capture: SentCapture, _ name: String, _ store: DatabaseStore) throws -> [UInt8]? {
    try store.content(
      site: capture.topics.site.text, device: capture.topics.device.text, captureID: capture.id, name: name)?.bytes
  }

  private func isDrawn(_ capture: SentCapture, _ name: String, _ store: DatabaseStore) throws -> Bool? {
    try store.content(
      site: capture.topics.site.text, device: capture.topics.device.text, captureID: capture.id, name: name)?.isDrawn
  }

  private func dropped(_ bench: DatabaseBench) throws -> Set<String> {
    Set(
      try bench.database.query("SELECT capture_id, name FROM image WHERE sealed IS NULL").map {
        $0.joined(separator: " ")
      })
  }

  @Test func whatIsMadeAgainGoesAndTheRestStays() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let old = try capture(1, bench)
    let recent = try capture(2, bench)
    let withoutMaster = try bench.capture(3, images: ["view.png": 100])
    let drawnOtherwise = try capture(4, bench, spoilt: true)
    let masterIsNone = try bench.capture(5)
    _ = try receiver.take([old, recent, withoutMaster, drawnOtherwise, masterIsNone].flatMap(\.messages))
    let incomplete = try capture(6, bench)
    _ = try receiver.take([incomplete.recordMessage(), incomplete.imageMessage("view.png")])
    _ = try bench.database.query(
      "UPDATE image SET received_at = now() - interval '31 days' WHERE capture_id <> '\(recent.id)'")
    let store = try bench.store()
    #expect(try store.dropViews(olderThanDays: 30) == .init(dropped: 1, stay: 3, isUnfinished: false))
    #expect(try dropped(bench) == ["\(old.id) view.png"])
    // What stays is not looked at again.
    #expect(try store.dropViews(olderThanDays: 30) == .init())
    for capture in [old, recent, drawnOtherwise] {
      for (name, bytes) in capture.images { #expect(try content(capture, name, store) == bytes, "\(name)") }
      #expect(try content(capture, "record.json", store) == capture.record)
    }
    #expect(try content(old, "mask.png", store) == nil)
    #expect(try isDrawn(old, "view.png", store) == true)
    #expect(try isDrawn(old, "master.png", store) == false)
    #expect(try isDrawn(recent, "view.png", store) == false)
    #expect(try isDrawn(recent, "record.json", store) == false)
    // Sent again it is recognised, and does not come back.
    #expect(try receiver.take(old.messages).entries == old.entries)
    #expect(try dropped(bench) == ["\(old.id) view.png"])
  }

  /// Bytes that differ from the promised ones are not given as if they were the view.
  @Test func anotherViewIsNeverGiven() throws {
    let bench = try DatabaseBench()
    let old = try capture(1, bench)
    _ = try bench.receiver().take(old.messages)
    let store = try bench.store()
    #expect(try store.dropViews(olderThanDays: 0).dropped == 1)
    _ = try bench.database.query("UPDATE capture SET captured_at = captured_at + interval '1 second'")
    let error = #expect(throws: DatabaseError.self) { try content(old, "view.png", store) }
    #expect(error?.description.contains("this version makes another one of its master") == true)
    _ = try bench.database.query("UPDATE capture SET captured_at = captured_at - interval '1 second'")
    #expect(try content(old, "view.png", store) == old.images["view.png"])
  }

  /// A device on a thin line leaves view, mask and standard error to the receiver: the record promises them.
  @Test func picturesThatWereNeverSentAreDrawn() throws {
    let bench = try DatabaseBench()
    let whole = try capture(1, bench)
    let view = try #require(whole.images["view.png"])
    // Made here with another encoder's words: each tenth pixel was not measured.
    let pixels = (0..<768).map { $0 % 10 == 0 }
    let taken = Timestamp(
      utcNanoseconds: Self.second * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: false)
    let master = try GreyPicture(
      file: whole.images["master.png"] ?? [], maximumPixels: 768, maximumTextBytes: 1 << 20)
    let told = try PNGImage(
      width: 32, height: 24, samples: .grey16(master.samples), calibration: .centikelvin, modified: taken,
      compressedTexts: [(MasterPixels.errorsKeyword, pixels.map { $0 ? "-" : "70" }.joined(separator: " "))]
    ).encoded()
    let mask = try PNGImage(
      width: 32, height: 24, samples: .grey8(pixels.map { $0 ? 255 : 0 }), modified: taken
    ).encoded()
    func lean(_ promised: [(name: String, bytes: [UInt8])], _ sequence: Int64) throws -> SentCapture {
      let renderings = promised.map {
        #"{"name":"\#($0.name)","bytes":\#($0.bytes.count),"sha256":"\#(sha256Text($0.bytes))"}"#
      }
      return SentCapture(
        topics: bench.topics, id: whole.id, outboxID: bench.outboxID, sequence: sequence, images: ["master.png": told],
        fields: #""view":"left-oblique","captured_at":{"utc_nanoseconds":\#(Self.second)000000000},"#
          + #""renderings":[\#(renderings.joined(separator: ","))],"#)
    }
    let capture = try lean([("view.png", view), ("mask.png", mask)], 1)
    #expect(try bench.receiver().take(capture.messages).completed == 1)
    for (name, bytes) in [("view.png", view), ("mask.png", mask)] {
      #expect(try content(capture, name, bench.store()) == bytes, "\(name)")
      #expect(try isDrawn(capture, name, bench.store()) == true, "\(name)")
    }
    // What the record does not promise is not there, though it could be made.
    #expect(try content(capture, "standard-error.png", bench.store()) == nil)
    // Another picture than the promised one is none.
    let other = try DatabaseBench()
    let liar = try lean([("view.png", [1]), ("mask.png", view)], 1)
    #expect(try other.receiver().take(liar.messages).completed == 1)
    for name in ["view.png", "mask.png"] {
      #expect(throws: DatabaseError.self) { try content(liar, name, other.store()) }
    }
  }

  /// Many old views go a few at a time, so that storing goes on in between.
  @Test func aFewAtATime() throws {
    let bench = try DatabaseBench()
    let captures = try (1...20).map { try capture($0, bench) }
    _ = try bench.receiver().take(captures.flatMap(\.messages))
    let store = try bench.store()
    #expect(try store.dropViews(olderThanDays: 0) == .init(dropped: 16, stay: 0, isUnfinished: true))
    #expect(try store.dropViews(olderThanDays: 0) == .init(dropped: 4, stay: 0, isUnfinished: false))
    for capture in captures { #expect(try content(capture, "view.png", store) == capture.images["view.png"]) }
  }

  /// Real captures of a device of an earlier version, which drew its views from temperatures that no file keeps.
  @Test func viewsOfAnEarlierDeviceStay() throws {
    let bench = try DatabaseBench()
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Gateway/tests/fixtures/received/clinic-a/unit-1")
    let topics = TopicSchema(site: try TopicIdentifier("clinic-a"), device: try TopicIdentifier("unit-1"))
    let ids = ["188c802f-9ca1-42ac-af5b-3c393e0929eb", "5b0cac6a-d3a8-4b39-83fe-1c1f68b31c13"]
    var views: [String: [UInt8]] = [:]
    for id in ids {
      var messages = [
        IncomingMessage(
          topic: topics.up("capture"), payload: Array(try Data(contentsOf: folder.appending(path: "\(id)/record.json")))
        )
      ]
      for name in ["master", "view", "mask", "standard-error"] {
        let bytes = Array(try Data(contentsOf: folder.appending(path: "\(id)/\(name).png")))
        if name == "view" { views[id] = bytes }
        messages.append(IncomingMessage(topic: topics.up("image/\(id)_\(name)_png"), payload: bytes))
      }
      #expect(try bench.receiver().take(messages).completed == 1)
    }
    let store = try bench.store()
    #expect(try store.dropViews(olderThanDays: 0) == .init(dropped: 0, stay: 2, isUnfinished: false))
    for id in ids {
      let captureID = try #require(RandomIdentifier(id))
      let content = try store.content(site: "clinic-a", device: "unit-1", captureID: captureID, name: "view.png")
      #expect(content?.bytes == views[id])
      #expect(content?.isDrawn == false)
    }
  }
}
