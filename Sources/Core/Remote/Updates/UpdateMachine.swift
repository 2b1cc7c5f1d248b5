/// What happens to updates.
package enum UpdateEvent: Sendable, Equatable {
  /// A verified unit lies in the store, on disk.
  ///
  /// - Parameters:
  ///   - command: that asked for it; nil: it came by stick.
  ///   - window: `HH:MM-HH:MM` in which it may be tried and exchanged.
  case staged(UpdateUnit, command: String?, window: String?)
  /// A unit is wanted whose file is still to come, in parts.
  case ordered(UpdateOrder)
  /// All parts of the order came, and together they are not what was signed, or no unit.
  case spoiled(fileSHA256: String, reason: String)
  /// Parts of the order are to be asked for: all that were asked for are here, or nothing came for a while.
  case asking(fileSHA256: String)
  /// So much is used of the day's bytes for parts.
  case partBytesUsed(Int64)
  /// The vendor's newer metadata does not name this file any more.
  case withdrawn(fileSHA256: String)
  /// The device starts: before any model is loaded.
  case started
  /// It ends in order.
  case stopped
  /// The device has run on.
  ///
  /// - Parameters:
  ///   - seconds: since the last such event.
  ///   - quietSeconds: since the last session's end; nil: one is open.
  ///   - isWindowOpen: the update's window, or it has none.
  case time(seconds: Int64, quietSeconds: Int64?, isWindowOpen: Bool)
  case trial(UpdateTrial)
  /// A capture is on disk that the models of these units decided.
  case captured(unitSHA256s: [String])
  /// Back to the model before.
  case rollback(ModelSlot, reason: String)
  /// The model that should decide cannot be loaded.
  case unusable(ModelSlot, reason: String)
  /// The far side has been told up to this note.
  case told(number: Int64)
}

/// What a trial's process found.
package enum UpdateTrial: Sendable, Equatable {
  case golden(TrialFigures)
  /// A real capture: the candidate came through it.
  case shadow(agrees: Bool, TrialFigures)
  case failed(reason: String)
  /// A session began, or the device ends: it says nothing of the candidate.
  case interrupted
}

/// Why an order is not taken up. Nothing has changed.
package enum UpdateRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  case belowFloor(UnitTarget, floor: Int64)
  case otherFile(UnitTarget)
  case alreadyActive(UnitTarget)
  case notNewer(UnitTarget, underWay: Int64)
  case busy(model: String)
  case nothingBefore(ModelSlot)
  /// What is signed of its file cannot be.
  case impossible(UnitTarget)

  package var description: String {
    switch self {
    case .belowFloor(let unit, let floor):
      "\(unit.model) \(unit.version): version \(floor) was confirmed on this device, and nothing older comes in again"
    case .otherFile(let unit):
      "\(unit.model) \(unit.version): another file was confirmed under this version; expected a higher version"
    case .alreadyActive(let unit): "\(unit.model) \(unit.version): decides already"
    case .notNewer(let unit, let underWay):
      "\(unit.model) \(unit.version): version \(underWay) is under way, and only a newer one takes its place"
    case .impossible(let unit):
      "\(unit.model) \(unit.version): the metadata says of its file what cannot be; expected a SHA-256 and 1 to "
        + "\(UpdateRules.unitBytesMaximum) bytes"
    case .busy(let model): "an update of \(model) is under way; try again when it is over"
    case .nothingBefore(let slot):
      "\(slot.rawValue): the installed model decides, and there is nothing before it to go back to"
    }
  }
}

