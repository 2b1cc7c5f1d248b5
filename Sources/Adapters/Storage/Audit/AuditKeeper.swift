import Audit
import Forwarding
import LocalFiles
import Provenance
import Synchronization
import Trust

/// The running device's audit log: its one writer, on a thread of its own, so that a slow card keeps nobody waiting who does
/// not ask for it.
///
///     services --write, post--> AuditKeeper --one sync--> AuditLog --> up/event, through the outbox
///     tools --notes, files------^
///
/// A log that cannot be opened or written keeps no capture from being taken: what was handed over waits in memory, `write`
/// throws, and nothing from afar is done.
package actor AuditKeeper: AuditTrail {
  /// Events that wait for the thread, and events that wait for a disk that takes them again.
  private static let maximumWaiting = 1024
  /// Entries between the log and the outbox that are held in memory.
  private static let maximumOutgoing = 256
  /// Entries handed on after which the place is written down; after a crash so many may go out twice.
  private static let sentStep: UInt64 = 32
  /// A clock that moved by more between two looks gets an entry; half of what an examination lets pass.
  private static let clockStepNanoseconds: Int64 = 1_000_000_000

  private let thread: StorageThread
  package nonisolated var unownedExecutor: UnownedSerialExecutor { UnownedSerialExecutor(ordinary: thread) }

  /// What others see without waiting.
  private struct Shared {
    var head: AuditHead?
    var refusal: String?
    var posted: [AuditEvent] = []
    var lost = 0
  }

  private nonisolated let shared: Mutex<Shared>
  let files: AuditFiles
  let outbox: Outbox
  let time: any TimeSource
  /// Called when a problem begins (with its words) and ends (nil).
  private let tell: @Sendable (String?) -> Void
  var log: AuditLog?
  private(set) var problem: String?
  /// The last entry at the opening was no `stop`.
  private let endedUncleanly: Bool
  /// Two writers would make two logs of one.
  private let lock: FileLock?
  private static let lockWaitMilliseconds = 2000
  private var unwritten: [AuditEvent] = []
  private var lastTime: Timestamp?
  private var lastSeen: Timestamp?
  private var outgoing: [(head: AuditHead, text: [UInt8])] = []
  private var sent: UInt64 = 0
  private var savedSent: UInt64 = 0
  private var isForwarding = false
  private let sendsEntries: Bool
  private var forwardWaiters: [CheckedContinuation<Void, Never>] = []
  var cosigned: AuditHead?
  var isForeignTold = false

  /// Opens the log, or begins one.
  ///
  /// - Parameters:
  ///   - origin: whose log; nil with the reason where the device has no audit key to say so.
  ///   - sendsEntries: entries go up as events; not on a thin line, where records carry the head alone.
  ///   - tell: called from the log's thread.
  /// - Throws: only when the system gives no thread.
  package init(
    _ files: AuditFiles, keys: KeyRing?, origin: Result<AuditOrigin, AuditKeyFault>, limits: AuditLog.Limits = .init(),
    outbox: Outbox, time: any TimeSource, sendsEntries: Bool = true, tell: @escaping @Sendable (String?) -> Void
  ) throws(OutboxError) {
    thread = try StorageThread()
    self.sendsEntries = sendsEntries
    self.files = files
    self.outbox = outbox
    self.time = time
    self.tell = tell
    var opened: AuditLog?
    var lock: FileLock?
    var endedUncleanly = false
    var problem: String?
    var lastTime: Timestamp?
    do {
      guard let keys else { throw AuditFault("the log's key could not be made") }
      try Folder.makeAll(files.directory, mode: 0o700)
      lock = try FileLock(files.lockPath, waitMilliseconds: Self.lockWaitMilliseconds)
      let log = try AuditLog(directory: files.directory, keys: keys, beginning: try origin.get(), limits: limits)
      let last = try log.lastEntry()
      lastTime = last?.time
      endedUncleanly = last.map { $0.kind != .stop } ?? false
      sent = try Self.readSent(files, of: log)
      opened = log
    } catch { problem = "\(error)" }
    savedSent = sent
    self.lock = lock
    self.endedUncleanly = endedUncleanly
    log = opened
    self.lastTime = lastTime
    self.problem = problem
    shared = Mutex(Shared(head: opened?.head, refusal: problem))
    if let opened { cosigned = Self.readCosigned(files, of: opened) }
    if let problem { tell(problem) }
  }

  // MARK: - AuditTrail

  package nonisolated var head: AuditHead? { shared.withLock { $0.head } }
  package nonisolated var refusalFromAfar: String? { shared.withLock { $0.refusal } }

  package nonisolated func post(_ event: AuditEvent) {
    let mustWake = shared.withLock { shared in
      guard shared.posted.count < Self.maximumWaiting else {
        shared.lost += 1
        return false
      }
      shared.posted.append(event)
      return shared.posted.count == 1
    }
    if mustWake { Task { await takePosted() } }
  }

  package func write(_ event: AuditEvent) async throws {
    takePosted()
    if event.isFromAfar, let log, !log.hasRoomForRemote { throw AuditLogError.full(log.byteCount) }
    try flush()
    try append(event)
    publish()
  }

  // MARK: - The run

  /// Says how the run before ended, and that this one begins; then takes what tools left.
  package func begin(_ start: AuditEvent) {
    if endedUncleanly { keep(.uncleanEnd) }
    keep(start)
    takeNotes()
    publish()
  }

  /// Once a minute: what tools left, how the clock went, and what the outbox did not take before.
  package func look() async {
    takePosted()
    await takeReceipts()
    let now = time.now()
    if let lastSeen,
      let step = AuditClock.step(from: lastSeen, to: now, toleranceNanoseconds: Self.clockStepNanoseconds)
    {
      keep(.clockStep(milliseconds: step / 1_000_000))
    }
    lastSeen = now
    takeNotes()
    do {
      try flush()
      try tidy()
    } catch { trouble("\(error)") }
    saveSent()
    publish()
  }

  /// The last entry of an orderly end. What comes later is lost.
  package func end(reason: String? = nil) async {
    guard log != nil else { return }
    takePosted()
    takeNotes()
    keep(.stop(reason: reason))
    publish()
    // One that is under way knows the way, and ends before the place is written down.
    if isForwarding { await withCheckedContinuation { forwardWaiters.append($0) } }
    await forward()
    saveSent()
    log = nil
    lock?.release()
    problem = problem ?? "the device has stopped"
    shared.withLock { $0.refusal = problem }
  }

  /// Lets the log go without a word, as an end by force does.
  package func abandon() {
    log = nil
    lock?.release()
  }

  // MARK: - Writing

  private func takePosted() {
    let (events, lost) = shared.withLock { shared in
      defer { (shared.posted, shared.lost) = ([], 0) }
      return (shared.posted, shared.lost)
    }
    for event in events { keep(event) }
    if lost > 0 { keep(.storageRefusal(.audit, reason: "\(lost) entries were lost: too many at once, or too long")) }
    if !events.isEmpty { publish() }
  }

  /// Writes an entry; one that the disk does not take waits.
  private func keep(_ event: AuditEvent) {
    do {
      try flush()
      try append(event)
    } catch {
      // One that no log could hold must not stand in the way of those behind it.
      if case AuditLogError.entry = error { return shared.withLock { $0.lost += 1 } }
      guard unwritten.count < Self.maximumWaiting else { return shared.withLock { $0.lost += 1 } }
      unwritten.append(event)
    }
  }

  private func flush() throws(AuditLogError) {
    while let first = unwritten.first {
      try append(first)
      unwritten.removeFirst()
    }
  }

  private func append(_ event: AuditEvent) throws(AuditLogError) { try append(event.kind, event.what) }

  private func append(_ kind: AuditKind, _ what: JSONObject) throws(AuditLogError) {
    guard log != nil else { throw .damaged(problem ?? "the log is closed") }
    let now = time.now()
    if let lastTime, kind != .clockStep,
      let step = AuditClock.step(from: lastTime, to: now, toleranceNanoseconds: Self.clockStepNanoseconds)
    {
      let event = AuditEvent.clockStep(milliseconds: step / 1_000_000)
      try appendOne(event.kind, event.what, at: now)
    }
    try appendOne(kind, what, at: now)
  }

  private func appendOne(_ kind: AuditKind, _ what: JSONObject, at now: Timestamp) throws(AuditLogError) {
    do throws(AuditLogError) {
      guard let text = try log?.appendText(kind, what, at: now), let head = log?.head else { return }
      (lastTime, lastSeen) = (now, now)
      if outgoing.count < Self.maximumOutgoing, sent + UInt64(outgoing.count) + 1 == head.size {
        outgoing.append((head, text))
      }
      recovered()
    } catch {
      // An entry that is too long is that entry's fault alone.
      if case .entry = error {} else { trouble(error.description) }
      throw error
    }
  }

  func trouble(_ reason: String) {
    let isNew = problem == nil
    problem = reason
    publish()
    if isNew { tell(reason) }
  }

  private func recovered() {
    guard problem != nil else { return }
    problem = nil
    tell(nil)
  }

  /// Shows the others how the log stands, and hands new entries on.
  func publish() {
    let refusal: String? =
      problem ?? (log.map(\.hasRoomForRemote) == false ? AuditLogError.full(log?.byteCount ?? 0).description : nil)
    shared.withLock { shared in
      shared.head = log?.head ?? shared.head
      shared.refusal = refusal
    }
    Task { await forward() }
  }

  private func takeNotes() {
    do {
      let (notes, faults) = try files.notes()
      for note in notes {
        try append(note.kind, note.what)
        try BoundedFile.remove(note.path)
      }
      for fault in faults { try append(.storageRefusal(.audit, reason: "a tool's note is not readable: \(fault)")) }
    } catch { trouble("\(error)") }
  }

  // MARK: - Handing on

  /// Puts entries into the outbox that it does not have yet, in their order.
  private func forward() async {
    guard sendsEntries, !isForwarding else { return }
    isForwarding = true
    do {
      while try await forwardNext() {}
    } catch {
      // They stay in the log, and the next entry or look tries again.
    }
    isForwarding = false
    for waiter in forwardWaiters { waiter.resume() }
    forwardWaiters = []
  }

  /// - Returns: false when the outbox has them all.
  private func forwardNext() async throws -> Bool {
    guard let log, sent < log.head.size else { return false }
    if outgoing.isEmpty { outgoing = try log.entries(from: sent, maximum: Self.maximumOutgoing) }
    guard let next = outgoing.first else { return false }
    let message = AuditMessage(log: log.origin.log, head: next.head, entry: next.text)
    try await outbox.enqueue(.event(message.encoded, created: time.now()))
    sent = next.head.size
    if !outgoing.isEmpty { outgoing.removeFirst() }
    if sent >= savedSent + Self.sentStep { saveSent() }
    return true
  }

  private func saveSent() {
    guard sent != savedSent, let log else { return }
    do throws(FileError) {
      let text = JSONValue.object([
        "log": .string(ExactText(log.origin.log.description)), "size": .integer(Int64(clamping: sent)),
      ])
      try BoundedFile.replace(files.sentPath, with: text.encoded(), mode: 0o600)
      savedSent = sent
    } catch {
      // After a crash some go out twice, which the far side knows by their place.
    }
  }

  /// Entries that the outbox had; none where nothing says so, or it is said of another log.
  private static func readSent(_ files: AuditFiles, of log: AuditLog) throws -> UInt64 {
    let none = log.base.size
    guard let bytes = try BoundedFile.readIfThere(files.sentPath, maximumBytes: 256) else { return none }
    do {
      guard case .object(let object) = try JSONValue(reading: bytes, within: AuditEntry.limits),
        try object.text("log") == ExactText(log.origin.log.description)
      else { return none }
      let size = UInt64(try object.integer("size", in: 0...Int64.max))
      return size <= log.head.size ? max(size, none) : none
    } catch {
      // A torn file: everything that is kept goes out again.
      return none
    }
  }
}

/// Why the device has no audit key.
package struct AuditKeyFault: Error, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
