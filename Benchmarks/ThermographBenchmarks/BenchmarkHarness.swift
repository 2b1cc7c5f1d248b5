import Glibc

/// One thing that is measured.
struct Benchmark {
  var name: String
  /// What `unitsPerRun` counts, e.g. `pixel`.
  var unit: String
  /// How many units one run handles.
  var unitsPerRun: Int
  /// The benchmark that this one is compared with, by name, within the same suite.
  var peer: String?
  /// What a run may take at most on this class of machine, by the project's own goal.
  var goalMilliseconds: Double?
  /// Runs the work so many times; what it returns keeps the work alive.
  var run: (_ times: Int) -> Double
}

/// Benchmarks that are measured in interleaved rounds, so that a busy machine slows all of them alike.
struct BenchmarkSuite {
  var name: String
  var benchmarks: [Benchmark]

  static let rounds = 15
  static let roundNanoseconds = 20_000_000.0

  /// Prints a table: nanoseconds a unit (minimum and median over the rounds) and the ratio to the peer's minimum.
  func report() {
    let times = benchmarks.map { calibrate($0) }
    var samples = benchmarks.map { _ in [Double]() }
    var sink = 0.0
    for _ in 0..<Self.rounds {
      for (index, benchmark) in benchmarks.enumerated() {
        let start = now()
        sink += benchmark.run(times[index])
        samples[index].append(Double(now() - start) / Double(times[index]))
      }
    }
    print("\n\(name) (\(Self.rounds) interleaved rounds; checksum \(sink))")
    print(row("benchmark", "ns/run min", "ns/run median", "ns/unit min", "unit", "ratio to peer"))
    for (index, benchmark) in benchmarks.enumerated() {
      let sorted = samples[index].sorted()
      let minimum = sorted[0]
      var ratio = ""
      if let peer = benchmark.peer, let other = benchmarks.firstIndex(where: { $0.name == peer }) {
        let peerSamples = samples[other].sorted()
        ratio =
          "\(fixed(minimum / peerSamples[0], 3)) (median \(fixed(sorted[sorted.count / 2] / peerSamples[peerSamples.count / 2], 3)))"
      }
      print(
        row(
          benchmark.name, fixed(minimum, 0), fixed(sorted[sorted.count / 2], 0),
          fixed(minimum / Double(benchmark.unitsPerRun), 2), benchmark.unit, ratio))
    }
    for (index, benchmark) in benchmarks.enumerated() {
      guard let goal = benchmark.goalMilliseconds else { continue }
      let sorted = samples[index].sorted()
      let median = sorted[sorted.count / 2] / 1e6
      print("\(benchmark.name): median \(fixed(median, 3)) ms; goal: at most \(fixed(goal, 1)) ms")
    }
  }

  /// How many runs fill a round.
  private func calibrate(_ benchmark: Benchmark) -> Int {
    var times = 1
    while times < 1 << 24 {
      let start = now()
      _ = benchmark.run(times)
      let elapsed = Double(now() - start)
      if elapsed >= Self.roundNanoseconds / 4 {
        return max(1, Int(Double(times) * Self.roundNanoseconds / elapsed))
      }
      times *= 2
    }
    return times
  }

  private func row(_ cells: String...) -> String {
    let widths = [44, 12, 14, 12, 10, 24]
    return zip(cells, widths).map { cell, width in
      cell + String(repeating: " ", count: max(1, width - cell.count))
    }.joined()
  }

  private func fixed(_ value: Double, _ places: Int) -> String {
    let scale = pow(10, Double(places))
    let rounded = (value * scale).rounded() / scale
    return places == 0 ? String(Int(rounded)) : String(rounded)
  }

  private func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
