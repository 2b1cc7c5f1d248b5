import Foundation
import Testing

/// PNG decoded by netpbm's `pngtopnm`.
enum Netpbm {
  struct Picture {
    var width = 0
    var height = 0
    var channels = 0
    var maximum = 0
    var samples: [UInt16] = []
  }

  static func decodePNG(_ file: [UInt8]) throws -> Picture {
    let path = NSTemporaryDirectory() + "thermograph-\(UUID().uuidString).png"
    try Data(file).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/pngtopnm")
    process.arguments = [path]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = [UInt8](pipe.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    return try parse(output)
  }

  private static func parse(_ bytes: [UInt8]) throws -> Picture {
    var picture = Picture()
    var position = 2
    func number() throws -> Int {
      while bytes[position] <= 32 { position += 1 }
      var digits = ""
      while bytes[position] > 32 {
        digits.append(Character(UnicodeScalar(bytes[position])))
        position += 1
      }
      return try #require(Int(digits))
    }
    picture.channels = bytes[1] == UInt8(ascii: "6") ? 3 : 1
    picture.width = try number()
    picture.height = try number()
    picture.maximum = try number()
    position += 1
    let rest = Array(bytes[position...])
    picture.samples =
      picture.maximum > 255
      ? stride(from: 0, to: rest.count, by: 2).map { UInt16(rest[$0]) << 8 | UInt16(rest[$0 + 1]) }
      : rest.map(UInt16.init)
    return picture
  }
}

/// The chunks of a PNG file as they lie in it (PNG specification, 5.3).
enum PNGChunks {
  static func all(of file: [UInt8]) -> [(type: String, data: [UInt8])] {
    var chunks: [(String, [UInt8])] = []
    var position = 8
    while position + 12 <= file.count {
      let length = file[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      let type = String(decoding: file[position + 4..<position + 8], as: UTF8.self)
      chunks.append((type, Array(file[position + 8..<position + 8 + length])))
      position += 12 + length
    }
    return chunks
  }
}
