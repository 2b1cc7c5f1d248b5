/// The last steps of all channels: a ring of fixed size. Adding a step allocates nothing.
package struct CounterWindow: Sendable, Equatable {
  /// Steps of a window, as the model was trained.
  package static let steps = 32

  private var ring: [CounterStep]
  /// Where the next step goes.
  private var next = 0
  /// Steps that were ever added, those of earlier starts included; the number of the newest is one less.
  package private(set) var added = 0
  /// Of the ring, 0...`steps`.
  package private(set) var count = 0

  package init() { ring = Array(repeating: CounterStep(), count: Self.steps) }

  /// - Parameters:
  ///   - stored: oldest first, at most `steps`.
  ///   - added: not below their count.
  init(stored: [CounterStep], added: Int) {
    self.init()
    for step in stored.suffix(Self.steps) { add(step) }
    self.added = max(added, count)
  }

  /// Whether there are enough steps to be judged.
  package var isFull: Bool { count == Self.steps }

  /// The number of the newest step, from 0; nil before the first.
  package var newest: Int? { added > 0 ? added - 1 : nil }

  package mutating func add(_ step: CounterStep) {
    ring[next] = step
    next = next + 1 == Self.steps ? 0 : next + 1
    count = min(count + 1, Self.steps)
    added += 1
  }

  /// Steps of which nothing is known: the device was off. More than a window holds are a window.
  package mutating func addMissing(_ steps: Int) {
    for _ in 0..<min(max(steps, 0), Self.steps) { add(CounterStep()) }
    added += max(0, steps - Self.steps)
  }

  /// Begins anew; steps are counted on.
  package mutating func clear() {
    for index in ring.indices { ring[index] = CounterStep() }
    (next, count) = (0, 0)
  }

  /// nil: missing.
  ///
  /// - Parameters:
  ///   - step: from the oldest, 0..<`count`.
  ///   - channel: its place in `CounterChannel`.
  func value(_ step: Int, _ channel: Int) -> Int? {
    guard let channel = CounterChannel(rawValue: channel) else { return nil }
    return self[step][channel]
  }

  /// - Parameter index: from the oldest, 0..<`count`.
  package subscript(index: Int) -> CounterStep {
    precondition((0..<count).contains(index))
    let place = next + Self.steps - count + index
    return ring[place >= Self.steps ? place - Self.steps : place]
  }
}
