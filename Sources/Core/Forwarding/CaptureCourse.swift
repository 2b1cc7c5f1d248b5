import Provenance

/// When a capture came to each of its stations, by the device's own clocks; what the far side says of its own time comes
/// along as a difference and is never compared with ours.
package struct CaptureCourse: Sendable, Hashable, Codable {
  /// How far the two roundings and the clocks' rates may lead a term below zero before the far side's clock is not believed.
  package static let slackMilliseconds: Int64 = 50

  /// The last frame had been read.
  package var ended: Timestamp
  /// Record and images went to the disk; nil where that is not known any more.
  package var stored: Timestamp?
  /// The receipt of the record was here.
  package var receipted: Timestamp?
  /// How long the far side had the whole capture before it was durable there, by its clock; nil: it does not say.
  package var receiptCloudMilliseconds: Int64?

  package init(ended: Timestamp, stored: Timestamp?) {
    self.ended = ended
    self.stored = stored
  }

  /// The receipt came. One that comes again changes nothing.
  package mutating func receipt(at now: Timestamp, cloud milliseconds: Int64?) {
    guard receipted == nil else { return }
    receipted = now
    receiptCloudMilliseconds = milliseconds.flatMap { $0 >= 0 ? $0 : nil }
  }

  /// The terms as far as the receipt closes them; the reader's share is none.
  package var timesToReceipt: CaptureTimes {
    guard let receipted else { return CaptureTimes(edge: edge) }
    let cloud = receiptCloudMilliseconds
    return terms(to: receipted, cloud: cloud) { total, edge in
      guard let cloud else { return CaptureTimes(total: total, edge: edge) }
      return CaptureTimes(total: total, edge: edge, queue: total - edge - cloud, cloud: cloud, response: 0)
    }
  }

  /// The terms when the reader's answer has come.
  ///
  /// - Parameter cloudMilliseconds: from the whole capture to the reader's worklist, by the far side's clock.
  package func timesToAnswer(at now: Timestamp, cloud cloudMilliseconds: Int64) -> CaptureTimes {
    let cloud = cloudMilliseconds >= 0 ? cloudMilliseconds : nil
    let queue = timesToReceipt.queue
    return terms(to: now, cloud: cloud) { total, edge in
      guard let queue, let cloud else { return CaptureTimes(total: total, edge: edge, queue: queue, cloud: cloud) }
      return CaptureTimes(
        total: total, edge: edge, queue: queue, cloud: cloud, response: total - edge - queue - cloud)
    }
  }

  private var edge: Int64? { stored.flatMap { Self.milliseconds(from: ended, to: $0) } }

  private func terms(
    to end: Timestamp, cloud: Int64?, _ known: (_ total: Int64, _ edge: Int64) -> CaptureTimes
  ) -> CaptureTimes {
    guard let total = Self.milliseconds(from: ended, to: end) else { return CaptureTimes(edge: edge, cloud: cloud) }
    guard let edge, edge <= total else { return CaptureTimes(total: total, cloud: cloud) }
    return known(total, edge).withoutTheImpossible()
  }

  /// From one moment to another: within one boot by the monotonic clock, else by two wall clocks that time sources
  /// vouched for. nil: no clock proves it.
  package static func milliseconds(from start: Timestamp, to end: Timestamp) -> Int64? {
    if start.bootID == end.bootID {
      guard end.monotonicNanoseconds >= start.monotonicNanoseconds else { return nil }
      return Int64(clamping: (end.monotonicNanoseconds - start.monotonicNanoseconds) / 1_000_000)
    }
    guard start.synchronised, end.synchronised else { return nil }
    let (difference, overflow) = end.utcNanoseconds.subtractingReportingOverflow(start.utcNanoseconds)
    return overflow || difference < 0 ? nil : difference / 1_000_000
  }
}

