import CaptureDatabase
import Forwarding
import Provenance

/// What the database's thread does beside storing, each at its time. A failure is told; the next turn tries again.
struct Housekeeping {
  private static let downlinkMilliseconds: Int64 = 3000
  private static let fleetMilliseconds: Int64 = 30_000
  private static let viewsMilliseconds: Int64 = 3_600_000
  /// While there is more to drop: 16 views of some 20 ms each in two seconds, so that captures are stored beside it.
  private static let moreViewsMilliseconds: Int64 = 2000

  private let keepViewsDays: Int?
  private var nextDownlinks: Int64 = 0
  private var nextFleet: Int64 = 0
  private var nextViews: Int64 = 0
  /// Since it was told last.
  private var views = DatabaseStore.DroppedViews()

  init(keepViewsDays: Int?) {
    self.keepViewsDays = keepViewsDays
  }

  mutating func work(
    _ store: DatabaseStore, _ lines: [BrokerLine], _ metrics: WorkerMetrics, note: (String) -> Void
  ) {
    let now = monotonicMilliseconds()
    do throws(DatabaseError) {
      if now >= nextDownlinks {
        nextDownlinks = now + Self.downlinkMilliseconds
        try carryDownlinks(store, lines)
      }
      if now >= nextFleet {
        nextFleet = now + Self.fleetMilliseconds
        let figures = try store.fleetFigures()
        metrics.counts.withLock { $0.fleet = figures }
      }
      if let keepViewsDays, now >= nextViews {
        let done = try store.dropViews(olderThanDays: keepViewsDays)
        nextViews = now + (done.isUnfinished ? Self.moreViewsMilliseconds : Self.viewsMilliseconds)
        tell(done, days: keepViewsDays, note)
      }
      metrics.counts.withLock { $0.isDatabaseUp = true }
    } catch {
      metrics.counts.withLock { counts in
        if counts.isDatabaseUp { note("\(error)") }
        counts.isDatabaseUp = false
        counts.databaseFailures += 1
      }
    }
  }

  private mutating func tell(_ done: DatabaseStore.DroppedViews, days: Int, _ note: (String) -> Void) {
    views.dropped += done.dropped
    views.stay += done.stay
    guard !done.isUnfinished else { return }
    if views.dropped > 0 { note("\(views.dropped) views older than \(days) days dropped; their masters stay") }
    if views.stay > 0 {
      note("\(views.stay) views older than \(days) days stay: their masters give other bytes with this version")
    }
    views = DatabaseStore.DroppedViews()
  }

  /// New ones go to every broker, because nobody knows where a device is: only that one has a subscriber.
  private func carryDownlinks(_ store: DatabaseStore, _ lines: [BrokerLine]) throws(DatabaseError) {
    let published = Set(lines.flatMap { $0.takePublished() })
    if !published.isEmpty { try store.notePublished(published.sorted()) }
    let connected = lines.filter(\.isConnected)
    guard !connected.isEmpty else { return }
    let downlinks = try store.newDownlinks()
    if !downlinks.isEmpty { for line in connected { line.send(downlinks) } }
  }
}

/// Bounds what is said of one device in a minute: a hostile one fills no log.
struct NoteMeter {
  private static let maximum = 10
  private static let devicesMaximum = 10_000
  private var minute: Int64 = -1
  private var counts: [TopicSchema?: Int] = [:]

  /// - Parameter place: nil for messages of no device, which share one account.
  mutating func mayTell(of place: TopicSchema?, at milliseconds: Int64) -> Bool {
    if milliseconds / 60_000 != minute || counts.count >= Self.devicesMaximum {
      minute = milliseconds / 60_000
      counts.removeAll(keepingCapacity: true)
    }
    counts[place, default: 0] += 1
    return counts[place, default: 0] <= Self.maximum
  }
}
