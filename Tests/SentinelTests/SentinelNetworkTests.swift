import CAllocationCount
import Foundation
import Inference
import Screening
import Testing

@testable import Sentinel

/// The shipped network over windows, beside what the reference kernels made of them when the model was made.
@Suite struct SentinelNetworkTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Models/sharma-dualpath")

  private static func bytes(_ name: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: folder.appending(path: name)))
  }

  /// The shipped manifest with a decision of the test's own, so that neither depends on the other.
  private func manifest(_ change: (inout [String: Any]) throws -> Void = { _ in }) throws -> ModelManifest {
    var document = try #require(
      try JSONSerialization.jsonObject(with: Data(Self.bytes("manifest.json"))) as? [String: Any])
    func head(_ output: Int) -> [String: Any] {
      [
        "output": output, "element": 0, "calibration": ["ppm": (0..<256).map { $0 * 1_000_000 / 255 }],
        "slack_q8": 256, "clip_q8": 2048, "threshold_q8": 4096,
      ]
    }
    document["decision"] = [
      "rule": "cusum", "delta_per_mille": 100, "release_windows": 6, "health": head(0), "cyber": head(1),
    ]
    var input = try #require(document["input"] as? [String: Any])
    var channels = try #require(input["channels"] as? [[String: Any]])
    for index in channels.indices where channels[index]["missing"] == nil { channels[index]["missing"] = -100 }
    input["channels"] = channels
    document["input"] = input
    try change(&document)
    return try ModelManifest(json: Array(JSONSerialization.data(withJSONObject: document)))
  }

  private func network() throws -> SentinelNetwork {
    try SentinelNetwork(manifest: manifest(), modelFile: Self.bytes("model.tflite"))
  }

  /// The golden windows as counters.
  private func goldenWindows() throws -> [CounterWindow] {
    let array = try NumPyArray(file: Self.bytes("golden/counters.npy"))
    let values = stride(from: 0, to: array.bytes.count, by: 8).map { at in
      Int(Int64(bitPattern: (0..<8).reduce(UInt64(0)) { $0 | UInt64(array.bytes[at + $1]) << UInt64(8 * $1) }))
    }
    return stride(from: 0, to: values.count, by: 512).map { start in
      var window = CounterWindow()
      for step in 0..<32 {
        var counters = CounterStep()
        for channel in CounterChannel.allCases {
          let value = values[start + step * 16 + channel.rawValue]
          counters[channel] = value < 0 ? nil : value
        }
        window.add(counters)
      }
      return window
    }
  }

  @Test func goldenWindowsAreJudgedAsTheReferenceKernelsDid() throws {
    let network = try network()
    let windows = try goldenWindows()
    let health = try NumPyArray(file: Self.bytes("golden/output0.npy"))
    let cyber = try NumPyArray(file: Self.bytes("golden/output1.npy"))
    #expect(windows.count == health.shape[0] && windows.count >= 8)
    var seen: Set<Int> = []
    for (index, window) in windows.enumerated() {
      let judgement = network.judge(window)
      let raw = { (array: NumPyArray) in Int(Int8(bitPattern: array.bytes[index * array.shape[1]])) }
      #expect(judgement.healthNormal == (raw(health) + 128) * 1_000_000 / 255, "window \(index)")
      #expect(judgement.cyberNormal == (raw(cyber) + 128) * 1_000_000 / 255, "window \(index)")
      seen.insert(judgement.cyberNormal)
    }
    #expect(seen.count > 1)
  }

  /// Step, encoding, network and evidence of a window.
  @Test func aWindowAllocatesNothing() throws {
    let network = try network()
    var windows = try goldenWindows()
    var machine = SentinelMachine(network.decision)
    var step = CounterStep()
    step[.connections] = 3
    for round in 0..<2 {
      if round == 1 { allocation_counts_reset() }
      for index in windows.indices {
        windows[index].add(step)
        let judgement = network.judge(windows[index])
        _ = machine.health
        _ = judgement
      }
    }
    let counts = allocation_counts_read()
    #expect(counts.live_bytes == 0 && counts.mutex_locks == 0)
    #if !DEBUG
      // What is not optimised allocates for the code's own sake.
      #expect(counts.allocations == 0)
    #endif
    // The decision allocates only where there is something to do.
    for _ in 0..<50 { _ = machine.add(.init(healthNormal: 990_000, cyberNormal: 990_000)) }
    allocation_counts_reset()
    for _ in 0..<50 { _ = machine.add(.init(healthNormal: 990_000, cyberNormal: 990_000)) }
    #expect(allocation_counts_read().allocations == 0)
  }

  /// A window of normal use in which one group goes mad: that group is named, and not the others.
  @Test func theGroupThatWentMadIsNamed() throws {
    let network = try network()
    let windows = try goldenWindows()
    let quiet = try #require(
      windows.max {
        network.judge($0).cyberNormal + network.judge($0).healthNormal
          < network.judge($1).cyberNormal + network.judge($1).healthNormal
      })
    func changed(_ change: (inout CounterStep) -> Void) -> CounterWindow {
      var window = quiet
      for index in 0..<32 {
        var step = quiet[index]
        if index > 8 { change(&step) }
        window.add(step)
      }
      return window
    }
    let flood = changed {
      $0[.connections] = 500
      $0[.refused] = 300
      $0[.bytesIn] = 60_000
    }
    #expect(network.judge(flood).cyberNormal < 500_000)
    #expect(network.groups(ofHealth: false).first == .network)
    #expect(network.channels(ofHealth: false, in: [.network]).allSatisfy { $0.group == .network })
    let forged = changed {
      $0[.commandsReceived] = 10
      $0[.commandsBadlySigned] = 10
    }
    #expect(network.judge(forged).cyberNormal < 500_000)
    #expect(network.groups(ofHealth: false).contains(.commands))
  }

  @Test func aModelThatDoesNotFitIsRefusedWithTheReason() throws {
    func refused(_ manifest: ModelManifest, _ word: String) throws {
      let file = try Self.bytes("model.tflite")
      do throws(ScreeningError) {
        _ = try SentinelNetwork(manifest: manifest, modelFile: file)
        Issue.record("taken; expected a word of \(word)")
      } catch { #expect("\(error)".contains(word), "\(error)") }
    }
    try refused(manifest { $0["decision"] = nil }, "no decision")
    func channels(_ change: (inout [[String: Any]]) -> Void) throws -> ModelManifest {
      try manifest { document in
        var input = try #require(document["input"] as? [String: Any])
        var list = try #require(input["channels"] as? [[String: Any]])
        change(&list)
        input["channels"] = list
        document["input"] = input
      }
    }
    try refused(channels { $0[3]["missing"] = nil }, "missing network.publish_latency")
    try refused(channels { $0.swapAt(0, 1) }, "other channels")
    #expect(throws: ModelManifestError.self) { try channels { $0[0]["missing"] = 300 } }
  }
}
