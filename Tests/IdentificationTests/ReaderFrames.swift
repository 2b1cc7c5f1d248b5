import Foundation
import Provenance

/// The published frames of `Fixtures/frames.json`; each names its source there.
struct ReaderFrames: Decodable {
  struct EM4100: Decodable {
    struct Frame: Decodable {
      var layout: String
      var raw_hex: String
      var tag40_hex: String
      var decimal10: String
      var wiegand26: String
      var valid: Bool
      var source: String
    }
    struct Stream: Decodable {
      var name: String
      var chunks_hex: [String]
      var expect: [String]
    }
    struct Malformed: Decodable {
      var raw_hex: String
    }
    var frames: [Frame]
    var phantoms: [Frame]
    var malformed: [Malformed]
    var streams: [Stream]
  }
  struct PN532: Decodable {
    struct Frame: Decodable {
      var hex: String
      var kind: String
      var valid: Bool?
      var payload_hex: String?
    }
    struct Bad: Decodable {
      var hex: String
      var why: String
    }
    var wakeup_hex: String
    var frames: [Frame]
    var bad: [Bad]
  }
  var em4100: EM4100
  var pn532: PN532

  static func load(_ path: String = #filePath) throws -> ReaderFrames {
    let url = URL(fileURLWithPath: path).deletingLastPathComponent().appending(path: "Fixtures/frames.json")
    return try JSONDecoder().decode(ReaderFrames.self, from: Data(contentsOf: url))
  }
}

/// The bytes of hexadecimal text that a test wrote itself.
func hex(_ text: String) -> [UInt8] {
  Hexadecimal.bytes(of: text.filter { !$0.isWhitespace }) ?? []
}