/// The life of an update, as a value: event in, new record out. What is to be done follows from the record alone
/// (`golden`: compute the vectors; `shadow`: hand over captures; a slot that is not what is loaded: load it), so that a
/// start after a power cut needs nothing else.
extension UpdateBook {
  /// - Throws: `UpdateRefusal` of `staged` and `rollback`; the record is as it was.
  package mutating func handle(_ event: UpdateEvent) throws(UpdateRefusal) {
    switch event {
    case .staged(let unit, let command, let window): try begin(unit, command: command, window: window)
    case .ordered(let order): try take(order)
    case .spoiled(let file, let reason): spoiled(file, reason)
    case .asking(let file):
      if let order, order.fileSHA256 == file { tell(order, UpdateOrder.state, nil) }
    case .partBytesUsed(let bytes): partBytesUsed = min(max(bytes, 0), 1 << 40)
    case .withdrawn(let file): withdrawn(file)
    case .started: started()
    case .stopped: if update?.phase == .active { update?.isRunning = false }
    case .time(let seconds, let quiet, let isWindowOpen): pass(seconds, quiet: quiet, isWindowOpen: isWindowOpen)
    case .trial(let trial): take(trial)
    case .captured(let units): captured(units)
    case .rollback(let slot, let reason): try rollBack(slot, reason)
    case .unusable(let slot, let reason): unusable(slot, reason)
    case .told(let number): notes.removeAll { $0.number <= number }
    }
  }

  // MARK: - Coming in

  private mutating func begin(_ unit: UpdateUnit, command: String?, window: String?) throws(UpdateRefusal) {
    try check(unit.target, fileSHA256: unit.fileSHA256)
    if let present = update {
      guard present.unit.fileSHA256 != unit.fileSHA256 else { return }
      guard present.unit.slot == unit.slot else { throw .busy(model: present.unit.model) }
      // One that decides unconfirmed gives way to what was confirmed; the newer one has its own trial.
      if present.phase == .active { restorePrevious(of: present) }
      end(.superseded, "\(unit.model) \(unit.version) takes its place")
    }
    if order?.fileSHA256 == unit.fileSHA256 { order = nil }
    update = Update(unit: unit, phase: .waiting, command: command, window: window)
    note("waiting")
  }

  /// What holds for a unit whether its file is here or on its way.
  private func check(_ target: UnitTarget, fileSHA256: String) throws(UpdateRefusal) {
    // Offered again: nothing to do, whether it is confirmed yet or not.
    guard !slots.contains(where: { $0.active.unit?.fileSHA256 == fileSHA256 }) else { throw .alreadyActive(target) }
    if let floor = floors[target.model] {
      guard target.version >= floor.version else { throw .belowFloor(target, floor: floor.version) }
      guard target.version > floor.version || fileSHA256 == floor.fileSHA256 else { throw .otherFile(target) }
    }
    if let unit = update?.unit, unit.fileSHA256 != fileSHA256, unit.model == target.model {
      guard target.version > unit.version else { throw .notNewer(target, underWay: unit.version) }
    }
  }

  private mutating func take(_ wanted: UpdateOrder) throws(UpdateRefusal) {
    guard wanted.isSound else { throw .impossible(wanted.target) }
    try check(wanted.target, fileSHA256: wanted.fileSHA256)
    guard update?.unit.fileSHA256 != wanted.fileSHA256 else { return }
    if let present = order {
      if present.fileSHA256 == wanted.fileSHA256 { return }
      if present.model == wanted.model, wanted.version <= present.version {
        throw .notNewer(wanted.target, underWay: present.version)
      }
      tell(present, UpdateResult.superseded.rawValue, "\(wanted.model) \(wanted.version) takes its place")
    }
    order = wanted
    tell(wanted, UpdateOrder.state, nil)
  }

  /// Somebody may have written between the parts: they are asked for again, a few times.
  private mutating func spoiled(_ file: String, _ reason: String) {
    guard var present = order, present.fileSHA256 == file else { return }
    present.spoiled += 1
    order = present
    guard present.spoiled >= UpdateRules.spoiledOrders else {
      return tell(present, UpdateOrder.state, reason)
    }
    tell(present, UpdateResult.refused.rawValue, reason)
    order = nil
  }

