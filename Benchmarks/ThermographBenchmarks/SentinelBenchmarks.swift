import Screening
import Sentinel

/// What the sentinel does every ten seconds: a step, the window's encoding, the network and the decision.
enum SentinelBenchmarks {
  static func suite() throws -> BenchmarkSuite {
    let folder = "Models/sharma-dualpath"
    let manifest = try ModelManifest(json: VerdictBenchmarks.bytes(folder + "/manifest.json"))
    let network = try SentinelNetwork(
      manifest: manifest, modelFile: VerdictBenchmarks.bytes(folder + "/" + manifest.model.path))
    var machine = SentinelMachine(network.decision)
    var window = CounterWindow()
    var step = CounterStep()
    for channel in CounterChannel.allCases { step[channel] = 1 }
    for _ in 0..<CounterWindow.steps { window.add(step) }
    return BenchmarkSuite(
      name: "A window of the device's counters",
      benchmarks: [
        Benchmark(name: "step, network and decision", unit: "window", unitsPerRun: 1, goalMilliseconds: 1) { times in
          (0..<times).reduce(0.0) { sum, number in
            step[.connections] = number & 3
            window.add(step)
            return sum + Double(machine.add(network.judge(window)).count)
          }
        }
      ])
  }
}
