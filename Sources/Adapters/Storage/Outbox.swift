import Forwarding
import Provenance

/// The sealed, durable store of everything that must reach the clinic. One per device; its thread does all the I/O.
///
/// Stores that wait at the same time share one commit. A call returns only after the commit: what it returned for
/// survives SIGKILL and a power cut.
package actor Outbox {
  /// Requests in one commit, which bounds how long the first of them waits.
  private static let maximumGroup = 256

  private let thread: StorageThread
  package nonisolated var unownedExecutor: UnownedSerialExecutor { UnownedSerialExecutor(ordinary: thread) }

  package nonisolated let outboxID: RandomIdentifier
  /// The highest message id that was stored before this process began; 0 in a new outbox.
  package nonisolated let highestStoredAtStart: Int64
  /// The highest message id, each time something was stored. Only the newest is kept for a slow reader.
  package nonisolated let stored: AsyncStream<Int64>
  private nonisolated let storedContinuation: AsyncStream<Int64>.Continuation

  private var database: OutboxDatabase?
  private var waiting: [Request] = []
  private var commitIsScheduled = false

  /// One piece of work for the next commit.
  private enum Request {
    case capture(NewCapture, CheckedContinuation<Result<StoredCapture, OutboxError>, Never>)
    case message(NewMessage, CheckedContinuation<Result<Int64, OutboxError>, Never>)
    case settle(Settlement, CheckedContinuation<Result<Void, OutboxError>, Never>)
  }

  /// - Parameters:
  ///   - time: dates settlements; `created` times come with the messages.
  ///   - generator: ids and nonces; cryptographic outside tests.
  package init(
    _ configuration: OutboxConfiguration, time: any TimeSource,
    generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) throws(OutboxError) {
    thread = try StorageThread()
    let database = try OutboxDatabase(configuration, time: time, generator: generator)
    outboxID = database.outboxID
    highestStoredAtStart = database.nextMessage - 1
    (stored, storedContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.database = database
  }

  // MARK: - Storing

  /// Stores a capture as a whole. Only after this returns may anyone be told "saved".
  package func enqueue(_ capture: NewCapture) async throws(OutboxError) -> StoredCapture {
    try await withCheckedContinuation { submit(.capture(capture, $0)) }.get()
  }

  /// Stores an alert, event, reply or health message; returns its id.
  @discardableResult
  package func enqueue(_ message: NewMessage) async throws(OutboxError) -> Int64 {
    try await withCheckedContinuation { submit(.message(message, $0)) }.get()
  }

  // MARK: - Delivery

  /// Waiting messages of a class in their order, from behind `id` on.
  package func pending(_ deliveryClass: DeliveryClass, after id: Int64, limit: Int) throws(OutboxError) -> [OutboxItem]
  {
    try open().pending(deliveryClass, after: id, limit: limit)
  }

  /// The payload in the clear; `.sealing` when it cannot be opened (then quarantine it), `.missing` when it is gone.
  package func payload(of id: Int64) throws(OutboxError) -> [UInt8] {
    let database = try open()
    return try database.payload(of: database.find(id))
  }

  /// Notes what became of published messages, together with whatever else is to be committed.
  package func settle(_ settlement: Settlement) async throws(OutboxError) {
    try await withCheckedContinuation { submit(.settle(settlement, $0)) }.get()
  }

  /// Frees what a receiver has.
  package func apply(_ receipt: Receipt) throws(OutboxError) -> ReceiptOutcome {
    let database = try open()
    return try database.transaction { () throws(OutboxError) in try database.apply(receipt) }
  }

  /// Makes messages wait again whose receipt has not come; returns how many.
  package func requeueUnreceipted(olderThanSeconds seconds: Int) throws(OutboxError) -> Int {
    let database = try open()
    return try database.transaction { () throws(OutboxError) in
      try database.requeueUnreceipted(olderThanSeconds: seconds)
    }
  }

  // MARK: - Looking and mending

  package func accounts() throws(OutboxError) -> OutboxAccounts { try open().accounts }

  /// Messages of any state in order of arrival.
  package func list(after id: Int64 = 0, limit: Int = 1000) throws(OutboxError) -> [StoredItem] {
    try open().list(after: id, limit: limit)
  }

  package func items(ofCapture id: RandomIdentifier) throws(OutboxError) -> [StoredItem] {
    try open().find(captureID: id)
  }

  package func item(_ id: Int64) throws(OutboxError) -> StoredItem { try open().find(id) }

  /// Makes quarantined or unreceipted messages wait again.
  package func retry(_ ids: [Int64]) throws(OutboxError) {
    let database = try open()
    try database.transaction { () throws(OutboxError) in
      for id in ids { try database.retry(id) }
    }
  }

  /// Ends use. Requests that still wait are refused; what was committed stays.
  package func close() {
    let requests = waiting
    waiting = []
    for request in requests { Self.fail(request, .closed) }
    database = nil
    storedContinuation.finish()
  }

  // MARK: - Group commit

  private func open() throws(OutboxError) -> OutboxDatabase {
    guard let database else { throw .closed }
    return database
  }

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
    var answers: [() -> Void] = []
    let before = database.nextMessage
    do throws(OutboxError) {
      try database.transaction { () throws(OutboxError) in
        for request in group { answers.append(try Self.perform(request, on: database)) }
      }
    } catch {
      for request in group { Self.fail(request, error) }
      return
    }
    for answer in answers { answer() }
    if database.nextMessage > before { storedContinuation.yield(database.nextMessage - 1) }
  }

  /// Does one request inside the group's transaction and returns what to tell its caller after the commit. A request
  /// that is refused for its own sake has changed nothing and does not harm its neighbours.
  private static func perform(_ request: Request, on database: OutboxDatabase) throws(OutboxError) -> () -> Void {
    switch request {
    case .capture(let capture, let continuation):
      let result = try ownFault { () throws(OutboxError) in try database.insert(capture) }
      return { continuation.resume(returning: result) }
    case .message(let message, let continuation):
      let result = try ownFault { () throws(OutboxError) in try database.insert(message) }
      return { continuation.resume(returning: result) }
    case .settle(let settlement, let continuation):
      try database.settle(settlement)
      return { continuation.resume(returning: .success(())) }
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