  /// What is not confirmed yet goes; what is confirmed stays until somebody takes it back.
  private mutating func withdrawn(_ file: String) {
    let reason = "the vendor's newer metadata does not name it any more"
    if let present = order, present.fileSHA256 == file {
      tell(present, UpdateResult.refused.rawValue, reason)
      order = nil
    }
    guard let present = update, present.unit.fileSHA256 == file else { return }
    if present.phase == .active { takeBack(reason) } else { refuse(reason) }
  }

  private mutating func tell(_ order: UpdateOrder, _ state: String, _ reason: String?) {
    add(
      UpdateNote(
        number: 0, model: order.model, version: order.version, state: state, reason: reason, command: order.command,
        durations: [UpdateOrder.state: order.spentSeconds], shadows: 0, agreements: 0))
  }

  // MARK: - Starts and time

  private mutating func started() {
    guard var present = update else { return }
    switch present.phase {
    case .waiting, .shadow, .passed: break
    case .golden:
      guard present.trials < UpdateRules.interruptedTrials else {
        return refuse("the device ended \(present.trials) times while its golden vectors were computed")
      }
      move(to: .waiting)
    case .active:
      if present.isRunning { present.uncleanStarts += 1 }
      present.isRunning = true
      update = present
      if present.uncleanStarts >= UpdateRules.uncleanStarts {
        takeBack("the device ended without order \(present.uncleanStarts) times since it decides")
      }
    }
  }

  private mutating func pass(_ seconds: Int64, quiet: Int64?, isWindowOpen: Bool) {
    let seconds = min(max(seconds, 0), UpdateRules.stepSecondsMaximum)
    passOrder(seconds)
    guard let phase = update?.phase else { return }
    update?.spentSeconds += seconds
    let spent = update?.spentSeconds ?? 0
    let isQuiet = isWindowOpen && (quiet ?? 0) >= UpdateRules.quietSeconds
    let isLate = UpdateRules.deadlineSeconds(phase).map { spent >= $0 } ?? false
    switch phase {
    case .waiting:
      if isQuiet {
        move(to: .golden)
        update?.trials += 1
        note("trial")
      } else if isLate {
        refuse("the device was never without a session for five minutes within 30 days (or within its window)")
      }
    case .golden: if isLate { refuse("its golden vectors were not computed within ten minutes") }
    case .shadow:
      if spent >= UpdateRules.stalledSeconds, update?.isStalled == false {
        update?.isStalled = true
        note("stalled", "no \(UpdateRules.shadowCaptures) captures within 14 days; the trial goes on")
      }
    case .passed:
      if isQuiet {
        activate()
      } else if isLate {
        refuse("the device was never without a session for five minutes within 30 days (or within its window)")
      }
    case .active: if isLate { confirm() }
    }
  }

  private mutating func passOrder(_ seconds: Int64) {
    guard var present = order else { return }
    present.spentSeconds += seconds
    order = present
    guard present.spentSeconds >= UpdateRules.orderSeconds else { return }
    tell(present, UpdateResult.refused.rawValue, "its parts did not arrive within 7 days")
    order = nil
  }

  private mutating func move(to phase: UpdatePhase) {
    guard var present = update else { return }
    present.durations[present.phase.rawValue, default: 0] += present.spentSeconds
    present.spentSeconds = 0
    present.phase = phase
    update = present
  }

  // MARK: - Trial

  private mutating func take(_ trial: UpdateTrial) {
    guard let phase = update?.phase else { return }
    switch (trial, phase) {
    case (.golden(let figures), .golden):
      if let complaint = figures.complaint { return refuse(complaint) }
      update?.figures = figures
      move(to: .shadow)
    case (.shadow(let agrees, let figures), .shadow):
      if let complaint = figures.complaint { return refuse(complaint) }
      update?.shadows += 1
      if agrees { update?.agreements += 1 }
      if update?.shadows ?? 0 >= UpdateRules.shadowCaptures { move(to: .passed) }
    case (.failed(let reason), .golden), (.failed(let reason), .shadow): refuse(reason)
    case (.interrupted, .golden):
      // A person came first; that is nobody's fault.
      update?.trials -= 1
      move(to: .waiting)
    default: break
    }
  }

