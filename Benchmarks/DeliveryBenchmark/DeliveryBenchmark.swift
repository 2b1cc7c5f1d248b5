import Forwarding
import Glibc
import Provenance
import Storage

/// Measures the outbox: syncs and bytes written (under `sync_model.so`), latency, cost with a backlog.
///
/// Ratios are of interleaved rounds, so that a busy machine slows both sides alike.
@main
struct DeliveryBenchmark {
  static let rounds = 5

  static func main() async throws {
    let arguments = CommandLine.arguments
    if arguments.count == 5, arguments[1] == "fill", let count = Int(arguments[3]), let bytes = Int(arguments[4]) {
      return try await fill(arguments[2], count: count, bytes: bytes)
    }
    guard arguments.count == 3 else {
      print("usage: DeliveryBenchmark syncs|writes|latency|audit FOLDER, or fill FOLDER COUNT BYTES")
      exit(64)
    }
    switch arguments[1] {
    case "syncs": try await syncs(in: arguments[2])
    case "writes": try await writes(in: arguments[2])
    case "latency": try await latency(in: arguments[2])
    case "audit": try AuditBenchmark.latency(in: arguments[2])
    default: exit(64)
    }
  }

  // MARK: - Syncs and time with a modelled card

  static func syncs(in folder: String) async throws {
    let outbox = try Bench(folder + "/syncs.sqlite")
    var files = FilePerMessage(folder: folder + "/files")
    print("\nwith a modelled sync of 10 ms, medians of \(rounds) interleaved rounds")
    for burst in [1, 10, 50] {
      let repeats = burst == 1 ? 20 : 2
      var outboxTimes: [Double] = []
      var fileTimes: [Double] = []
      let before = Counters.now()
      for _ in 0..<rounds {
        outboxTimes.append(
          try await measure {
            for _ in 0..<repeats { try await outbox.store(count: burst, bytes: 6144) }
          })
        let pause = Counters.now()
        fileTimes.append(
          try await measure {
            for _ in 0..<(repeats * burst) { try files.store(bytes: 6144) }
          })
        outbox.fileSyncs += Counters.now().syncs - pause.syncs
      }
      let messages = rounds * repeats * burst
      let syncs = Counters.now().syncs - before.syncs - outbox.fileSyncs
      outbox.fileSyncs = 0
      let ratio = median(fileTimes) / median(outboxTimes)
      let what = burst == 1 ? "single messages" : "bursts of \(burst)"
      row("\(what): fsync a message", Double(syncs) / Double(messages), .atMost(burst == 1 ? 1.1 : 0.2))
      row("\(what): times as fast as a file per message", ratio, .atLeast(burst == 1 ? 1.6 : 8))
    }
    let captures = 40
    let before = Counters.now()
    for _ in 0..<captures { try await outbox.storeCapture() }
    row("a capture of 4 messages: fsync", Double(Counters.now().syncs - before.syncs) / Double(captures), .atMost(1.1))
    await outbox.outbox.close()
    try AuditBenchmark.syncs(in: folder)
  }

  // MARK: - Bytes written

  static func writes(in folder: String) async throws {
    print("\nbytes written for a byte of payload, acknowledgement and checkpoint included")
    for (bytes, count) in [(6144, 2000), (61_440, 400)] {
      let outbox = try Bench(folder + "/writes-\(bytes).sqlite")
      let before = Counters.now()
      for _ in 0..<count { try await outbox.store(count: 1, bytes: bytes) }
      try await outbox.drain(batch: 64)
      await outbox.outbox.close()
      let written = Counters.now().bytes - before.bytes
      row(
        "write amplification at \(bytes / 1024) KB", Double(written) / Double(bytes * count),
        .atMost(bytes == 6144 ? 7 : 3.5))
    }
  }

  // MARK: - A backlog for the daemon

  /// Fills the outbox of a state directory whose key exists: messages of `bytes`, so many that the quota's rows for one
  /// class are not in the way.
  static func fill(_ folder: String, count: Int, bytes: Int) async throws {
    let outbox = try Bench(folder + "/outbox.sqlite", keyFile: folder + "/keys/outbox.key")
    for start in stride(from: 0, to: count, by: 250) {
      try await outbox.store(count: min(250, count - start), bytes: bytes)
    }
    await outbox.outbox.close()
  }

