import Forwarding
import Glibc
import Provenance
import Synchronization

/// What was sent, what was seen on the brokers, what was receipted.
final class Account: Sendable {
  struct State {
    var began: Int64 = 0
    var ended: Int64?
    /// SHA-256 of the record of each capture.
    var records: [RandomIdentifier: String] = [:]
    var published: [RandomIdentifier: Int64] = [:]
    var receipted: [RandomIdentifier: Int64] = [:]
    var wrong = 0
    var refused = 0
    var births: [String: Int64] = [:]
    var birthCount = 0
    var allBirths: [(device: String, broker: Int, at: Int64)] = []
  }

  private let state = Mutex(State())
  private let trace: String?

  init(trace: String?) {
    self.trace = trace
  }

  static func milliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  func start() { state.withLock { $0.began = Self.milliseconds() } }
  func finish() { state.withLock { $0.ended = Self.milliseconds() } }
  var seconds: Double { state.withLock { Double(Self.milliseconds() - $0.began) / 1000 } }
  var receipted: Int { state.withLock { $0.receipted.count } }
  var births: Int { state.withLock { $0.births.count } }

  /// A device handed this message to its line.
  func sent(_ item: OutboxItem) {
    guard item.name == OutboxItem.recordName, let capture = item.captureID else { return }
    let now = Self.milliseconds()
    state.withLock { if $0.published[capture] == nil { $0.published[capture] = now } }
  }

  func stored(_ capture: RandomIdentifier, sha256: String) { state.withLock { $0.records[capture] = sha256 } }

  /// - Parameter broker: its place in the list of brokers.
  func saw(_ message: IncomingMessage, at broker: Int) {
    // Other devices may be on the same brokers.
    guard message.topic.hasPrefix("tg/v1/load/") else { return }
    let now = Self.milliseconds()
    if message.topic.hasSuffix("/dn/receipt") { return saw(receipt: message.payload, at: now) }
    guard let topic = UplinkTopic(message.topic) else { return }
    guard topic.kind == .status, (try? StatusMessage(decoding: message.payload))?.state == .online else { return }
    state.withLock { state in
      state.births[topic.schema.device.text] = now
      state.birthCount += 1
      state.allBirths.append((topic.schema.device.text, broker, now))
    }
  }

  private func saw(receipt payload: [UInt8], at now: Int64) {
    guard let receipt = try? Receipt(decoding: payload) else {
      return state.withLock { $0.wrong += 1 }
    }
    state.withLock { state in
      state.refused += receipt.refused.count
      for entry in receipt.entries where entry.name == OutboxItem.recordName {
        guard state.records[entry.captureID] == entry.sha256 else {
          state.wrong += 1
          continue
        }
        if state.receipted[entry.captureID] == nil { state.receipted[entry.captureID] = now }
      }
    }
  }

  /// One line of JSON, and the trace.
  ///
  /// - Parameter freed: captures for which the devices have a receipt; `seen` are those of which an observer heard it too.
  func report(devices: Int, captures: Int, freed: Int, waiting: Int) -> String {
    let state = state.withLock { $0 }
    var latencies: [Int64] = []
    // On the clock of all processes of this machine, so that a test knows what was before its own deeds.
    var lines = "began \(state.began)\n"
    for (id, at) in state.receipted {
      guard let published = state.published[id] else { continue }
      latencies.append(max(0, at - published))
      lines += "receipt \(Double(published - state.began) / 1000) \(Double(at - published) / 1000)\n"
    }
    for (device, broker, at) in state.allBirths {
      lines += "birth \(Double(at - state.began) / 1000) \(device) \(broker)\n"
    }
    if let trace, let file = fopen(trace, "w") {
      fputs(lines, file)
      fclose(file)
    }
    latencies.sort()
    func quantile(_ part: Double) -> Double {
      latencies.isEmpty ? -1 : Double(latencies[Int(part * Double(latencies.count - 1))]) / 1000
    }
    let seconds = Double((state.ended ?? Self.milliseconds()) - state.began) / 1000
    let first = state.published.values.min() ?? state.began
    let last = state.receipted.values.max() ?? state.began
    let busy = max(0.001, Double(last - first) / 1000)
    return
      #"{"devices":\#(devices),"captures":\#(devices * captures),"receipted":\#(freed),"seen":\#(state.receipted.count),"#
      + #""wrong":\#(state.wrong),"refused":\#(state.refused),"waiting":\#(waiting),"births":\#(state.birthCount),"#
      + #""p50":\#(quantile(0.5)),"p95":\#(quantile(0.95)),"max":\#(quantile(1)),"seconds":\#(seconds),"#
      + #""per_second":\#(Double(state.receipted.count) / busy)}"#
  }
}
