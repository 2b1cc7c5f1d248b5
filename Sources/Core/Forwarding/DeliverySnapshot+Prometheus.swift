/// The snapshot as a Prometheus text file (exposition format 0.0.4), for the textfile collector of node_exporter. Names
/// follow Prometheus' conventions: base units, `_total` for counters.
extension DeliverySnapshot {
  /// The file's content.
  package var prometheusText: String {
    var page = PrometheusPage()
    outboxFamilies(&page)
    lineFamilies(&page)
    return page.text
  }

  private func outboxFamilies(_ page: inout PrometheusPage) {
    let states = DeliveryClass.allCases.flatMap { deliveryClass in
      DeliveryState.allCases.map { state in
        (
          labels: "class=\"\(deliveryClass.name)\",state=\"\(state.name)\"",
          usage: outbox.accounts[deliveryClass, state]
        )
      }
    }
    page.add("outbox_messages", "gauge", "Messages in the outbox.", states.map { ($0.labels, $0.usage.rows) })
    page.add("outbox_bytes", "gauge", "Stored bytes in the outbox.", states.map { ($0.labels, $0.usage.bytes) })
    page.add("outbox_quota_bytes", "gauge", "Bytes that the outbox may hold.", [("", outbox.quotaBytes)])
    page.add(
      "outbox_oldest_seconds", "gauge", "Age of the oldest undelivered message.",
      classes.compactMap { figures in figures.oldestSeconds.map { (label(figures), $0) } })
    let counters: [(name: String, help: String, value: (Class) -> Int)] = [
      ("enqueued_total", "Messages stored.", { $0.stored.enqueued }),
      ("delivered_total", "Messages at their goal.", { $0.stored.delivered }),
      ("receipted_total", "Messages freed by a receipt.", { $0.stored.receipted }),
      ("dropped_total", "Messages removed undelivered to make room.", { $0.stored.dropped }),
      ("quarantined_total", "Messages set aside.", { $0.stored.quarantined }),
      ("not_stored_total", "Messages not stored for want of room.", { $0.stored.refused }),
      ("published_total", "Messages handed to the broker, repeats included.", { $0.published }),
      ("acknowledged_total", "Messages acknowledged by the broker.", { $0.acknowledged }),
      ("refused_total", "Messages refused by the broker.", { $0.refusedByBroker }),
    ]
    for counter in counters {
      page.add(counter.name, "counter", counter.help, classes.map { (label($0), counter.value($0)) })
    }
    let figures = outbox.times.table ?? [:]
    let terms = CaptureTimes.Term.allCases.compactMap { term in figures[term.rawValue].map { (term.rawValue, $0) } }
    page.add(
      "capture_time_milliseconds", "gauge",
      "T_total and its terms over the newest captures, as far as a clock proves them.",
      terms.flatMap { name, figure in
        [("0.5", figure.medianMilliseconds), ("0.95", figure.p95Milliseconds)].compactMap { quantile, value in
          value.map { (labels: "term=\"\(name)\",quantile=\"\(quantile)\"", value: Int(clamping: $0)) }
        }
      })
    page.add(
      "capture_time_unknown", "gauge", "Of the newest captures, those of which no clock proves the term.",
      terms.map { (labels: "term=\"\($0.0)\"", value: $0.1.unknown) })
    page.addHistogram("outbox_commit_seconds", "Time of a commit, its sync included.", outbox.sync)
  }

  private func lineFamilies(_ page: inout PrometheusPage) {
    let counters = line.counters
    page.add(
      "replayed_total", "counter", "Messages sent that were stored before the connection.", [("", counters.replayed)])
    page.add(
      "puback_total", "counter", "Acknowledgements by reason code.",
      counters.acknowledgementsByReason.sorted { $0.key < $1.key }.map { ("reason=\"\($0.key)\"", $0.value) })
    page.add(
      "receipts_refused_total", "counter", "Messages on dn/receipt that were not believed.",
      [("", counters.receiptsRefused)])
    page.add(
      "receipts_unfounded_total", "counter", "Words of receipts on messages that had not left the device.",
      [("", counters.receiptsUnfounded)])
    page.add("connections_total", "counter", "Connections to the broker.", [("", counters.connections)])
    page.add(
      "connection_failures_total", "counter", "Failed attempts and lost connections by cause.",
      LinkFailure.Kind.allCases.compactMap { kind in
        counters.failures[kind].map { ("cause=\"\(kind.rawValue)\"", $0) }
      })
    page.add("connected", "gauge", "1 while connected to the broker.", [("", line.state == .connected ? 1 : 0)])
    page.add(
      "certificate_days", "gauge", "Days until the device's certificate ends.",
      line.certificateDays.map { [("", $0)] } ?? [])
    page.add(
      "clock_synchronised", "gauge", "1 while the wall clock follows a time source.", [("", at.synchronised ? 1 : 0)])
  }

  private func label(_ figures: Class) -> String { "class=\"\(figures.deliveryClass.name)\"" }
}

/// Text in the exposition format under construction.
private struct PrometheusPage {
  private(set) var text = ""

  mutating func add(_ name: String, _ kind: String, _ help: String, _ samples: [(labels: String, value: Int)]) {
    guard !samples.isEmpty else { return }
    introduce(name, kind, help)
    for sample in samples {
      text += "thermograph_\(name)\(sample.labels.isEmpty ? "" : "{\(sample.labels)}") \(sample.value)\n"
    }
  }

  /// Buckets are cumulative in this format.
  mutating func addHistogram(_ name: String, _ help: String, _ latency: SyncLatency) {
    introduce(name, "histogram", help)
    var sum = 0
    for (bound, count) in zip(SyncLatency.boundsMilliseconds, latency.buckets) {
      sum += count
      text += "thermograph_\(name)_bucket{le=\"\(Double(bound) / 1000)\"} \(sum)\n"
    }
    text += "thermograph_\(name)_bucket{le=\"+Inf\"} \(latency.commits)\n"
    text += "thermograph_\(name)_sum \(Double(latency.totalMicroseconds) / 1_000_000)\n"
    text += "thermograph_\(name)_count \(latency.commits)\n"
  }

  private mutating func introduce(_ name: String, _ kind: String, _ help: String) {
    text += "# HELP thermograph_\(name) \(help)\n# TYPE thermograph_\(name) \(kind)\n"
  }
}