  // MARK: - In its place

  private mutating func activate() {
    guard let present = update else { return }
    var slot = self[present.unit.slot]
    update?.formerPrevious = slot.previous
    slot.previous = slot.active
    slot.active = ModelChoice(unit: present.unit)
    self[present.unit.slot] = slot
    move(to: .active)
    update?.isRunning = true
    note("active")
  }

  private mutating func captured(_ units: [String]) {
    guard let present = update, present.phase == .active, units.contains(present.unit.unitSHA256) else { return }
    update?.captures += 1
    // It took a picture and gave a verdict: what ended the device before was not this.
    update?.uncleanStarts = 0
    if present.captures + 1 >= UpdateRules.confirmingCaptures { confirm() }
  }

  private mutating func confirm() {
    guard let present = update else { return }
    if present.unit.version >= floors[present.unit.model]?.version ?? 0 {
      floors[present.unit.model] = Floor(version: present.unit.version, fileSHA256: present.unit.fileSHA256)
    }
    end(.confirmed, nil)
  }

  // MARK: - Back

  private mutating func rollBack(_ slot: ModelSlot, _ reason: String) throws(UpdateRefusal) {
    if let present = update, present.unit.slot == slot {
      if present.phase == .active { takeBack(reason) } else { refuse(reason) }
      return
    }
    guard let active = self[slot].active.unit else { throw .nothingBefore(slot) }
    fallBack(active, reason)
  }

  private mutating func unusable(_ slot: ModelSlot, _ reason: String) {
    guard let active = self[slot].active.unit else { return }
    if let present = update, present.phase == .active, present.unit.slot == slot { return takeBack(reason) }
    fallBack(active, reason)
  }

  /// A confirmed one gives way to the one before.
  private mutating func fallBack(_ unit: UpdateUnit, _ reason: String) {
    var slot = self[unit.slot]
    slot.active = slot.previous ?? .installed
    slot.previous = nil
    self[unit.slot] = slot
    remember(End(unit: unit, result: .rolledBack, reason: reason))
    add(
      UpdateNote(
        number: 0, model: unit.model, version: unit.version, slot: unit.slot, unitSHA256: unit.unitSHA256,
        state: UpdateResult.rolledBack.rawValue, reason: reason, durations: [:], shadows: 0, agreements: 0))
  }

  private mutating func takeBack(_ reason: String) {
    guard let present = update else { return }
    restorePrevious(of: present)
    end(.rolledBack, reason)
  }

  private mutating func restorePrevious(of present: Update) {
    var slot = self[present.unit.slot]
    slot.active = slot.previous ?? .installed
    slot.previous = present.formerPrevious
    self[present.unit.slot] = slot
  }

  private mutating func refuse(_ reason: String) { end(.refused, reason) }

  // MARK: - Telling

  private mutating func end(_ result: UpdateResult, _ reason: String?) {
    guard let present = update else { return }
    move(to: present.phase)
    note(result.rawValue, reason)
    remember(End(unit: present.unit, result: result, reason: reason))
    update = nil
  }

  private mutating func remember(_ end: End) {
    ends.append(end)
    if ends.count > UpdateRules.endsMaximum { ends.removeFirst(ends.count - UpdateRules.endsMaximum) }
  }

  private mutating func note(_ state: String, _ reason: String? = nil) {
    guard let present = update else { return }
    add(
      UpdateNote(
        number: 0, model: present.unit.model, version: present.unit.version, slot: present.unit.slot,
        unitSHA256: present.unit.unitSHA256, state: state, reason: reason, command: present.command,
        durations: present.durations, shadows: present.shadows, agreements: present.agreements,
        figures: present.figures))
  }

  private mutating func add(_ note: UpdateNote) {
    noteNumber += 1
    var note = note
    note.number = noteNumber
    notes.append(note)
    if notes.count > UpdateRules.notesMaximum { notes.removeFirst(notes.count - UpdateRules.notesMaximum) }
  }
}
