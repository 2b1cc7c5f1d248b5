import CaptureDatabase
import Foundation
import Storage
import TestSupport
import Testing

@testable import FarSide

/// The files of `Fleet/` as the programs that read them see them. Nothing here is skipped: the packages stand in
/// `Scripts/debian-packages.txt`.
struct FleetFilesTests {
  private static let fleet = SimulatedDevice.repository + "/Fleet"

  private func run(_ words: [String], in folder: ScratchFolder) throws -> (status: Int32, text: String) {
    try #require(FileManager.default.isExecutableFile(atPath: words[0]), "\(words[0]) is not installed: make packages")
    let program = try FleetProgram(words[0], Array(words.dropFirst()), in: folder)
    return (program.wait(), program.text)
  }

  /// Each rule rings for its series and not for the one beside it.
  @Test func everyAlertRingsWhenItShould() throws {
    let folder = try ScratchFolder()
    let tested = try run(["/usr/bin/promtool", "test", "rules", Self.fleet + "/prometheus/rules_test.yml"], in: folder)
    #expect(tested.status == 0, "\(tested.text)")
    // A rule that no longer holds is noticed: with another limit the same tests fail.
    let rules = try String(contentsOfFile: Self.fleet + "/prometheus/rules.yml", encoding: .utf8)
    let changed = rules.replacingOccurrences(of: "> 86400", with: "> 86401")
    #expect(changed != rules)
    try changed.write(toFile: folder.file("rules.yml"), atomically: true, encoding: .utf8)
    try FileManager.default.copyItem(
      atPath: Self.fleet + "/prometheus/rules_test.yml", toPath: folder.file("rules_test.yml"))
    #expect(try run(["/usr/bin/promtool", "test", "rules", folder.file("rules_test.yml")], in: folder).status != 0)
    // And no rule is without a test.
    let tests = try String(contentsOfFile: Self.fleet + "/prometheus/rules_test.yml", encoding: .utf8)
    let names = rules.split(separator: "\n").compactMap { line in
      line.contains("- alert: ") ? line.components(separatedBy: "- alert: ").last : nil
    }
    #expect(names.count >= 10)
    for name in names {
      let asked = tests.components(separatedBy: "\n").filter { $0.contains("alertname: \(name)") }
      #expect(!asked.isEmpty, "\(name) has no test")
    }
  }

  @Test func theProgramsTakeTheirFiles() throws {
    let folder = try ScratchFolder()
    for words in [
      ["/usr/bin/promtool", "check", "config", Self.fleet + "/prometheus/prometheus.yml"],
      ["/usr/bin/amtool", "check-config", Self.fleet + "/prometheus/alertmanager.yml"],
    ] {
      let checked = try run(words, in: folder)
      #expect(checked.status == 0, "\(checked.text)")
    }
    var text = try String(contentsOfFile: Self.fleet + "/haproxy.cfg", encoding: .utf8)
    for (mark, value) in [("CONNECTIONS", "1000"), ("DATABASE_PORT", "5000"), ("MQTT_PORT", "1880")] {
      text = text.replacingOccurrences(of: "@\(mark)@", with: value)
    }
    try text.write(toFile: folder.file("haproxy.cfg"), atomically: true, encoding: .utf8)
    let checked = try run([Front.executable, "-c", "-f", folder.file("haproxy.cfg")], in: folder)
    #expect(checked.status == 0, "\(checked.text)")
  }

  /// Debian's Patroni 3.0.2 updates its leader's key without a condition where it speaks etcd's newer protocol: a primary
  /// that was frozen and thawed took the lock back, and confirmed rows were lost.
  @Test func patroniSpeaksTheProtocolThatKeepsConfirmedRows() throws {
    let text = try String(contentsOfFile: Self.fleet + "/patroni.yml", encoding: .utf8)
    let keys = text.split(separator: "\n").filter { $0.first?.isLetter == true }.map { $0.prefix { $0 != ":" } }
    #expect(keys.contains("etcd") && !keys.contains("etcd3"), "\(keys)")
    #expect(text.contains("synchronous_mode: true") && text.contains("synchronous_mode_strict: true"))
  }

  /// Rules and dashboard name only what a worker exports.
  @Test func whatTheyNameIsExported() throws {
    let bench = try PostgresServer.start().makeDatabase()
    let target = try DatabaseTarget(bench.connection)
    _ = try DatabaseSchema.migrate(target)
    let key = try #require(
      SealingKey(bytes: (0..<32).map { _ in UInt8.random(in: 0...255) }, digests: OpenSSLDigests()))
    let store = try DatabaseStore(target, masters: KeyRing(current: key), digests: OpenSSLDigests())
    let metrics = WorkerMetrics()
    let figures = try store.fleetFigures()
    metrics.counts.withLock { $0.fleet = figures }
    let exported = Set(
      metrics.text(filling: (0, 0, 0), brokers: [true]).split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
        .map { $0.split(separator: " ")[2] })
    for name in ["prometheus/rules.yml", "prometheus/rules_test.yml", "grafana/dashboard.json"] {
      let text = try String(contentsOfFile: Self.fleet + "/" + name, encoding: .utf8)
      let named = Set(text.matches(of: /thermograph_(receiver|device|fleet)_[a-z_]+/).map { $0.output.0 })
      #expect(!named.isEmpty && named.isSubset(of: exported), "\(name): \(named.subtracting(exported))")
    }
  }
}
