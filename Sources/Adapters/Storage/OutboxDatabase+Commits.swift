import Forwarding
import Provenance

/// The counter and digest of the database's transactions, in its own row and in the mark beside it.
extension OutboxDatabase {
  func nextCommit() -> (commits: Int64, history: [UInt8]) {
    var bytes = history + outboxID.bytes
    bytes.reserveCapacity(bytes.count + 24 + historyInput.count)
    for number in [commits, nextMessage, nextSequence] { withUnsafeBytes(of: number.littleEndian) { bytes += $0 } }
    bytes += historyInput
    return (min(commits + 1, OutboxItem.largestNumber), Array(digests.sha256(bytes).prefix(CommitMark.historyBytes)))
  }

  /// The mark of the present state.
  func mark(isEnd: Bool = false) -> CommitMark {
    let bootID = time.now().bootID
    if boot.id != bootID { boot = (bootID, Array(digests.sha256(Array(bootID.utf8)).prefix(CommitMark.historyBytes))) }
    return CommitMark(
      outboxID: outboxID, commits: commits, nextSequence: nextSequence, nextMessage: nextMessage,
      waitingCaptures: Int64(accounts.backlog(.capture).rows), history: history, boot: boot.digest, isEnd: isEnd)
  }

  /// Keeps the mark beside the database from here on.
  func startMarking() throws(OutboxError) { markWriter = try CommitMarkWriter(beside: configuration.path) }

  /// Goes on counting from `known`, and the history from its digest.
  func goOn(from known: CommitMark) {
    commits = max(commits, known.commits)
    history = known.history
    numbersAreWrong = true
  }

  /// Goes on with these numbers.
  func goOn(nextMessage message: Int64, nextSequence sequence: Int64) {
    (nextMessage, nextSequence) = (message, sequence)
    unreserved = nil
    numbersAreWrong = true
    repairs.append("the outbox's own numbers were damaged; it goes on with \(sequence)")
  }

  func writeMark(isEnd: Bool = false, isSynced: Bool) throws(OutboxError) {
    guard countsCommits else { return }
    try markWriter?.write(mark(isEnd: isEnd), with: configuration.keys.current, cipher: cipher, isSynced: isSynced)
  }

  /// Behind a commit, which stands whatever becomes of this.
  func noteMark() {
    do throws(OutboxError) {
      try writeMark(isSynced: false)
      markFailed = false
    } catch {
      if !markFailed { repairs.append("the commit counter beside the database cannot be written: \(error)") }
      markFailed = true
    }
  }

  /// How the database stands beside its mark; to be asked before anything is written.
  ///
  /// - Parameters:
  ///   - found: what lies beside it.
  ///   - isNew: there was no database.
  ///   - reserved: there is a reserve of numbers, of whatever outbox.
  func standing(_ found: CommitMark.Found, isNew: Bool, hasReserve: Bool) throws(OutboxError) -> CommitStanding {
    guard case .mark(let mark) = found else {
      if isNew { return hasReserve || found != .none ? .gone(nil) : .unknown }
      // A lost key is told of elsewhere; it takes the counter with it only where it sealed messages too.
      if case .illegible(let missingKeys) = found, !missingKeys.isDisjoint(with: try keyIDs()) { return .unknown }
      return hadCounter && commits > 0 ? .counterGone : .unknown
    }
    guard mark.outboxID == outboxID else { return .gone(mark) }
    guard hadCounter else {
      // An earlier program made it anew, or it is a copy from before the counter.
      return mark.nextSequence > nextSequence ? .takenBack(mark) : .unknown
    }
    let isSame = history == mark.history
    if commits < mark.commits && !isSame { return .takenBack(mark) }
    if commits == mark.commits && !isSame { return .forked(mark) }
    let isSameBoot = self.mark().boot == mark.boot
    // A kill between a commit and its mark leaves the mark one behind.
    if commits > mark.commits && !isSame {
      return isSameBoot && commits == mark.commits + 1 ? .whole : .unknown
    }
    if commits != mark.commits {
      repairs.append("the outbox's commit counter was damaged; it goes on with \(mark.commits)")
    }
    commits = mark.commits
    let isWrong = numbersAreWrong || nextSequence < mark.nextSequence || unreserved != nil
    if isWrong || nextMessage < mark.nextMessage, mark.nextSequence > newest.sequence, mark.nextMessage > newest.message
    {
      goOn(nextMessage: mark.nextMessage, nextSequence: mark.nextSequence)
    }
    // An earlier program counts nothing; what it stored, or that it was interrupted, shows in the row.
    var running: Int64 = 0
    try query("SELECT running FROM outbox", { _ in }, row: { running = $0.integer(0) })
    guard nextSequence == mark.nextSequence, nextMessage == mark.nextMessage, running != (mark.isEnd ? 1 : 0) else {
      return .unknown
    }
    return isSameBoot || mark.isEnd ? .whole : .unknown
  }
}
