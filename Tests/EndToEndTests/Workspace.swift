import Foundation
import TestSupport
import Testing

/// A folder of one test: keys made for it, a configuration, the device's state. It is removed with the value.
final class Workspace {
  private let scratch: ScratchFolder
  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  init() throws {
    scratch = try ScratchFolder()
    for path in ["/state", "/state/keys", "/run", "/received"] {
      try FileManager.default.createDirectory(
        atPath: folder + path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    for key in ["outbox.key", "site.key"] {
      var generator = SystemRandomNumberGenerator()
      let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
      let path = folder + "/state/keys/" + key
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
  }

  var folder: String { scratch.path }

  var received: String { folder + "/received" }

  /// Writes `thermograph.toml` and returns its path. `more` holds whole tables that replace the ones below.
  @discardableResult
  func configure(port: UInt16, captures: Int, more: [String: String] = [:]) throws -> String {
    var tables = [
      "device": "id = \"test-device\"\nsite = \"test-site\"",
      "paths": """
      state_directory = "\(folder)/state"
      runtime_directory = "\(folder)/run"
      models_directory = "\(Self.repository)/Models"
      hardware_directory = "\(Self.repository)/Hardware"
      """,
      "session": "acclimatisation_seconds = 0",
      "screening": "model = \"screening-fold\"",
      "broker": "host = \"127.0.0.1\"\nport = \(port)\nretry_maximum_seconds = 2",
      "simulation": "seed = 7\ncaptures = \(captures)\ntag_interval_milliseconds = 3000",
    ]
    tables.merge(more) { $1 }
    let text =
      "schema = 1\n" + tables.sorted { $0.key < $1.key }.map { "\n[\($0.key)]\n\($0.value)\n" }.joined()
    let path = folder + "/thermograph.toml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  /// Captures that wait for delivery before the device is started.
  func fillOutbox(captures: Int) async throws {
    let writer = URL(filePath: Program.thermograph).deletingLastPathComponent().appending(path: "OutboxWriter").path
    let filled = try await Program.run(
      [folder + "/state/outbox.sqlite", folder + "/state/keys/outbox.key", "1", "\(captures)"], executable: writer,
      in: folder)
    try #require(filled.output.contains("saved \(captures)"), "\(filled.output)\(filled.errors)")
  }

  /// Every received record, in the order of arrival that the receiver's log states.
  func receivedRecords() throws -> [[String: Any]] {
    try FileManager.default.subpathsOfDirectory(atPath: received)
      .filter { $0.hasSuffix("record.json") }
      .map { path in
        let data = try Data(contentsOf: URL(fileURLWithPath: received + "/" + path))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      }
      .sorted { ($0["sequence"] as? Int ?? 0) < ($1["sequence"] as? Int ?? 0) }
  }

  func receivedFile(named name: String) throws -> String {
    let found = try FileManager.default.subpathsOfDirectory(atPath: received).first { $0.hasSuffix("/" + name) }
    return received + "/" + (try #require(found, "no \(name) was received"))
  }
}
