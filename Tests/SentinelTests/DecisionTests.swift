import Foundation
import Screening
import Testing

@testable import Sentinel

/// Encoding and decision against what the training scripts computed; `oracle/vectors.py` makes the file.
@Suite struct DecisionTests {
  private struct Vectors: Decodable {
    struct Window: Decodable {
      var values: [Int]
      var encoded: [Int8]
    }
    struct Run: Decodable {
      var decision: WatchDecision
      var rows: [Row]
    }
    struct Row: Decodable {
      var numbers: [Int] = []
      var state = ""

      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        for _ in 0..<6 { numbers.append(try list.decode(Int.self)) }
        state = try list.decode(String.self)
      }
    }
    var channels: [ModelManifest.WindowChannel]
    var windows: [Window]
    var runs: [Run]
  }

  private let vectors: Vectors

  init() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/vectors.json")
    vectors = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: path))
  }

  @Test func windowsAreEncodedAsTheTrainingEncodedThem() {
    #expect(vectors.windows.count == 6)
    #expect(vectors.windows.contains { $0.values.contains(-1) })
    let encoding = WindowEncoding(channels: vectors.channels)
    for window in vectors.windows {
      #expect(encoding.encode(window.values) == window.encoded)
      // The ring gives the same.
      var ring = CounterWindow()
      for step in 0..<32 {
        var counters = CounterStep()
        for channel in CounterChannel.allCases {
          let value = window.values[step * 16 + channel.rawValue]
          counters[channel] = value < 0 ? nil : value
        }
        ring.add(counters)
      }
      let buffer = UnsafeMutableBufferPointer<Int8>.allocate(capacity: 512)
      defer { buffer.deallocate() }
      encoding.encode(into: buffer) { ring.value($0, $1) }
      #expect(Array(buffer) == window.encoded)
    }
  }

  @Test func theDecisionOverTimeIsTheScripts() throws {
    let names = ["health": SentinelMachine.State.sensing, "cyber": .attack, "uncertain": .uncertain, "normal": .normal]
    var seen: Set<String> = []
    for run in vectors.runs {
      var machine = SentinelMachine(run.decision)
      var before = SentinelMachine.State.normal
      for (index, row) in run.rows.enumerated() {
        let normal = { (head: WatchDecision.Head, raw: Int) in head.calibration.partsPerMillion[raw + 128] }
        let judgement = SentinelMachine.Judgement(
          healthNormal: normal(run.decision.health, row.numbers[0]),
          cyberNormal: normal(run.decision.cyber, row.numbers[1]))
        let actions = machine.add(judgement)
        #expect(machine.health.sum == row.numbers[2] && machine.cyber.sum == row.numbers[3], "window \(index)")
        #expect(judgement.health == row.numbers[4] && judgement.cyber == row.numbers[5], "window \(index)")
        #expect(machine.state == names[row.state], "window \(index): \(machine.state) instead of \(row.state)")
        #expect(actions.isEmpty == (machine.state == before))
        // Leaving normal is an alert, always.
        if before == .normal, machine.state != .normal { #expect(actions.contains(.alert(machine.state))) }
        if machine.state == .normal, before != .normal { #expect(actions.contains(.over)) }
        before = machine.state
        seen.insert(row.state)
      }
    }
    #expect(seen == Set(names.keys))
  }

  private func decision(
    slack: Int = 100, clip: Int = 1000, threshold: Int = 3000, delta: Int = 100, release: Int = 3
  ) throws -> WatchDecision {
    let table = try CalibrationTable(partsPerMillion: (0..<256).map { $0 * 1_000_000 / 255 })
    func head(_ output: Int) -> WatchDecision.Head {
      .init(output: output, element: 0, calibration: table, slackQ8: slack, clipQ8: clip, thresholdQ8: threshold)
    }
    return WatchDecision(health: head(0), cyber: head(1), deltaPerMille: delta, releaseWindows: release)
  }

  private typealias Judgement = SentinelMachine.Judgement

  /// Each kind is told once until all is normal again, whatever the two heads do meanwhile.
  @Test func anEpisodeIsAtMostThreeAlerts() throws {
    var machine = SentinelMachine(try decision())
    var alerts: [SentinelMachine.State] = []
    for window in 0..<3000 {
      let judgement =
        switch window % 3 {
        case 0: Judgement(healthNormal: 1000, cyberNormal: 900_000)
        case 1: Judgement(healthNormal: 900_000, cyberNormal: 1000)
        default: Judgement(healthNormal: 1000, cyberNormal: 1000)
        }
      for case .alert(let state) in machine.add(judgement) { alerts.append(state) }
    }
    #expect(alerts.count <= 3 && Set(alerts).count == alerts.count && !alerts.isEmpty)
    var isOver = false
    for _ in 0..<60 where !isOver {
      isOver = machine.add(Judgement(healthNormal: 999_999, cyberNormal: 999_999)).contains(.over)
    }
    #expect(isOver && machine.state == .normal)
  }

  /// One window, however sure, is no alert where the rule asks for more; nor is a doubt that never lasts.
  @Test func oneWindowIsNoAlert() throws {
    var machine = SentinelMachine(try decision())
    for round in 0..<1000 {
      #expect(machine.add(Judgement(healthNormal: 0, cyberNormal: 0)).isEmpty, "round \(round)")
      for _ in 0..<2 { #expect(machine.add(Judgement(healthNormal: 1_000_000, cyberNormal: 1_000_000)).isEmpty) }
    }
  }

  /// The paper's rule at its edge: a difference of exactly delta is not surer.
  @Test func theSurerMustBeSurerByMoreThanDelta() throws {
    func state(health: Int, cyber: Int) throws -> SentinelMachine.State {
      var machine = SentinelMachine(try decision(clip: 65_536, threshold: 1))
      _ = machine.add(Judgement(healthNormal: 1_000_000 - health, cyberNormal: 1_000_000 - cyber))
      return machine.state
    }
    #expect(try state(health: 900_001, cyber: 800_000) == .sensing)
    #expect(try state(health: 900_000, cyber: 800_000) == .uncertain)
    #expect(try state(health: 800_000, cyber: 900_001) == .attack)
    #expect(try state(health: 900_000, cyber: 899_999) == .uncertain)
    #expect(try state(health: 100_000, cyber: 100_000) == .normal)
    var configured = SentinelMachine(try decision(clip: 65_536, threshold: 1), deltaPerMille: 0)
    _ = configured.add(Judgement(healthNormal: 100_000, cyberNormal: 100_001))
    #expect(configured.state == .sensing)
  }

  /// A long attack leaves no debt: it ends within twice the threshold's worth of quiet windows.
  @Test func aLongAttackEndsSoon() throws {
    var machine = SentinelMachine(try decision())
    for _ in 0..<100_000 { _ = machine.add(Judgement(healthNormal: 999_999, cyberNormal: 0)) }
    #expect(machine.state == .attack && machine.cyber.sum == 6000)
    var windows = 0
    while machine.state != .normal, windows < 100 {
      _ = machine.add(Judgement(healthNormal: 1_000_000, cyberNormal: 1_000_000))
      windows += 1
    }
    #expect(windows <= 3 + 3)
  }

  @Test func anUnknownRuleAndFiguresOutOfRangeAreRefused() throws {
    let text = try String(
      contentsOfFile: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Models/sharma-dualpath/manifest.json").path, encoding: .utf8)
    var manifest = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    func head(_ output: Int) -> [String: Any] {
      [
        "output": output, "element": 0, "calibration": ["ppm": (0..<256).map { $0 * 3000 }], "slack_q8": 10,
        "clip_q8": 100, "threshold_q8": 1000,
      ]
    }
    let good: [String: Any] = [
      "rule": "cusum", "delta_per_mille": 100, "release_windows": 6, "health": head(0), "cyber": head(1),
    ]
    func read(_ change: (inout [String: Any]) -> Void) throws -> ModelManifest {
      var decision = good
      change(&decision)
      manifest["decision"] = decision
      return try ModelManifest(json: Array(JSONSerialization.data(withJSONObject: manifest)))
    }
    #expect(try read { _ in }.watch?.health.thresholdQ8 == 1000)
    func changed(_ key: String, _ value: Any) -> (inout [String: Any]) -> Void {
      { decision in
        var head = head(1)
        head[key] = value
        decision["cyber"] = head
      }
    }
    let bad: [(inout [String: Any]) -> Void] = [
      { $0["rule"] = "vote" }, { $0["delta_per_mille"] = 1001 }, { $0["release_windows"] = 0 },
      { $0["health"] = nil }, changed("output", 2), changed("element", 7), changed("element", 1),
      changed("slack_q8", -1), changed("clip_q8", 0), changed("threshold_q8", 1 << 25),
      changed("calibration", ["ppm": [1, 2]]),
      changed("calibration", ["ppm": (0..<256).map { 256 - $0 }]),
    ]
    for (index, change) in bad.enumerated() {
      #expect(throws: ModelManifestError.self, "\(index)") { try read(change) }
    }
  }
}
