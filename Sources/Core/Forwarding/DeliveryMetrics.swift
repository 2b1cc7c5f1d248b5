/// The delivery's counters and gauges as a Prometheus text file (exposition format 0.0.4), for the textfile collector
/// of node_exporter. Names follow Prometheus' conventions: base units, `_total` for counters.
package struct DeliveryMetrics: Sendable {
  package var accounts: OutboxAccounts
  package var counters: DeliveryCounters
  /// Age of the oldest undelivered message by class; absent where nothing waits.
  package var oldestSeconds: [DeliveryClass: Int]
  package var isConnected: Bool

  package init(
    accounts: OutboxAccounts, counters: DeliveryCounters, oldestSeconds: [DeliveryClass: Int], isConnected: Bool
  ) {
    self.accounts = accounts
    self.counters = counters
    self.oldestSeconds = oldestSeconds
    self.isConnected = isConnected
  }

  /// The file's content.
  package var prometheusText: String {
    var text = ""
    func family(_ name: String, _ kind: String, _ help: String, _ samples: [(labels: String, value: Int)]) {
      guard !samples.isEmpty else { return }
      text += "# HELP thermograph_\(name) \(help)\n# TYPE thermograph_\(name) \(kind)\n"
      for sample in samples {
        text += "thermograph_\(name)\(sample.labels.isEmpty ? "" : "{\(sample.labels)}") \(sample.value)\n"
      }
    }
    func byClass(_ values: [Int]) -> [(labels: String, value: Int)] {
      DeliveryClass.allCases.map { ("class=\"\($0.name)\"", values[$0.rawValue]) }
    }
    let states = DeliveryClass.allCases.flatMap { deliveryClass in
      DeliveryState.allCases.map { state in
        (
          labels: "class=\"\(deliveryClass.name)\",state=\"\(state.name)\"",
          usage: accounts[deliveryClass, state]
        )
      }
    }
    family("outbox_messages", "gauge", "Messages in the outbox.", states.map { ($0.labels, $0.usage.rows) })
    family("outbox_bytes", "gauge", "Stored bytes in the outbox.", states.map { ($0.labels, $0.usage.bytes) })
    family(
      "outbox_oldest_seconds", "gauge", "Age of the oldest undelivered message.",
      DeliveryClass.allCases.compactMap { deliveryClass in
        oldestSeconds[deliveryClass].map { ("class=\"\(deliveryClass.name)\"", $0) }
      })
    family(
      "published_total", "counter", "Messages handed to the broker, repeats included.", byClass(counters.published))
    family("acknowledged_total", "counter", "Messages acknowledged by the broker.", byClass(counters.acknowledged))
    family("refused_total", "counter", "Messages refused by the broker.", byClass(counters.refused))
    family("quarantined_total", "counter", "Messages set aside.", byClass(counters.quarantined))
    family(
      "replayed_total", "counter", "Messages sent that were stored before the connection.", [("", counters.replayed)])
    family(
      "puback_total", "counter", "Acknowledgements by reason code.",
      counters.acknowledgementsByReason.sorted { $0.key < $1.key }.map { ("reason=\"\($0.key)\"", $0.value) })
    family("connections_total", "counter", "Connections to the broker.", [("", counters.connections)])
    family(
      "connection_failures_total", "counter", "Failed attempts and lost connections by cause.",
      LinkFailure.Kind.allCases.compactMap { kind in
        counters.failures[kind].map { ("cause=\"\(kind.rawValue)\"", $0) }
      })
    family("connected", "gauge", "1 while connected to the broker.", [("", isConnected ? 1 : 0)])
    return text
  }
}
