import Cryptography
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing
import Trust

/// What comes on a stick is judged as what comes over the line, and answered beside it.
@Suite struct StickReceptionTests {
  private let bench: ReceiverBench
  private let stick: ScratchFolder
  private let key: SigningKey

  init() throws {
    bench = try ReceiverBench()
    stick = try ScratchFolder()
    key = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
  }

  private func lay(_ capture: TestCapture, without left: String? = nil) throws {
    let folder = stick.path + "/\(capture.id)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(capture.record).write(to: URL(filePath: folder + "/record.json"))
    for (name, bytes) in capture.images where name != left {
      try Data(bytes).write(to: URL(filePath: folder + "/" + name))
    }
  }

  private func take() throws -> StickReception.Outcome {
    try StickReception(bench.receiver, signer: key).take(stick.path)
  }

  private func read(_ file: String) throws -> Receipt {
    let keys = try TrustedKeys([key.publicKey], digests: OpenSSLDigests())
    return try ReceiptReader(
      .init(keys: keys, requiresSignature: true), topics: bench.topics, outboxID: bench.outboxID,
      verifier: OpenSSLVerifier()
    ).read([UInt8](Data(contentsOf: URL(filePath: stick.path + "/" + file))))
  }

  @Test func wholeCapturesAreTakenAndAnsweredInOneSignedReceipt() throws {
    let captures = (1...3).map { bench.capture($0, images: ["master.png": 900, "view.png": 40]) }
    for capture in captures { try lay(capture) }
    let outcome = try take()
    #expect(Set(outcome.completed.map(\.captureID)) == Set(captures.map(\.id)) && outcome.notes.isEmpty)
    #expect(outcome.receipts == ["receipts/clinic-unit-1-1.json"])
    let expected = captures.flatMap { capture in
      [capture.entry("record.json", capture.record)] + capture.images.map { capture.entry($0.key, $0.value) }
    }
    #expect(Set(try read(outcome.receipts[0]).entries) == Set(expected))
    #expect(try bench.file(captures[0], "view.png") == captures[0].images["view.png"])
    // A lost receipt is made again, and nothing is taken twice.
    let again = try take()
    #expect(again.completed.isEmpty && again.notes.isEmpty)
    #expect(Set(try read(again.receipts[0]).entries) == Set(expected))
  }

  @Test func whatIsNotWholeIsToldAndNotVouchedFor() throws {
    let whole = bench.capture(1, images: ["master.png": 900])
    let partial = bench.capture(2, images: ["master.png": 900, "view.png": 40])
    try lay(whole)
    try lay(partial, without: "view.png")
    // A record under another capture's name, and a folder of sealed files.
    let other = stick.path + "/00000000-0000-4000-8000-000000000001"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    try Data(whole.record).write(to: URL(filePath: other + "/record.json"))
    let sealed = stick.path + "/00000000-0000-4000-8000-000000000002"
    try FileManager.default.createDirectory(atPath: sealed, withIntermediateDirectories: true)
    try Data([0x30]).write(to: URL(filePath: sealed + "/record.json.cms"))
    let outcome = try take()
    #expect(outcome.completed.map(\.captureID) == [whole.id])
    // The list says of each what became of it, in a file for a spreadsheet and in one for a browser.
    #expect(outcome.lists == ["captures.csv", "captures.html"])
    let csv = try String(contentsOfFile: stick.path + "/captures.csv", encoding: .utf8)
    #expect(csv.split(whereSeparator: \.isNewline).count == 5, "\(csv)")
    #expect(csv.contains("\(whole.id),stored") && csv.contains("\(partial.id),not taken"), "\(csv)")
    let html = try String(contentsOfFile: stick.path + "/captures.html", encoding: .utf8)
    #expect(html.contains("4 captures, 1 of them stored.") && html.contains("<td>\(whole.id)</td>"))
    for text in ["view.png is not on the stick", "another capture's", "open the sealed files first"] {
      #expect(outcome.notes.contains { $0.contains(text) }, "\(outcome.notes)")
    }
    #expect(try read(try #require(outcome.receipts.first)).entries.allSatisfy { $0.captureID == whole.id })
  }

  @Test func noLinkOfAHostileStickIsFollowed() throws {
    let capture = bench.capture(1, images: ["master.png": 900])
    try lay(capture)
    let secret = bench.root.path + "/secret"
    try Data("secret".utf8).write(to: URL(filePath: secret))
    let image = stick.path + "/\(capture.id)/master.png"
    try FileManager.default.removeItem(atPath: image)
    try FileManager.default.createSymbolicLink(atPath: image, withDestinationPath: secret)
    let target = bench.root.path + "/elsewhere"
    try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: stick.path + "/receipts", withDestinationPath: target)
    let outcome = try take()
    #expect(outcome.completed.isEmpty && outcome.receipts.isEmpty)
    #expect(outcome.notes.contains { $0.contains("master.png") }, "\(outcome.notes)")
    // A whole capture beside it is answered, but not through the link.
    try lay(bench.capture(2, images: ["master.png": 9]))
    #expect(throws: (any Error).self) { try take() }
    #expect(try FileManager.default.contentsOfDirectory(atPath: target).isEmpty)
  }
}
