import Configuration
import Foundation
import LocalFiles
import Provenance
import Remote
import Storage
import TestSupport
import Testing
import Trust

@testable import ConfigurationFiles

/// What is kept of configurations from afar: which one counts after every change, and after damage.
@Suite struct RemoteConfigurationFolderTests {
  private let scratch: Scratch
  private let folder: RemoteConfigurationFolder
  private let sender: CommandSender

  init() throws {
    scratch = try Scratch()
    try scratch.write(identity + "[paths]\nstate_directory = \"\(scratch.folder)/state\"\n[log]\nlevel = \"error\"\n")
    try FileManager.default.createDirectory(atPath: scratch.folder + "/state", withIntermediateDirectories: true)
    folder = RemoteConfigurationFolder(stateDirectory: scratch.folder + "/state")
    sender = try CommandSender(site: "s", device: "d")
    _ = try folder.open(at: 0)
  }

  private func level(_ name: String) -> [UInt8] { Array("[log]\nlevel = \"\(name)\"\n".utf8) }

  private func take(_ version: Int64, _ name: String) throws {
    var generator = SeededGenerator(seed: UInt64(version))
    let text = sender.configuration(
      String(decoding: level(name), as: UTF8.self), version: version, id: RandomIdentifier(using: &generator))
    let statement = try ConfigurationStatement(reading: Array(text.utf8))
    _ = try folder.change(taking: statement.toml) {
      $0.accept(
        statement, digest: OpenSSLDigests().sha256(Array(text.utf8)), sha256: OpenSSLDigests().sha256(statement.toml),
        freshness: .clock)
    }
  }

  /// The level in force, and the files that lie there.
  private var state: String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let texts = names.filter { $0.hasSuffix(".toml") }.sorted().joined(separator: " ")
    return "\(scratch.read().settings.log.level) \(texts)"
  }

  @Test func eachChangeLeavesTheRightTextInForce() throws {
    #expect(state == "error ")
    try take(1, "debug")
    #expect(state == "error pending.toml")
    _ = try folder.change { $0.begin(runs: 0) }
    #expect(state == "debug pending.toml")
    // Its one start, and then the one that takes it back.
    #expect(try folder.start(takingBackWith: [1]) == false)
    #expect(state == "debug pending.toml")
    #expect(try folder.start(takingBackWith: [1]))
    #expect(state == "error ")
    #expect(try folder.start(takingBackWith: [1]) == false)
    try take(2, "info")
    _ = try folder.change { $0.begin(runs: 1) }
    _ = try folder.change { $0.confirm(reply: [2]) }
    #expect(state == "info active.toml")
    #expect(try folder.start(takingBackWith: [1]) == false)
    try take(3, "debug")
    _ = try folder.change { $0.begin(runs: 1) }
    #expect(state == "debug active.toml pending.toml")
    _ = try folder.change { $0.end(.rolledBack, reply: [3]) }
    #expect(state == "info active.toml")
    try take(4, "warning")
    _ = try folder.change { $0.begin(runs: 1) }
    _ = try folder.change { $0.confirm(reply: [4]) }
    #expect(state == "warning active.toml previous.toml")
    for expected in ["info", "warning", "info"] {
      _ = try folder.change { $0.goBack() }
      #expect(state == "\(expected) active.toml previous.toml")
    }
    #expect(try folder.read()?.highestVersion == 4)
  }

  @Test func aNewerOneTakesThePlaceOfOneThatWaits() throws {
    try take(1, "debug")
    try take(2, "info")
    _ = try folder.change { $0.begin(runs: 1) }
    #expect(state == "info pending.toml")
  }

  @Test func goingBackFromTheFirstLeavesTheDevicesOwnFiles() throws {
    try take(1, "debug")
    _ = try folder.change { $0.confirm(reply: [1]) }
    _ = try folder.change { $0.goBack() }
    #expect(state == "error previous.toml")
    _ = try folder.change { $0.goBack() }
    #expect(state == "debug active.toml")
  }

  /// A text or the record that is not as it was written has no effect, and that is told.
  @Test(arguments: ["active.toml", "record.json"]) func damageHasNoEffectAndIsTold(_ name: String) throws {
    try take(1, "debug")
    _ = try folder.change { $0.confirm(reply: [1]) }
    #expect(scratch.read().settings.log.level == .debug)
    let path = folder.path + "/" + name
    let bytes = try #require(FileManager.default.contents(atPath: path))
    for index in stride(from: 0, to: bytes.count, by: 3) {
      var bent = bytes
      bent[index] ^= 1
      try bent.write(to: URL(fileURLWithPath: path))
      let reading = scratch.read()
      #expect(reading.isUsable)
      // A bent text has no effect. A bent record either says so or, where a bit of no consequence turned, holds.
      if name == "active.toml" || reading.settings.log.level != .debug {
        #expect(reading.settings.log.level == .error)
        #expect(reading.notices.contains { $0.what.contains("from afar has no effect") }, "byte \(index)")
      }
    }
    try Data("{".utf8).write(to: URL(fileURLWithPath: folder.path + "/record.json"))
    let opened = try folder.open(at: 77)
    #expect(opened.damage != nil && opened.record.beganSeconds == 77 && opened.record.inForce == nil)
  }

  /// The device's own files changed after it was confirmed, so that the two do not fit any more: the device goes on without.
  @Test func whatDoesNotFitAnyMoreIsLeftOut() throws {
    let text = "[broker]\nretry_minimum_seconds = 60\n"
    var generator = SeededGenerator(seed: 5)
    let json = sender.configuration(text, version: 1, id: RandomIdentifier(using: &generator))
    let statement = try ConfigurationStatement(reading: Array(json.utf8))
    _ = try folder.change(taking: statement.toml) {
      $0.accept(
        statement, digest: OpenSSLDigests().sha256([]), sha256: OpenSSLDigests().sha256(statement.toml),
        freshness: .clock)
      $0.confirm(reply: [1])
    }
    #expect(scratch.read().settings.broker.delivery.backoff.minimumMilliseconds == 60_000)
    try scratch.write("[broker]\nretry_maximum_seconds = 5\n", to: "conf.d/10.toml")
    let reading = scratch.read()
    #expect(reading.isUsable && reading.settings.broker.delivery.backoff.maximumMilliseconds == 5000)
    #expect(reading.notices.contains { $0.what.hasPrefix("what came from afar does not fit and has no effect") })
    // And a key that was pinned since.
    try scratch.write("[remote]\npinned = [\"broker.retry_minimum_seconds\"]\n", to: "conf.d/10.toml")
    let pinned = scratch.read()
    #expect(pinned.isUsable && pinned.settings.broker.delivery.backoff.minimumMilliseconds != 60_000)
    #expect(pinned.notices.contains { $0.what == "broker.retry_minimum_seconds is pinned on this device" })
  }
}