  // MARK: - Latency and backlog

  static func latency(in folder: String) async throws {
    let outbox = try Bench(folder + "/latency.sqlite")
    var idle: [[Double]] = []
    var draining: [[Double]] = []
    for _ in 0..<(2 * rounds + 1) {
      // As much waits in both, and more than is drained in the time.
      for _ in 0..<40 { try await outbox.store(count: 250, bytes: 6144) }
      var times: [Double] = []
      for _ in 0..<1000 { times.append(try await measure { try await outbox.store(count: 1, bytes: 6144) }) }
      idle.append(times)
      let drain = Task {
        while !Task.isCancelled { try await outbox.drain(batch: 64, atMost: 64) }
      }
      times = []
      for _ in 0..<1000 { times.append(try await measure { try await outbox.store(count: 1, bytes: 6144) }) }
      drain.cancel()
      try await drain.value
      draining.append(times)
      try await outbox.drain(batch: 64)
    }
    func times(at share: Double) -> String {
      "idle \(fixed(median(idle.map { percentile($0, share) }) * 1e6)) us, "
        + "while draining \(fixed(median(draining.map { percentile($0, share) }) * 1e6)) us"
    }
    print(
      "\nenqueue of 6 KB, 50th percentile: \(times(at: 0.5)); 99th: \(times(at: 0.99)); medians of \(idle.count) rounds"
    )
    row(
      "enqueue p99 while draining, times idle",
      median(zip(draining, idle).map { percentile($0, 0.99) / percentile($1, 0.99) }), .atMost(2))
    await outbox.outbox.close()

    // Two outboxes in turn, so that a slow minute of the machine weighs on both.
    let small = try Bench(folder + "/small.sqlite")
    let large = try Bench(folder + "/large.sqlite")
    for _ in 0..<4 { try await small.store(count: 250, bytes: 6144) }
    for _ in 0..<200 { try await large.store(count: 250, bytes: 6144) }
    var costs: [[Double]] = [[], []]
    for _ in 0..<(2 * rounds) {
      for (index, bench) in [small, large].enumerated() {
        costs[index].append(
          try await measure {
            try await bench.drain(batch: 64, atMost: 512)
            try await bench.store(count: 512, bytes: 6144)
          } / 512)
      }
    }
    let (few, many) = (median(costs[0]), median(costs[1]))
    print(
      "a message through the outbox: \(fixed(few * 1e6)) us at 1,000 waiting, \(fixed(many * 1e6)) us at 50,000")
    row(
      "cost of a message at 50,000 waiting, times that at 1,000", median(zip(costs[1], costs[0]).map { $0 / $1 }),
      .atMost(1.2))
    await small.outbox.close()
    await large.outbox.close()
    let open = try await measure { await (try Bench(folder + "/large.sqlite")).outbox.close() }
    print("open with 50,000 waiting: \(fixed(open * 1e3)) ms; peak resident memory \(peakResidentKilobytes()) KiB")
  }

  // MARK: - Small things

  enum Limit {
    case atMost(Double)
    case atLeast(Double)
  }

  /// A figure beside its limit, in the form that `Scripts/bench-delivery` collects.
  static func row(_ figure: String, _ value: Double, _ limit: Limit) {
    let (isKept, words) =
      switch limit {
      case .atMost(let most): (value <= most, "at most \(fixed(most))")
      case .atLeast(let least): (value >= least, "at least \(fixed(least))")
      }
    print("FIGURE | \(figure) | \(fixed(value)) | \(words) | \(isKept ? "ok" : "missed")")
  }

  static func measure(_ body: () async throws -> Void) async rethrows -> Double {
    let start = seconds()
    try await body()
    return seconds() - start
  }

  static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  static func median(_ values: [Double]) -> Double { percentile(values, 0.5) }

  static func percentile(_ values: [Double], _ share: Double) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  static func fixed(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }

  static func peakResidentKilobytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss
  }
}
