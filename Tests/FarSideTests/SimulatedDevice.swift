import Foundation
import TestSupport

/// A real `thermograph run --simulate`: folders, keys and configuration of its own.
final class SimulatedDevice {
  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  let name: String
  private let folder: ScratchFolder
  private let port: UInt16
  private let delivery: String
  private var program: FleetProgram?

  /// - Parameters:
  ///   - port: of 127.0.0.1, where its broker is.
  ///   - delivery: lines of the table `delivery`.
  init(_ name: String, port: UInt16, delivery: String = "") throws {
    self.name = name
    self.port = port
    self.delivery = delivery
    folder = try ScratchFolder(inMemory: true)
    for path in ["state/keys", "run"] {
      try FileManager.default.createDirectory(
        atPath: folder.file(path), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    for key in ["outbox.key", "site.key"] {
      var generator = SystemRandomNumberGenerator()
      let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
      let made = FileManager.default.createFile(
        atPath: folder.file("state/keys/\(key)"), contents: Data(bytes), attributes: [.posixPermissions: 0o600])
      guard made else { throw TestFault(description: "no key file") }
    }
  }

  private var configuration: String { folder.file("thermograph.toml") }

  /// Runs it; it makes so many captures, one after the other.
  func start(captures: Int, seed: Int = 7) throws {
    let text = """
      schema = 1
      [device]
      id = "\(name)"
      site = "clinic"
      [paths]
      state_directory = "\(folder.file("state"))"
      runtime_directory = "\(folder.file("run"))"
      models_directory = "\(Self.repository)/Models"
      hardware_directory = "\(Self.repository)/Hardware"
      [session]
      acclimatisation_seconds = 0
      [screening]
      model = "screening-fold"
      [broker]
      host = "127.0.0.1"
      port = \(port)
      retry_maximum_seconds = 2
      [delivery]
      \(delivery)
      [simulation]
      seed = \(seed)
      captures = \(captures)
      tag_interval_milliseconds = 3000

      """
    try text.write(toFile: configuration, atomically: true, encoding: .utf8)
    program = try FleetProgram("thermograph", ["run", "--config", configuration, "--simulate"], in: folder)
  }

  var text: String { program?.text ?? "" }

  /// Captures that it announced as saved.
  var saved: Int { text.components(separatedBy: "capture saved").count - 1 }

  /// Waits for `condition`; when it does not come about, the device's words are told.
  func waits(for what: String, withinSeconds limit: Double = 60, _ condition: () throws -> Bool) async throws {
    do {
      try await eventually(what, withinSeconds: limit) { try condition() }
    } catch {
      throw TestFault(description: "\(error); \(name) said:\n\(text)")
    }
  }

  /// SIGTERM; the status of its end.
  func stop() -> Int32 { program?.end(SIGTERM) ?? 0 }

  /// Records and images in its outbox that have no receipt.
  func waiting() throws -> Int {
    let list = try FleetProgram("thermograph", ["outbox", "list", "--json", "--config", configuration], in: folder)
    guard list.wait() == 0 else { throw TestFault(description: "outbox list: \(list.text)") }
    struct Line: Decodable {
      var `class`: String?
      var state: String?
    }
    let lines = try list.text.split(separator: "\n").filter { $0.hasPrefix("{") }.map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
    return lines.count { ["capture", "image"].contains($0.class ?? "") && ($0.state ?? "delivered") != "delivered" }
  }
}
