import Audit
import Forwarding
import LocalFiles
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage

/// Carries updates of models through their states: it looks at the record every few seconds, does what the record asks for,
/// and writes down what came of it. Without an update under way a look is one question to the file system.
///
/// The tools work on the same record (`UpdateStore`): what a technician imports or takes back is found at the next look.
actor UpdateService: Service {
  /// Everything that the service acts on.
  struct Parts: Sendable {
    var store: UpdateStore
    /// Runs a trial in a process of its own, ended when `isWanted` becomes false.
    var trial: @Sendable (TrialRequest, _ isWanted: @escaping @Sendable () -> Bool) async -> UpdateTrial
    /// The path of the model that the configuration names; nil: none.
    var installed: @Sendable (ModelSlot) -> String?
    /// Seconds since the last session's end; nil: one is open.
    var quietSeconds: @Sendable () -> Int64?
    /// Makes these models decide, from the next session on.
    var load: @Sendable (UpdateBook) async -> Loading
    var tell: @Sendable (UpdateMessage) async throws -> Void
    var audit: any AuditTrail = NoAuditTrail()
    /// Parts that came; nil: none are taken on this device.
    var incoming: PartIntake?
    /// No capture waits for the line: parts may be asked for.
    var isLineFree: @Sendable () async -> Bool = { false }
    /// What parts may take of a metered line; nil: it has no allowance.
    var bytesPerDay: Int?
    /// Reads the file of an order as what it should be.
    var examine: @Sendable (_ bytes: [UInt8], UnitTarget) throws -> UpdateUnit = { _, target in
      throw UpdateRefusal.busy(model: target.model)
    }
    /// Whether the vendor's metadata that is trusted now still names a file; also true where that cannot be told.
    var isNamed: @Sendable (UnitTarget, _ fileSHA256: String) -> Bool = { _, _ in true }
    /// What is under way, for `status`.
    var show: @Sendable (String?) -> Void = { _ in }
  }

  enum Loading: Sendable, Equatable {
    case done
    /// The session takes nothing now.
    case later
    /// The model of this slot cannot be used.
    case unusable(ModelSlot, reason: String)
  }

  static let lookSeconds: Int64 = 5
  /// Running time that a power cut may take from the deadlines.
  private static let keepSeconds: Int64 = 900

  private let parts: Parts
  private let intake: ShadowIntake
  private let time: any TimeSource
  private let logger: Logger
  private let sleep: @Sendable (Duration) async throws -> Void
  private var stamp: FileStatus?
  private var lastNanoseconds: UInt64
  private var unkeptSeconds: Int64 = 0
  private var loaded: [ModelSlot: ModelChoice]
  private var told: String?
  /// Units whose coming into force stands in the audit log.
  private var written: Set<String> = []
  /// Parts that the far side was asked for, and seconds since the last one came.
  private var asked: Set<Int>?
  private var idleSeconds: Int64 = 0
  private var budget: ByteBudget?
  private let isStopping = StopFlag()

  /// - Parameter loaded: what the device started with.
  init(
    parts: Parts, intake: ShadowIntake, loaded: [ModelSlot: ModelChoice], time: any TimeSource, logger: Logger,
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.parts = parts
    self.intake = intake
    self.loaded = loaded
    self.time = time
    self.logger = logger
    self.sleep = sleep
    lastNanoseconds = time.now().monotonicNanoseconds
  }

  func run() async throws {
    let flag = isStopping
    await cancelWhenGracefulShutdown {
      await withTaskCancellationHandler {
        while !Task.isCancelled {
          await self.look()
          do { try await self.sleep(.seconds(Self.lookSeconds)) } catch { break }
        }
      } onCancel: {
        flag.raise()
      }
    }
    apply(.stopped)
  }

  /// One look at everything.
  func look() async {
    let now = time.now().monotonicNanoseconds
    let passed = Int64(clamping: (max(now, lastNanoseconds) - lastNanoseconds) / 1_000_000_000)
    lastNanoseconds += UInt64(passed) * 1_000_000_000
    guard var book = readIfChanged(passed) else { return }
    for units in intake.takeCounts() { book = apply(.captured(unitSHA256s: units)) ?? book }
    book = withdraw(book)
    book = await pass(passed, book)
    if let order = book.order { book = await receive(order, book, passed) }
    parts.incoming?.want(book.order?.fileSHA256, asked ?? [])
    switch book.update?.phase {
    case .golden: book = await tryGolden(book)
    case .shadow: book = await tryShadows(book)
    default: break
    }
    intake.want(book.update?.phase == .shadow)
    await load(book)
    parts.show(book.update?.text)
    await tell()
  }

  /// The record; nil when there is nothing to do with it.
  private func readIfChanged(_ passed: Int64) -> UpdateBook? {
    do throws(UpdateStoreError) {
      let present = try parts.store.stamp()
      if present == stamp, !hasWork {
        _ = intake.takeCounts()
        return nil
      }
      let book = try parts.store.read()
      stamp = present
      hasWork = book.update != nil || book.order != nil || !book.notes.isEmpty || needsLoading(book)
      return book
    } catch {
      complain("\(error)")
      return nil
    }
  }

  private var hasWork = true

  private func complain(_ reason: String) {
    guard told != reason else { return }
    told = reason
    logger.error("updates of models are held up", metadata: ["reason": "\(reason)"])
  }

  /// Lets an event happen; nil when it could not be written, which the next look tries again.
  @discardableResult
  private func apply(_ event: UpdateEvent) -> UpdateBook? {
    do throws(UpdateStoreError) {
      let book = try parts.store.apply(event)
      hasWork = true
      return book
    } catch {
      complain("\(error)")
      return nil
    }
  }

  // MARK: - Time

  /// Running time is kept in memory until something follows from it, or too much would be lost: a card wears.
  private func pass(_ passed: Int64, _ book: UpdateBook) async -> UpdateBook {
    guard book.update != nil || book.order != nil else {
      unkeptSeconds = 0
      return book
    }
    unkeptSeconds += passed
    let event = UpdateEvent.time(
      seconds: unkeptSeconds, quietSeconds: parts.quietSeconds(), isWindowOpen: isOpen(book.update?.window))
    var next = book
    do throws(UpdateRefusal) { try next.handle(event) } catch { return book }
    guard next.update?.phase != book.update?.phase || next.notes != book.notes || unkeptSeconds >= Self.keepSeconds
    else {
      return book
    }
    guard let kept = apply(event) else { return book }
    unkeptSeconds = 0
    if let update = book.update, kept.update?.phase != update.phase {
      logger.notice(
        "update of a model",
        metadata: [
          "model": "\(update.unit.model)", "version": "\(update.unit.version)",
          "state": "\(kept.update?.phase.rawValue ?? kept.ends.last?.result.rawValue ?? "")",
        ])
    }
    return kept
  }

  /// What the vendor has taken back is not tried, and does not begin to decide.
  private func withdraw(_ book: UpdateBook) -> UpdateBook {
    let files = [
      book.update.map { ($0.unit.target, $0.unit.fileSHA256) }, book.order.map { ($0.target, $0.fileSHA256) },
    ]
    return files.compactMap(\.self).reduce(book) { book, file in
      parts.isNamed(file.0, file.1) ? book : apply(.withdrawn(fileSHA256: file.1)) ?? book
    }
  }

  private func isOpen(_ window: String?) -> Bool {
    guard let window = window.flatMap(SyncWindow.init) else { return true }
    let now = time.now()
    return !now.synchronised || window.contains(utcNanoseconds: now.utcNanoseconds)
  }

  // MARK: - Parts

  /// Takes the parts that came, asks for the next ones, and orders the trial when all are here.
  private func receive(_ order: UpdateOrder, _ book: UpdateBook, _ passed: Int64) async -> UpdateBook {
    do throws(UpdateStoreError) {
      var isProgress = false
      for part in parts.incoming?.takeAll() ?? []
      where part.fileSHA256 == order.fileSHA256 && part.count == order.parts {
        if try parts.store.keepPart(part.index, part.bytes, of: order) { isProgress = true }
      }
      let missing = try parts.store.missingParts(of: order)
      if missing.isEmpty { return try finish(order) }
      idleSeconds = isProgress ? 0 : idleSeconds + passed
      let isWindowOver = asked.map { asked in !missing.contains { asked.contains($0) } } ?? true
      // A restart grants no new day.
      budget = budget ?? parts.bytesPerDay.map { ByteBudget(bytesPerDay: $0, used: book.partBytesUsed ?? 0) }
      guard isWindowOver || idleSeconds >= UpdateRules.askSeconds, await parts.isLineFree(),
        budget?.allows(now: time.now().monotonicNanoseconds) ?? true
      else { return book }
      idleSeconds = 0
      let next = missing.prefix(UpdateRules.partsWanted)
      asked = Set(next)
      let now = time.now().monotonicNanoseconds
      budget?.take(bytes: next.reduce(0) { $0 + order.partBytes($1) }, now: now)
      if let used = budget?.usedBytes(now: now) { try parts.store.apply(.partBytesUsed(used)) }
      // The order's first note, still to be told, asks already.
      if book.notes.contains(where: { $0.state == UpdateOrder.state }) { return book }
      return try parts.store.apply(.asking(fileSHA256: order.fileSHA256))
    } catch {
      complain("\(error)")
      return book
    }
  }

  private func finish(_ order: UpdateOrder) throws(UpdateStoreError) -> UpdateBook {
    asked = nil
    guard let bytes = try parts.store.assembled(order) else {
      return try parts.store.apply(
        .spoiled(fileSHA256: order.fileSHA256, reason: "its parts together are not the file that was signed"))
    }
    let unit: UpdateUnit
    do { unit = try parts.examine(bytes, order.target) } catch { return try giveUp(order, "\(error)") }
    do throws(UpdateStoreError) {
      return try parts.store.stage(unit, bytes, command: order.command, window: order.window)
    } catch {
      guard case .refused(let refusal) = error else { throw error }
      // Another one is under way: it waits for its end.
      if case .busy = refusal { return try parts.store.read() }
      return try giveUp(order, "\(refusal)")
    }
  }

  /// It is what was signed, and will be no other thing the next time.
  private func giveUp(_ order: UpdateOrder, _ reason: String) throws(UpdateStoreError) -> UpdateBook {
    var book = try parts.store.read()
    for _ in 0..<UpdateRules.spoiledOrders where book.order != nil {
      book = try parts.store.apply(.spoiled(fileSHA256: order.fileSHA256, reason: reason))
    }
    return book
  }

  /// What is wanted now, for the far side.
  private func wants(_ note: UpdateNote) throws -> (wants: String, parts: Int)? {
    guard note.state == UpdateOrder.state, let order = try parts.store.read().order, order.model == note.model,
      order.version == note.version
    else { return nil }
    let wanted = try parts.store.missingParts(of: order).prefix(UpdateRules.partsWanted)
    return (PartRanges.text(wanted.map { $0 + 1 }), order.parts)
  }

  // MARK: - Trials

  private func request(_ update: UpdateBook.Update, _ book: UpdateBook, master: [UInt8]? = nil) -> TrialRequest {
    func path(_ slot: ModelSlot) -> String? {
      book[slot].active.unit.map { parts.store.path(of: $0) } ?? parts.installed(slot)
    }
    let slot = update.unit.slot
    return TrialRequest(
      slot: slot, candidate: parts.store.path(of: update.unit), current: path(slot),
      beside: path(slot == .screening ? .quality : .screening), master: master)
  }

  /// Nobody is before the device, and it does not end.
  private var isWanted: @Sendable () -> Bool {
    { [quiet = parts.quietSeconds, isStopping] in quiet() != nil && !isStopping.isRaised }
  }

  private func tryGolden(_ book: UpdateBook) async -> UpdateBook {
    guard let update = book.update else { return book }
    guard isWanted() else { return apply(.trial(.interrupted)) ?? book }
    return finish(update, await parts.trial(request(update, book), isWanted)) ?? book
  }

  private func tryShadows(_ book: UpdateBook) async -> UpdateBook {
    var book = book
    while let update = book.update, update.phase == .shadow, isWanted(), let capture = intake.first() {
      let isTrial = capture.hasScore || update.unit.slot == .quality || request(update, book).current == nil
      guard isTrial else {
        intake.removeFirst()
        continue
      }
      let trial = await parts.trial(request(update, book, master: capture.master), isWanted)
      // A session came first: the same picture is tried after it.
      if trial == .interrupted { break }
      intake.removeFirst()
      guard let next = finish(update, trial) else { break }
      book = next
    }
    return book
  }

  private func finish(_ update: UpdateBook.Update, _ trial: UpdateTrial) -> UpdateBook? {
    logger.notice(
      "trial of a model",
      metadata: ["model": "\(update.unit.model)", "version": "\(update.unit.version)", "result": "\(trial)"])
    return apply(.trial(trial))
  }

  // MARK: - What decides

  private func needsLoading(_ book: UpdateBook) -> Bool {
    ModelSlot.allCases.contains { book[$0].active != loaded[$0, default: .installed] }
  }

  private func load(_ book: UpdateBook) async {
    var book = book
    // One that cannot be used gives way to the one before, and that to the installed one.
    for _ in 0..<4 where needsLoading(book) {
      guard await isWrittenDown(book) else { return }
      switch await parts.load(book) {
      case .later: return
      case .unusable(let slot, let reason):
        complain("\(slot.rawValue): the model cannot be used: \(reason)")
        guard book[slot].active.unit != nil, let next = apply(.unusable(slot, reason: reason)) else { return }
        book = next
      case .done:
        for slot in ModelSlot.allCases { loaded[slot] = book[slot].active }
        logger.notice(
          "the models that decide have changed",
          metadata: [
            "screening": "\(book[.screening].active.unit?.unitSHA256.prefix(12) ?? "installed")",
            "quality": "\(book[.quality].active.unit?.unitSHA256.prefix(12) ?? "installed")",
          ])
      }
    }
  }

  /// A model comes into force only with its entry in the audit log; going back to the one before waits for nothing.
  private func isWrittenDown(_ book: UpdateBook) async -> Bool {
    guard let update = book.update, update.phase == .active, book[update.unit.slot].active.unit == update.unit,
      !written.contains(update.unit.unitSHA256)
    else { return true }
    do {
      try await parts.audit.write(
        .update(
          model: update.unit.model, version: update.unit.version, state: update.phase.rawValue, reason: nil))
      written.insert(update.unit.unitSHA256)
      return true
    } catch {
      complain("\(update.unit.model) \(update.unit.version) waits: \(error)")
      return false
    }
  }

  // MARK: - Telling

  private func tell() async {
    let notes: [UpdateNote]
    do throws(UpdateStoreError) { notes = try parts.store.read().notes } catch { return complain("\(error)") }
    guard let last = notes.last else { return }
    do {
      for note in notes {
        var message = UpdateMessage(note, at: time.now())
        if let wanted = try wants(note) { (message.wants, message.parts) = (wanted.wants, wanted.parts) }
        try await parts.tell(message)
        if note.state != UpdateOrder.state, note.state != UpdatePhase.active.rawValue {
          parts.audit.post(
            .update(model: note.model, version: note.version, state: note.state, reason: note.reason))
        }
      }
    } catch {
      // They stay in the record, and are told at the next look.
      return complain("an update's state could not be stored for delivery: \(error)")
    }
    apply(.told(number: last.number))
  }
}
