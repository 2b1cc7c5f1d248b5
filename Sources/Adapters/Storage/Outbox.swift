import Forwarding
import Provenance

/// What the outbox wants a person to know; for the log, the lights and the status.
package enum OutboxNotice: Sendable, Equatable, CustomStringConvertible {
  /// The database was damaged or its log was lost. Delivery should look at the outbox from the beginning.
  case recovered(RecoveryReport)
  /// A watermark of the quota was passed; an alert is on its way too.
  case filling(percent: Int)
  /// A capture was not stored.
  case refused(QuotaRefusal)
  /// The file system is full although the quota is not; the ballast was given up.
  case noSpace
  /// There is room again.
  case spaceRecovered
  /// Rows of the index, or the numbers, were wrong and were set right. Delivery should look from the beginning.
  case mended(detail: String)
  /// The orderly end could not be written.
  case closeFailed(String)

  package var description: String {
    switch self {
    case .recovered(let report): "\(report)"
    case .filling(let percent): "outbox: \(percent) % full"
    case .refused(let refusal): "outbox: a capture was refused: \(refusal)"
    case .noSpace: "outbox: the file system is full; captures are refused until there is room"
    case .mended(let detail): "outbox: \(detail)"
    case .closeFailed(let error): "outbox: not ended in order: \(error)"
    case .spaceRecovered: "outbox: the file system has room again"
    }
  }
}

