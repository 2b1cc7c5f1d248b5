import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// Pictures that a device leaves out: drawn by the receiver, kept only when they are the very bytes that the record promises.
@Suite struct DrawingTests {
  private struct Unable: Error, CustomStringConvertible { let description = "no font" }

  private let bench: ReceiverBench
  private let drawing: [UInt8] = Array("the view".utf8)

  init() throws { bench = try ReceiverBench() }

  private func capture(_ sequence: Int64, promising bytes: [UInt8], name: String = "view.png") -> TestCapture {
    bench.capture(
      sequence, images: ["master.png": 90],
      more: #""renderings":[{"name":"\#(name)","kind":"view","media_type":"image/png","bytes":\#(bytes.count),"#
        + #""sha256":"\#(TestCapture.sha256(bytes))"}],"#)
  }

  private func receiver(_ draw: ReceivedFolder.Drawing?) throws -> Receiver {
    let store = try ReceivedFolder(bench.root.path, name: "archive", digests: OpenSSLDigests(), draw: draw)
    return try Receiver(store: store, name: "archive", digests: OpenSSLDigests(), time: ManualClock())
  }

  private func complete(_ capture: TestCapture, by receiver: Receiver) throws -> Receiver.Reaction {
    _ = try receiver.take(capture.recordMessage())
    return try receiver.take(capture.imageMessage("master.png"))
  }

  private func files(_ capture: TestCapture) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: bench.folder(capture)).sorted()
  }

  @Test func itIsDrawnFromTheMasterAndSaidToBe() throws {
    let capture = capture(1, promising: drawing)
    let reaction = try complete(
      capture,
      by: receiver { record, name, master in
        #expect(record.captureID == capture.id && name == "view.png" && master == capture.images["master.png"])
        return drawing
      })
    #expect(reaction.notes == [] && reaction.completed?.images == ["master.png"])
    #expect(Set(reaction.receipts.flatMap(\.receipt.entries).map(\.name)) == ["record.json", "master.png"])
    #expect(try bench.file(capture, "view.png") == drawing)
    let said = String(decoding: try bench.file(capture, "rendered.json"), as: UTF8.self)
    #expect(
      said == #"{"pictures":[{"from":"master.png","name":"view.png","sha256":"\#(TestCapture.sha256(drawing))"}],"#
        + #""receiver":"archive","schema":"thermograph.rendered.v1"}"#)
  }

  @Test func anotherPictureIsNotKeptAndTheCaptureIsCompleteWithoutIt() throws {
    let capture = capture(1, promising: drawing)
    let reaction = try complete(capture, by: receiver { _, _, _ in Array("The view".utf8) })
    #expect(reaction.completed != nil && reaction.receipts.count == 1)
    #expect(reaction.notes.count == 1 && reaction.notes[0].contains("it is not the record's"), "\(reaction.notes)")
    let unable = self.capture(2, promising: drawing)
    let second = try complete(unable, by: receiver { _, _, _ in throw Unable() })
    #expect(second.completed != nil && second.notes.first?.contains("is not drawn: no font") == true)
    let silent = self.capture(3, promising: drawing)
    #expect(try complete(silent, by: receiver(nil)).notes == [])
    for capture in [capture, unable, silent] {
      #expect(try files(capture) == ["master.png", "receipt.json", "record.json"])
    }
  }

  /// Whoever writes below the device's topics cannot put another picture in its place.
  @Test func aPictureThatCameAllTheSameDoesNotTakeItsPlace() throws {
    let capture = capture(1, promising: drawing)
    let receiver = try receiver { _, _, _ in drawing }
    var forged = capture.imageMessage("master.png")
    forged.topic = forged.topic.replacingOccurrences(of: "master.png", with: "view.png")
    (forged.payload, forged.userProperties) = (Array("another view".utf8), [])
    _ = try receiver.take(forged)
    _ = try complete(capture, by: receiver)
    #expect(try bench.file(capture, "view.png") == drawing)
    #expect(try receiver.take(forged).notes.count == 1)
    #expect(try bench.file(capture, "view.png") == drawing)
  }

  @Test(arguments: ["master.png", "receipt.json", "rendered.json", "../x", ""])
  func aNameThatIsTakenIsRefused(name: String) throws {
    let capture = capture(1, promising: drawing, name: name)
    let reaction = try receiver { _, _, _ in drawing }.take(capture.recordMessage())
    #expect(reaction.notes.count == 1 && reaction.completed == nil, "\(reaction.notes)")
  }
}
