import Configuration
import ConfigurationFiles
import Foundation
import TestSupport
import Testing

/// A folder of one test, removed with the value.
final class Scratch {
  private let scratch: ScratchFolder
  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  init() throws { scratch = try ScratchFolder() }

  var folder: String { scratch.path }

  @discardableResult
  func write(_ text: String, to name: String = "thermograph.toml", mode: Int = 0o600) throws -> String {
    try write([UInt8](text.utf8), to: name, mode: mode)
  }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String = "thermograph.toml", mode: Int = 0o600) throws -> String {
    let path = folder + "/" + name
    try FileManager.default.createDirectory(
      at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
    // Not `Data.write`, which waits for the disk: the mutation test writes thousands of files.
    let stream = try #require(fopen(path, "w"))
    defer { fclose(stream) }
    try #require(fwrite(bytes, 1, bytes.count, stream) == bytes.count)
    try #require(chmod(path, mode_t(mode)) == 0)
    return path
  }

  func read() -> ConfigurationReading {
    ConfigurationFolder(mainFile: folder + "/thermograph.toml").read()
  }

  /// The faults of `text` alone as lines, the folder's name cut off.
  func faults(of text: String) throws -> [String] {
    try write(text)
    return lines(read().faults)
  }

  func lines(_ faults: [ConfigurationFault]) -> [String] {
    faults.map { "\($0)".replacingOccurrences(of: folder + "/", with: "") }
  }
}

/// What every usable file needs.
let identity = "schema = 1\n[device]\nid = \"d\"\nsite = \"s\"\n"
