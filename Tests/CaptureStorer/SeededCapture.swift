import Forwarding
import Provenance
import Storage

/// A capture that its seed determines, so that two processes know the same one.
struct SeededCapture {
  let messages: [IncomingMessage]
  let captureID: RandomIdentifier

  init(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
    let captureID = RandomIdentifier(using: &generator)
    var outbox = SeededGenerator(seed: 1)
    let outboxID = RandomIdentifier(using: &outbox)
    let images = ["master.png": 1638, "view.png": 43_500].sorted { $0.key < $1.key }.map { name, count in
      (name, (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
    func digest(_ bytes: [UInt8]) -> String { Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)) }
    let list = images.map { #"{"name":"\#($0.0)","bytes":\#($0.1.count),"sha256":"\#(digest($0.1))"}"# }
    let record = Array(
      (#"{"schema":"thermograph.capture.v1","capture_id":"\#(captureID)","outbox_id":"\#(outboxID)","#
        + #""sequence":\#(seed),"site":"clinic","device":"unit-1","images":[\#(list.joined(separator: ","))]}"#).utf8)
    messages =
      [IncomingMessage(topic: topics.up("capture"), payload: record)]
      + images.map {
        IncomingMessage(
          topic: topics.up("image/\(captureID)_\($0.0.map { $0 == "." ? "_" : String($0) }.joined())"), payload: $0.1)
      }
    self.captureID = captureID
  }
}
