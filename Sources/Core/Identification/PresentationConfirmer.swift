/// Decides when frames amount to a tag that a person holds to the reader.
///
/// A checksum of eight bits is no proof (see `PhantomFrames`), so where the reader repeats, `requiredFrames` identical
/// frames within `windowMilliseconds` are asked for. Two different tags that both gather proof, or disturb each
/// other's, are ambiguous: the last one never wins. A confirmed tag is one presentation until it has been away for
/// `holdOffMilliseconds`.
///
///     idle --frames--> (k of n) --> presented --silence of holdOff--> removed
///                        \-- another UID within the window --> ambiguous, until the field is quiet
///
/// Time is a parameter: monotonic nanoseconds that never decrease. State is bounded to `candidateLimit` UIDs.
package struct PresentationConfirmer: Sendable {
  package struct Policy: Sendable, Equatable {
    /// Identical frames that make a presentation, 1...10; nil: as many as the reader's habits ask for.
    package var requiredFrames: Int?
    /// The time in which they must arrive, 1...10_000.
    package var windowMilliseconds: Int
    /// How long a tag must be unheard before it can be presented anew, 0...60_000; less than the window is the window.
    package var holdOffMilliseconds: Int
    /// Whether a frame that looks like a phantom may make a presentation although nothing repeats it. Matters only
    /// where `requiredFrames` is 1.
    package var acceptsUnrepeatedSuspects: Bool

    package init(
      requiredFrames: Int? = nil, windowMilliseconds: Int = 400, holdOffMilliseconds: Int = 1500,
      acceptsUnrepeatedSuspects: Bool = false
    ) {
      self.requiredFrames = requiredFrames.map { min(max($0, 1), PresentationConfirmer.proofLimit) }
      self.windowMilliseconds = min(max(windowMilliseconds, 1), 10_000)
      self.holdOffMilliseconds = min(max(holdOffMilliseconds, 0), 60_000)
      self.acceptsUnrepeatedSuspects = acceptsUnrepeatedSuspects
    }
  }

  /// What an observation, or the passing of time, amounts to.
  package enum Event: Sendable, Equatable {
    /// A person holds this tag to the reader; once a presentation.
    case presented(TagReading)
    /// The presented tag has not been heard for the hold-off.
    case removed(TagUID)
    /// Two or more tags are in the field: nobody is presented until it has been quiet for the hold-off.
    case ambiguous
    /// A frame that will never count: all zeros or all ones, or a lone suspect one.
    case refused(Refusal)
  }

  package enum Refusal: Sendable, Equatable {
    case blank
    case unrepeatedSuspect
    /// An identity drawn anew at each power-up (telephones, some cards): it names nobody.
    case random
  }

  package let policy: Policy
  private let requiredFrames: Int
  /// Frames that never gathered the proof in time, since the start.
  package private(set) var unconfirmedFrameCount = 0

  static let proofLimit = 10
  private static let candidateLimit = 4

  /// A UID on its way to being believed: the times of its latest frames, newest last.
  private struct Candidate: Sendable {
    var reading: TagReading
    var frameCount = 0
    var times = SIMD16<UInt64>(repeating: 0)

    var newest: UInt64 { times[15] }

    mutating func add(_ time: UInt64) {
      for index in 0..<15 { times[index] = times[index + 1] }
      times[15] = time
      frameCount = min(frameCount + 1, PresentationConfirmer.proofLimit)
    }

    /// How many of the frames arrived at `earliest` or later.
    func frames(since earliest: UInt64) -> Int {
      (16 - frameCount..<16).count { times[$0] >= earliest }
    }
  }

  private enum Field: Sendable {
    case idle
    case present(TagReading, lastHeard: UInt64)
    case ambiguous(lastHeard: UInt64)
  }

  private var field = Field.idle
  private var candidates: [Candidate] = []

  package init(policy: Policy = Policy(), reader: ReaderKind) {
    self.policy = policy
    requiredFrames = policy.requiredFrames ?? reader.requiredFrames
    candidates.reserveCapacity(Self.candidateLimit)
  }

  /// The tag that is in the field and confirmed, if just one is.
  package var presentTag: TagUID? {
    if case .present(let reading, _) = field { reading.uid } else { nil }
  }

  /// One checksum-valid frame, received at `now` (monotonic nanoseconds).
  ///
  /// Returns at most two events: what the passing of time ended, then what the frame began.
  package mutating func observe(_ reading: TagReading, atNanoseconds now: UInt64) -> [Event] {
    var events = advance(toNanoseconds: now)
    if let event = take(reading, now) { events.append(event) }
    return events
  }

  /// Lets time pass without a frame; call it at least every hold-off.
  package mutating func advance(toNanoseconds now: UInt64) -> [Event] {
    expireCandidates(now)
    switch field {
    case .idle:
      return []
    case .present(let reading, let lastHeard):
      guard isOver(holdOffNanoseconds, since: lastHeard, now) else { return [] }
      field = .idle
      return [.removed(reading.uid)]
    case .ambiguous(let lastHeard):
      if isOver(holdOffNanoseconds, since: lastHeard, now) { field = .idle }
      return []
    }
  }

  /// Forgets everything: the reader was unplugged or found again.
  package mutating func reset() {
    field = .idle
    candidates.removeAll(keepingCapacity: true)
  }

  private mutating func take(_ reading: TagReading, _ now: UInt64) -> Event? {
    guard !reading.uid.isBlank else { return .refused(.blank) }
    guard !reading.isRandom else { return .refused(.random) }
    if requiredFrames == 1, reading.isSuspect, !policy.acceptsUnrepeatedSuspects {
      return .refused(.unrepeatedSuspect)
    }
    switch field {
    case .ambiguous:
      field = .ambiguous(lastHeard: now)
      return nil
    case .present(let present, _) where present.uid == reading.uid:
      field = .present(present, lastHeard: now)
      return nil
    case .present, .idle:
      return gather(reading, now)
    }
  }

  /// Adds proof for a UID that is not the present one.
  private mutating func gather(_ reading: TagReading, _ now: UInt64) -> Event? {
    let earliest = now >= windowNanoseconds ? now - windowNanoseconds : 0
    let index: Int
    if let known = candidates.firstIndex(where: { $0.reading.uid == reading.uid }) {
      index = known
    } else {
      guard candidates.count < Self.candidateLimit else {
        // More identities at once than any honest field holds: noise, or a handful of tags. Believe none of them.
        return becomeAmbiguous(now)
      }
      candidates.append(Candidate(reading: reading))
      index = candidates.count - 1
    }
    candidates[index].add(now)
    guard candidates[index].frames(since: earliest) >= requiredFrames else { return nil }

    // Proven. Alone in the field? One stray frame beside it may be a phantom; two of the same are another tag.
    let rivalFrames = min(2, requiredFrames)
    let hasRival = candidates.contains { candidate in
      candidate.reading.uid != reading.uid && candidate.frames(since: earliest) >= rivalFrames
    }
    if hasRival { return becomeAmbiguous(now) }
    if case .present = field { return becomeAmbiguous(now) }
    candidates.removeAll(keepingCapacity: true)
    field = .present(reading, lastHeard: now)
    return .presented(reading)
  }

  private mutating func becomeAmbiguous(_ now: UInt64) -> Event {
    candidates.removeAll(keepingCapacity: true)
    field = .ambiguous(lastHeard: now)
    return .ambiguous
  }

  private mutating func expireCandidates(_ now: UInt64) {
    for candidate in candidates where isOver(windowNanoseconds, since: candidate.newest, now) {
      unconfirmedFrameCount += candidate.frameCount
    }
    let window = windowNanoseconds
    candidates.removeAll { now > $0.newest && now - $0.newest > window }
  }

  private func isOver(_ span: UInt64, since start: UInt64, _ now: UInt64) -> Bool {
    now > start && now - start > span
  }

  private var windowNanoseconds: UInt64 { UInt64(policy.windowMilliseconds) * 1_000_000 }
  private var holdOffNanoseconds: UInt64 {
    UInt64(max(policy.holdOffMilliseconds, policy.windowMilliseconds)) * 1_000_000
  }
}