/// The sealed, durable store of everything that must reach the clinic. One per device; its thread does all the I/O.
///
/// Stores that wait at the same time share one commit. A call returns only after the commit: what it returned for
/// survives SIGKILL and a power cut.
package actor Outbox {
  /// Rounds of mending after which the database is made anew from its envelopes.
  private static let maximumMends = 8
  /// Requests in one commit, which bounds how long the first of them waits.
  private static let maximumGroup = 256

  private let thread: StorageThread
  package nonisolated var unownedExecutor: UnownedSerialExecutor { UnownedSerialExecutor(ordinary: thread) }

  package nonisolated let outboxID: RandomIdentifier
  /// The highest message id that was stored before this process began; 0 in a new outbox.
  package nonisolated let highestStoredAtStart: Int64
  /// What had to be done before the database could be used; nil when it was in order.
  package nonisolated let recoveryAtStart: RecoveryReport?
  /// The highest message id, each time something was stored. Only the newest is kept for a slow reader.
  package nonisolated let stored: AsyncStream<Int64>
  /// Things to be told; the oldest give way to a slow reader.
  package nonisolated let notices: AsyncStream<OutboxNotice>
  private nonisolated let storedContinuation: AsyncStream<Int64>.Continuation
  private nonisolated let noticeContinuation: AsyncStream<OutboxNotice>.Continuation

  let configuration: OutboxConfiguration
  private let time: any TimeSource
  private var generator: any RandomNumberGenerator & Sendable
  private var database: OutboxDatabase?
  private var ballast: Ballast
  private(set) var isOutOfSpace = false
  private var watermarks = QuotaWatermarks()
  private var waiting: [Request] = []
  private var commitIsScheduled = false
  /// Commits since the outbox was opened, of whatever kind.
  package private(set) var commits = 0

  /// One piece of work for the next commit.
  private enum Request {
    case capture(NewCapture, CheckedContinuation<Result<StoredCapture, OutboxError>, Never>)
    case message(NewMessage, CheckedContinuation<Result<Int64, OutboxError>, Never>)
    case settle(Settlement, CheckedContinuation<Result<Void, OutboxError>, Never>)
  }

  /// Opens the outbox whatever state its files are in: damage is repaired, and told by `recoveryAtStart`.
  ///
  /// - Parameters:
  ///   - time: dates settlements; `created` times come with the messages.
  ///   - generator: ids and nonces; cryptographic outside tests.
  package init(
    _ configuration: OutboxConfiguration, time: any TimeSource,
    generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) throws(OutboxError) {
    thread = try StorageThread()
    var ballast = Ballast(databasePath: configuration.path, bytes: configuration.quota.ballastBytes)
    var opened: (database: OutboxDatabase, report: RecoveryReport?)
    do throws(OutboxError) {
      opened = try OutboxRecovery.open(configuration, time: time, generator: generator)
    } catch .noSpace {
      guard try ballast.release() else { throw .noSpace(path: configuration.path) }
      opened = try OutboxRecovery.open(configuration, time: time, generator: generator)
    }
    try ballast.take()
    outboxID = opened.database.outboxID
    highestStoredAtStart = opened.database.nextMessage - 1
    recoveryAtStart = opened.report
    (stored, storedContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    (notices, noticeContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
    self.configuration = configuration
    self.time = time
    self.generator = generator
    self.ballast = ballast
    database = opened.database
    for detail in opened.database.takeRepairs() { noticeContinuation.yield(.mended(detail: detail)) }
  }

  // MARK: - Storing

  /// Stores a capture as a whole. Only after this returns may anyone be told "saved".
  package func enqueue(_ capture: NewCapture) async throws(OutboxError) -> StoredCapture {
    let answer = await answer { .capture(capture, $0) }
    return try answer.get()
  }

  /// Stores an alert, event, reply or health message; returns its id.
  @discardableResult
  package func enqueue(_ message: NewMessage) async throws(OutboxError) -> Int64 {
    let answer = await answer { .message(message, $0) }
    return try answer.get()
  }

  /// Notes what became of published messages, together with whatever else is to be committed.
  package func settle(_ settlement: Settlement) async throws(OutboxError) {
    let answer = await answer { .settle(settlement, $0) }
    try answer.get()
  }

  /// Submits the request and waits for what becomes of it. It throws nothing itself: Swift 6.2 cannot compile a
  /// continuation inside a function with a typed error.
  private func answer<Value>(
    _ request: (CheckedContinuation<Result<Value, OutboxError>, Never>) -> Request
  ) async -> Result<Value, OutboxError> {
    await withCheckedContinuation { submit(request($0)) }
  }

  /// Ends use in order. Requests that still wait are refused; what was committed stays. When the end itself cannot be
  /// written, a notice says so and the next start takes the run for interrupted, which costs nothing.
  package func close() {
    let requests = waiting
    waiting = []
    for request in requests { Self.fail(request, .closed) }
    do throws(OutboxError) {
      try database?.close()
    } catch {
      noticeContinuation.yield(.closeFailed("\(error)"))
    }
    database = nil
    storedContinuation.finish()
    noticeContinuation.finish()
  }

  // MARK: - Access

  /// Runs `body` on the database; when that finds damage, repairs the database and runs it once more. Rows of the index
  /// that are wrong are made again first, as often as it finds others.
  func withDatabase<R>(_ body: (OutboxDatabase) throws(OutboxError) -> R) throws(OutboxError) -> R {
    var mends = 0
    defer { tellRepairs() }
    while true {
      guard let database else { throw .closed }
      do throws(OutboxError) {
        return try body(database)
      } catch .unsound(let ids) where mends < Self.maximumMends {
        mends += 1
        do throws(OutboxError) {
          _ = try database.mend(ids)
        } catch {
          guard let cause = error.damage else { throw error }
          return try body(recover(cause))
        }
      } catch {
        let isUnsound = if case .unsound = error { true } else { false }
        guard let cause = error.damage ?? (isUnsound ? "\(error)" : nil) else { throw error }
        return try body(recover(cause))
      }
    }
  }

  private func tellRepairs() {
    for detail in database?.takeRepairs() ?? [] { noticeContinuation.yield(.mended(detail: detail)) }
  }

  /// The same for work in a transaction of its own. When the file system is full the ballast is given up, unless the
  /// work would only take more room.
  func withTransaction<R>(
    mayUseBallast: Bool = true, _ body: (OutboxDatabase) throws(OutboxError) -> R
  ) throws(OutboxError) -> R {
    do throws(OutboxError) {
      let result = try withDatabase { database throws(OutboxError) in
        try database.transaction { () throws(OutboxError) in try body(database) }
      }
      commits += 1
      return result
    } catch .noSpace(let path) {
      if !isOutOfSpace {
        isOutOfSpace = true
        noticeContinuation.yield(.noSpace)
      }
      guard mayUseBallast, try ballast.release() else { throw .noSpace(path: path) }
      try withDatabase { database throws(OutboxError) in try database.emptyLog() }
      let result = try withDatabase { database throws(OutboxError) in
        try database.transaction { () throws(OutboxError) in try body(database) }
      }
      commits += 1
      return result
    }
  }

  private func recover(_ cause: String) throws(OutboxError) -> OutboxDatabase {
    let counters = database?.counters ?? OutboxCounters()
    // The old connection must be gone before its files are.
    database = nil
    let (repaired, report) = try OutboxRecovery.rebuild(configuration, time: time, generator: generator, cause: cause)
    repaired.counters = counters
    database = repaired
    if let report { noticeContinuation.yield(.recovered(report)) }
    return repaired
  }

  /// Takes the ballast again once there is room.
  func restoreBallast() throws(OutboxError) {
    try ballast.take()
    if isOutOfSpace && (ballast.isHeld || configuration.quota.ballastBytes == 0) {
      isOutOfSpace = false
      noticeContinuation.yield(.spaceRecovered)
    }
  }

  // MARK: - Group commit

  private func submit(_ request: Request) {
    waiting.append(request)
    scheduleCommit()
  }

  /// The commit goes to the end of the thread's queue, behind every request that already stands there.
  private func scheduleCommit() {
    guard !commitIsScheduled else { return }
    commitIsScheduled = true
    Task { self.commit() }
  }

  private func commit() {
    commitIsScheduled = false
    let group = Array(waiting.prefix(Self.maximumGroup))
    waiting.removeFirst(group.count)
    if !waiting.isEmpty { scheduleCommit() }
    guard let database else {
      for request in group { Self.fail(request, .closed) }
      return
    }
    let before = database.nextMessage
    let outcome: Outcome
    do throws(OutboxError) {
      let mayUseBallast = group.allSatisfy { if case .capture = $0 { false } else { true } }
      outcome = try withTransaction(mayUseBallast: mayUseBallast) { database throws(OutboxError) in
        try perform(group, on: database)
      }
    } catch {
      for request in group {
        // Nothing can be written down now, so the capture's gap record comes when something can.
        if case .capture = request { self.database?.unreportedLosses += 1 }
        Self.fail(request, error)
      }
      return
    }
    watermarks = outcome.watermarks
    for notice in outcome.notices { noticeContinuation.yield(notice) }
    for answer in outcome.answers { answer() }
    tellStored(since: before)
  }

  /// Tells whoever delivers that there is something new, if there is.
  func tellStored(since before: Int64) {
    if let now = database?.nextMessage, now > before { storedContinuation.yield(now - 1) }
  }

  func newIdentifier() -> RandomIdentifier { RandomIdentifier(using: &generator) }

  /// What a group's transaction leaves to be told after the commit.
  private struct Outcome {
    var answers: [() -> Void] = []
    var notices: [OutboxNotice] = []
    var hasStored = false
    var watermarks: QuotaWatermarks
  }

  private func perform(_ group: [Request], on database: OutboxDatabase) throws(OutboxError) -> Outcome {
    var outcome = Outcome(watermarks: watermarks)
    for request in group { try Self.perform(request, on: database, &outcome) }
    // Where something new found room, so does the word of what did not.
    if outcome.hasStored { try database.reportUnreportedLosses() }
    let total = configuration.quota.totalBytes
    if let percent = outcome.watermarks.crossed(used: database.accounts.total.bytes, total: total) {
      outcome.notices.append(.filling(percent: percent))
      guard configuration.alertsWhenFilling else { return outcome }
      let detail = "the outbox holds \(percent) % of its \(total) bytes; at 95 % captures are refused"
      try database.insertAlert(
        code: "outbox-filling", severity: percent >= 95 ? .critical : .warning, detail: detail)
    }
    return outcome
  }

  /// Does one request inside the group's transaction and says what to tell its caller after the commit. A request
  /// that is refused for its own sake has changed nothing and does not harm its neighbours.
  private static func perform(
    _ request: Request, on database: OutboxDatabase, _ outcome: inout Outcome
  ) throws(OutboxError) {
    switch request {
    case .capture(let capture, let continuation):
      let result = try ownFault { () throws(OutboxError) in try database.insert(capture) }
      if case .failure(.refused(let refusal)) = result {
        database.counters[.capture].refused += 1
        outcome.notices.append(.refused(refusal))
        try database.insertGap(.refused, item: nil, detail: "\(refusal)") { gap in
          gap.deliveryClass = DeliveryClass.capture.name
          gap.captureID = capture.captureID
        }
      }
      if case .success = result { outcome.hasStored = true }
      outcome.answers.append { continuation.resume(returning: result) }
    case .message(let message, let continuation):
      let result = try ownFault { () throws(OutboxError) in try database.insert(message) }
      if case .failure(.refused) = result { database.counters[message.deliveryClass].refused += 1 }
      if case .success = result { outcome.hasStored = true }
      outcome.answers.append { continuation.resume(returning: result) }
    case .settle(let settlement, let continuation):
      try database.settle(settlement)
      outcome.answers.append { continuation.resume(returning: .success(())) }
    }
  }

  /// Sorts errors: those of the request are its result, those of the database end the transaction.
  private static func ownFault<R>(_ body: () throws(OutboxError) -> R) throws(OutboxError) -> Result<R, OutboxError> {
    do throws(OutboxError) {
      return .success(try body())
    } catch {
      switch error {
      case .refused, .payloadTooLarge, .record, .duplicateCapture, .invalidTopic: return .failure(error)
      default: throw error
      }
    }
  }

  private static func fail(_ request: Request, _ error: OutboxError) {
    switch request {
    case .capture(_, let continuation): continuation.resume(returning: .failure(error))
    case .message(_, let continuation): continuation.resume(returning: .failure(error))
    case .settle(_, let continuation): continuation.resume(returning: .failure(error))
    }
  }
}
