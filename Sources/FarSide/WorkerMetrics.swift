import CaptureDatabase
import Synchronization

/// What the worker counts, and the last look at the fleet, as Prometheus reads it (text format 0.0.4).
final class WorkerMetrics: Sendable {
  struct Counts {
    var messages = 0
    var batches = 0
    var batchMilliseconds: Int64 = 0
    var completed = 0
    var receipts = 0
    var refusals = 0
    var rejected = 0
    var databaseFailures = 0
    var brokerLosses = 0
    var refusedSubscriptions = 0
    var lastStored: Int64 = 0
    var isDatabaseUp = false
    var fleet: FleetFigures?
  }

  let counts = Mutex(Counts())

  /// - Parameters:
  ///   - filling: of the inbox.
  ///   - brokers: whether each is connected and subscribed.
  func text(filling: (items: Int, bytes: Int, oldestMilliseconds: Int64), brokers: [Bool]) -> String {
    let counts = counts.withLock { $0 }
    var text = ""
    func add(_ name: String, _ kind: String, _ help: String, _ samples: [(String, String)]) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
      for (labels, value) in samples { text += "\(name)\(labels) \(value)\n" }
    }
    func count(_ name: String, _ help: String, _ value: Int) { add(name, "counter", help, [("", "\(value)")]) }
    count("thermograph_receiver_messages_total", "Messages stored or judged.", counts.messages)
    count("thermograph_receiver_batches_total", "Batches committed.", counts.batches)
    add(
      "thermograph_receiver_batch_seconds_total", "counter", "Time spent in committed batches.",
      [("", "\(Double(counts.batchMilliseconds) / 1000)")])
    count("thermograph_receiver_captures_total", "Captures that became complete.", counts.completed)
    count("thermograph_receiver_receipts_total", "Receipts handed to brokers.", counts.receipts)
    count("thermograph_receiver_refusals_total", "Contents answered as refused.", counts.refusals)
    count("thermograph_receiver_rejected_total", "Messages not stored.", counts.rejected)
    count(
      "thermograph_receiver_database_failures_total", "Batches that the database did not take.", counts.databaseFailures
    )
    count("thermograph_receiver_broker_losses_total", "Connections to brokers lost or not made.", counts.brokerLosses)
    count(
      "thermograph_receiver_refused_subscriptions_total", "Subscriptions that a broker refused.",
      counts.refusedSubscriptions)
    add(
      "thermograph_receiver_database_up", "gauge", "Whether the last batch was stored.",
      [("", counts.isDatabaseUp ? "1" : "0")])
    add(
      "thermograph_receiver_inbox_messages", "gauge", "Messages that wait for the database.", [("", "\(filling.items)")]
    )
    add("thermograph_receiver_inbox_bytes", "gauge", "Bytes that wait for the database.", [("", "\(filling.bytes)")])
    add(
      "thermograph_receiver_behind_seconds", "gauge", "For how long the oldest of them waits.",
      [("", "\(Double(filling.oldestMilliseconds) / 1000)")])
    add(
      "thermograph_receiver_broker_connected", "gauge", "Connected and subscribed, by the place in --broker.",
      brokers.enumerated().map { ("{broker=\"\($0)\"}", $1 ? "1" : "0") })
    guard let fleet = counts.fleet else { return text }
    add("thermograph_fleet_devices", "gauge", "Devices that were ever heard of.", [("", "\(fleet.devices)")])
    add("thermograph_fleet_devices_online", "gauge", "Devices that are connected.", [("", "\(fleet.online)")])
    for (name, worst) in fleet.worst.sorted(by: { $0.key < $1.key }) {
      // Sites and devices are of `[a-z0-9-]`, so nothing needs to be escaped.
      add(
        name, "gauge", "Of the \(FleetFigures.worstMaximum) devices that are worst in it.",
        worst.map { ("{site=\"\($0.site)\",device=\"\($0.device)\"}", "\($0.value)") })
    }
    return text
  }
}