/// T_total = T_edge + T_queue + T_cloud + T_response of one capture, in milliseconds; nil: no clock proves it.
package struct CaptureTimes: Sendable, Hashable, Codable {
  package enum Term: String, Sendable, CaseIterable {
    case total, edge, queue, cloud, response
  }

  /// From the last frame to the receipt, or to the reader's answer.
  package var total: Int64?
  /// From the last frame until the record is stored.
  package var edge: Int64?
  /// Waiting and travelling: from the disk here to the receipt, less what the far side took.
  package var queue: Int64?
  /// What the far side took, by its clock alone.
  package var cloud: Int64?
  /// What is left: the reader, and the way back.
  package var response: Int64?

  package init(
    total: Int64? = nil, edge: Int64? = nil, queue: Int64? = nil, cloud: Int64? = nil, response: Int64? = nil
  ) {
    self.total = total
    self.edge = edge
    self.queue = queue
    self.cloud = cloud
    self.response = response
  }

  package subscript(term: Term) -> Int64? {
    switch term {
    case .total: total
    case .edge: edge
    case .queue: queue
    case .cloud: cloud
    case .response: response
    }
  }

  /// What is left over is below zero where the far side's clock says more than the device saw pass: by no more than the
  /// slack it is rounding, and the far side's share gives it; else that clock proves nothing.
  fileprivate func withoutTheImpossible() -> CaptureTimes {
    var times = self
    for term in [\CaptureTimes.queue, \CaptureTimes.response] {
      guard let rest = times[keyPath: term], rest < 0 else { continue }
      if -rest <= CaptureCourse.slackMilliseconds, let cloud = times.cloud, cloud + rest >= 0 {
        times[keyPath: term] = 0
        times.cloud = cloud + rest
      } else {
        (times.cloud, times.response) = (nil, nil)
        if term == \.queue { times.queue = nil }
      }
    }
    return times
  }
}

/// The times of the newest captures, as a distribution.
package struct TimesDistribution: Sendable, Equatable {
  /// Captures that are looked back on.
  package static let most = 512

  package struct Figures: Sendable, Equatable, Codable {
    /// nil where no capture has a known one.
    package var medianMilliseconds: Int64?
    /// Below it lie 95 of 100.
    package var p95Milliseconds: Int64?
    package var known: Int
    package var unknown: Int

    package init(medianMilliseconds: Int64? = nil, p95Milliseconds: Int64? = nil, known: Int, unknown: Int) {
      self.medianMilliseconds = medianMilliseconds
      self.p95Milliseconds = p95Milliseconds
      self.known = known
      self.unknown = unknown
    }

    private enum CodingKeys: String, CodingKey {
      case known, unknown
      case medianMilliseconds = "median_ms"
      case p95Milliseconds = "p95_ms"
    }
  }

  /// In the order of arrival; a capture that is answered takes the place of its receipt.
  private var times: [(capture: RandomIdentifier, CaptureTimes)] = []

  package init() {}

  package static func == (left: Self, right: Self) -> Bool {
    left.times.elementsEqual(right.times) { $0.capture == $1.capture && $0.1 == $1.1 }
  }

  package mutating func note(_ capture: RandomIdentifier, _ new: CaptureTimes) {
    if let index = times.lastIndex(where: { $0.capture == capture }) {
      times[index].1 = new
    } else {
      times.append((capture, new))
      if times.count > Self.most { times.removeFirst(times.count - Self.most) }
    }
  }

  package var count: Int { times.count }

  /// By the nearest rank.
  package func figures(_ term: CaptureTimes.Term) -> Figures {
    let known = times.compactMap { $0.1[term] }.sorted()
    func rank(_ percent: Int) -> Int64? {
      known.isEmpty ? nil : known[max(0, (known.count * percent + 99) / 100 - 1)]
    }
    return Figures(
      medianMilliseconds: rank(50), p95Milliseconds: rank(95), known: known.count, unknown: times.count - known.count)
  }

  /// By the name of the term; nil where no capture came to its receipt yet.
  package var table: [String: Figures]? {
    times.isEmpty
      ? nil : Dictionary(uniqueKeysWithValues: CaptureTimes.Term.allCases.map { ($0.rawValue, figures($0)) })
  }
}

/// The JSON on `up/event` with the times of one capture. Its schema is `Docs/schemas/times-1.schema.json`.
package struct TimesMessage: Sendable, Equatable, Encodable {
  package static let schema = "thermograph.times.v1"

  package var captureID: RandomIdentifier
  package var times: CaptureTimes
  /// RFC 3339.
  package var at: String

  package init(_ captureID: RandomIdentifier, _ times: CaptureTimes, at now: Timestamp) {
    self.captureID = captureID
    self.times = times
    at = now.rfc3339
  }

  private enum CodingKeys: String, CodingKey {
    case schema, kind, at
    case captureID = "capture_id"
    case total = "total_ms"
    case edge = "edge_ms"
    case queue = "queue_ms"
    case cloud = "cloud_ms"
    case response = "response_ms"
  }

  /// What is unknown is written as null: left out it would look forgotten.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.schema, forKey: .schema)
    try container.encode("times", forKey: .kind)
    try container.encode(at, forKey: .at)
    try container.encode(captureID, forKey: .captureID)
    try container.encode(times.total, forKey: .total)
    try container.encode(times.edge, forKey: .edge)
    try container.encode(times.queue, forKey: .queue)
    try container.encode(times.cloud, forKey: .cloud)
    try container.encode(times.response, forKey: .response)
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }
}
