import Forwarding
import Testing

@Suite struct DeliveryMetricsTests {
  @Test func fileNamesEveryClassAndOnlyWhatHappened() {
    var accounts = OutboxAccounts()
    accounts.add(100, to: .image, .pending)
    accounts.add(50, to: .image, .pending)
    var counters = DeliveryCounters()
    counters.published[DeliveryClass.image.rawValue] = 7
    counters.acknowledgementsByReason = [0x10: 2, 0: 5]
    counters.failures = [.tls: 3]
    let text = DeliveryMetrics(
      accounts: accounts, counters: counters, oldestSeconds: [.image: 61], isConnected: true
    ).prometheusText
    let lines = text.split(separator: "\n")
    for line in [
      "thermograph_outbox_messages{class=\"image\",state=\"pending\"} 2",
      "thermograph_outbox_bytes{class=\"image\",state=\"pending\"} 150",
      "thermograph_outbox_messages{class=\"alert\",state=\"quarantined\"} 0",
      "thermograph_outbox_oldest_seconds{class=\"image\"} 61", "thermograph_published_total{class=\"image\"} 7",
      "thermograph_puback_total{reason=\"0\"} 5", "thermograph_puback_total{reason=\"16\"} 2",
      "thermograph_connection_failures_total{cause=\"tls\"} 3", "thermograph_connected 1",
    ] { #expect(lines.contains(Substring(line)), "\(line)") }
    #expect(!text.contains("oldest_seconds{class=\"alert\"}"))
    // Each family is introduced once, before its samples.
    let families = lines.filter { $0.hasPrefix("# TYPE") }
    #expect(Set(families).count == families.count)
    #expect(text.hasSuffix("\n"))
  }
}
