import Provenance
import Trust

/// A head that somebody else keeps: in a record that was delivered, in a receipt, in a signed head.
package struct AuditAnchor: Sendable, Hashable {
  package let head: AuditHead
  /// Where it was found, for the person who reads the finding.
  package let source: String
  /// Whether it is a cosignature, behind which entries may be removed.
  package let isWitnessed: Bool

  package init(_ head: AuditHead, source: String, isWitnessed: Bool) {
    self.head = head
    self.source = source
    self.isWitnessed = isWitnessed
  }
}

/// What is wrong with a log.
package enum AuditFinding: Sendable, Hashable, CustomStringConvertible {
  /// An entry that is damaged, of another form, or not at its place.
  case entry(position: UInt64, String)
  /// An anchor knows more entries than there are.
  case shortened(size: UInt64, anchor: AuditAnchor)
  /// The log had other entries when the anchor was made.
  case forked(anchor: AuditAnchor)
  /// Two anchors of one size that differ: two devices write on, or one was put back.
  case anchorsDisagree(AuditAnchor, AuditAnchor)
  /// Entries are missing at the beginning that no cosignature covers.
  case prunedTooFar(base: UInt64)
  /// Within one run of the system the time went back, or the clock moved without an entry that says so.
  case clock(position: UInt64, String)
  case signedHead(String)

  package var description: String {
    switch self {
    case .entry(let position, let what): "entry \(position): \(what)"
    case .shortened(let size, let anchor):
      "\(anchor.source) knows \(anchor.head.size) entries, the log has \(size): its end was cut off"
    case .forked(let anchor):
      "\(anchor.source) knows other first \(anchor.head.size) entries than the log has: it was changed afterwards"
    case .anchorsDisagree(let one, let other):
      "\(one.source) and \(other.source) know different logs of \(one.head.size) entries: the card was copied or put back"
    case .prunedTooFar(let base): "the first \(base) entries are missing, and no cosignature covers them"
    case .clock(let position, let what): "entry \(position): \(what)"
    case .signedHead(let what): what
    }
  }
}

/// Reads a log from its first kept entry to its last and holds it against what others know. Memory does not grow with the
/// log: entries are handed over one by one.
package struct AuditExamination<Digests: MessageDigests>: Sendable {
  /// How far a clock may go from the monotonic time between two entries of one boot without an entry that says so.
  package static var clockToleranceNanoseconds: Int64 { 2_000_000_000 }

  private let digests: Digests
  private let base: AuditHead
  /// By size.
  private var anchors: [UInt64: [AuditAnchor]]
  private let greatestWitness: UInt64?
  private var last: AuditEntry?
  package private(set) var head: AuditHead
  package private(set) var findings: [AuditFinding] = []
  /// Findings beyond this many are counted only.
  package static var maximumFindings: Int { 100 }
  package private(set) var suppressedFindings = 0

  /// - Parameter base: the head before the first entry that is kept; that of the origin when nothing was removed.
  package init(from base: AuditHead, anchors: some Sequence<AuditAnchor>, digests: Digests) {
    self.digests = digests
    self.base = base
    head = base
    self.anchors = Dictionary(grouping: anchors, by: \.head.size)
    greatestWitness = self.anchors.values.joined().filter(\.isWitnessed).map(\.head.size).max()
    for group in self.anchors.values {
      if let first = group.first, let other = group.first(where: { $0.head != first.head }) {
        add(.anchorsDisagree(first, other))
      }
    }
    compare()
  }

  private mutating func add(_ finding: AuditFinding) {
    guard findings.count < Self.maximumFindings else {
      suppressedFindings += 1
      return
    }
    findings.append(finding)
  }

  /// Holds the head against the anchors of its size; each is used once.
  private mutating func compare() {
    for anchor in anchors.removeValue(forKey: head.size) ?? [] where anchor.head.digest != head.digest {
      add(.forked(anchor: anchor))
    }
  }

  /// The next entry's text.
  package mutating func take(_ bytes: [UInt8]) {
    do throws(AuditFault) {
      let entry = try AuditEntry(reading: bytes)
      if entry.index != head.size {
        add(.entry(position: head.size, "it says that it is entry \(entry.index)"))
      }
      compareClock(entry)
      last = entry
    } catch { add(.entry(position: head.size, error.description)) }
    head = head.extended(by: bytes, digests: digests)
    compare()
  }

  private mutating func compareClock(_ entry: AuditEntry) {
    guard let last, last.time.bootID == entry.time.bootID else { return }
    guard entry.time.monotonicNanoseconds >= last.time.monotonicNanoseconds else {
      return add(.clock(position: entry.index, "it is older than the entry before it, in the same run of the system"))
    }
    guard entry.kind != .clockStep, entry.time.synchronised == last.time.synchronised else { return }
    if AuditClock.step(from: last.time, to: entry.time, toleranceNanoseconds: Self.clockToleranceNanoseconds) != nil {
      add(.clock(position: entry.index, "the clock moved, and no entry says so"))
    }
  }

  /// After the last entry: what the anchors know that was not found.
  package mutating func finish() -> [AuditFinding] {
    if base.size > 0, (greatestWitness ?? 0) < base.size { add(.prunedTooFar(base: base.size)) }
    for anchor in anchors.values.joined().sorted(by: { $0.head.size < $1.head.size }) where anchor.head.size > head.size
    {
      add(.shortened(size: head.size, anchor: anchor))
    }
    return findings
  }
}
