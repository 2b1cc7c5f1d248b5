import Forwarding
import Provenance
import Testing

@Suite struct DeliverySnapshotTests {
  private func time(_ boot: String, monotonicSeconds: UInt64, utcSeconds: Int64 = 0, synchronised: Bool = true)
    -> Timestamp
  {
    Timestamp(
      utcNanoseconds: utcSeconds * 1_000_000_000, bootID: boot, monotonicNanoseconds: monotonicSeconds * 1_000_000_000,
      synchronised: synchronised)
  }

  private func snapshot(at now: Timestamp, oldest: [DeliveryClass: Timestamp] = [:]) -> DeliverySnapshot {
    DeliverySnapshot(
      at: now,
      outbox: OutboxFigures(
        accounts: OutboxAccounts(), counters: OutboxCounters(), sync: SyncLatency(), oldest: oldest, quotaBytes: 1000),
      line: .unconfigured)
  }

  @Test func fileNamesEveryClassAndOnlyWhatHappened() {
    var shot = snapshot(
      at: time("a", monotonicSeconds: 100), oldest: [.image: time("a", monotonicSeconds: 39)])
    shot.outbox.accounts.add(100, to: .image, .pending)
    shot.outbox.accounts.add(50, to: .image, .pending)
    shot.outbox.counters[.image].enqueued = 9
    shot.outbox.counters[.health].dropped = 4
    shot.outbox.sync.note(microseconds: 1500)
    shot.outbox.sync.note(microseconds: 9_000_000)
    shot.line.state = .connected
    shot.line.counters.published[DeliveryClass.image.rawValue] = 7
    shot.line.counters.acknowledgementsByReason = [0x10: 2, 0: 5]
    shot.line.counters.failures = [.tls: 3]
    shot.line.certificateDays = -2
    let lines = shot.prometheusText.split(separator: "\n")
    for line in [
      "thermograph_outbox_messages{class=\"image\",state=\"pending\"} 2",
      "thermograph_outbox_bytes{class=\"image\",state=\"pending\"} 150",
      "thermograph_outbox_messages{class=\"alert\",state=\"quarantined\"} 0",
      "thermograph_outbox_oldest_seconds{class=\"image\"} 61", "thermograph_published_total{class=\"image\"} 7",
      "thermograph_enqueued_total{class=\"image\"} 9", "thermograph_dropped_total{class=\"health\"} 4",
      "thermograph_outbox_commit_seconds_bucket{le=\"0.001\"} 0",
      "thermograph_outbox_commit_seconds_bucket{le=\"0.002\"} 1",
      "thermograph_outbox_commit_seconds_bucket{le=\"5.0\"} 1",
      "thermograph_outbox_commit_seconds_bucket{le=\"+Inf\"} 2", "thermograph_outbox_commit_seconds_sum 9.0015",
      "thermograph_puback_total{reason=\"0\"} 5", "thermograph_puback_total{reason=\"16\"} 2",
      "thermograph_connection_failures_total{cause=\"tls\"} 3", "thermograph_connected 1",
      "thermograph_certificate_days -2", "thermograph_clock_synchronised 1",
    ] { #expect(lines.contains(Substring(line)), "\(line)") }
    #expect(!shot.prometheusText.contains("oldest_seconds{class=\"alert\"}"))
    // Each family is introduced once, before its samples.
    let families = lines.filter { $0.hasPrefix("# TYPE") }
    #expect(Set(families).count == families.count)
    #expect(shot.prometheusText.hasSuffix("\n"))
  }

  @Test func agesComeFromTheClockThatCanBeTrusted() {
    // The same boot: a wall clock that jumped by decades changes nothing.
    let jumped = snapshot(
      at: time("a", monotonicSeconds: 100, utcSeconds: 2_000_000_000),
      oldest: [.alert: time("a", monotonicSeconds: 40, utcSeconds: 0)])
    #expect(jumped.classes[0].oldestSeconds == 60)
    // Another boot: both wall clocks must have been right.
    let earlier = time("b", monotonicSeconds: 7, utcSeconds: 1000)
    let now = time("a", monotonicSeconds: 1, utcSeconds: 5000)
    #expect(snapshot(at: now, oldest: [.alert: earlier]).classes[0].oldestSeconds == 4000)
    var wrong = earlier
    wrong.synchronised = false
    #expect(snapshot(at: now, oldest: [.alert: wrong]).classes[0].oldestSeconds == nil)
  }

  @Test func percentOfTheQuota() {
    var shot = snapshot(at: time("a", monotonicSeconds: 0))
    shot.outbox.accounts.add(950, to: .capture, .delivered)
    #expect(shot.usedPercent == 95)
  }
}
