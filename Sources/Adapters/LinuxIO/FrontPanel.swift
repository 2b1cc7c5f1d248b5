import LocalFiles
import Panel
import Provenance
import Synchronization
import Threads

/// What the front panel tells the device.
package enum PanelEvent: Sendable, Hashable {
  case press(ButtonDebouncer.Press)
  /// A line failed. The panel is dark and deaf from here on; the device runs on.
  case failed(PanelError)
}

/// The front panel: plays the pattern of the latest signal and reports presses, on a thread of its own.
///
/// `show` returns at once and never fails: a device without lights must still capture.
package final class FrontPanel: Sendable {
  /// Presses and failures, in order. One consumer; the newest 16 are kept.
  package let events: AsyncStream<PanelEvent>

  private let shared: FrontPanelShared
  private let thread: Mutex<NamedThread?>

  /// Starts the panel's thread on `lines`, which it alone uses.
  package init(
    lines: any PanelPins, table: PanelTable, debouncer: ButtonDebouncer, clock: any TimeSource
  ) throws(SystemCallError) {
    let (events, continuation) = AsyncStream.makeStream(of: PanelEvent.self, bufferingPolicy: .bufferingNewest(16))
    self.events = events
    let shared = FrontPanelShared(lines: lines, table: table, continuation: continuation)
    self.shared = shared
    thread = Mutex(
      try NamedThread("front-panel") {
        var loop = FrontPanelLoop(shared: shared, clock: clock, debouncer: debouncer)
        loop.run()
      })
  }

  /// Shows the pattern of `signal` from its start; nil makes the panel dark.
  ///
  /// A pattern that does not repeat is told to its end: the repeating one that was shown before it, or is asked for
  /// meanwhile, comes after it. Only what a person must see at once (`PanelSignal.isUrgent`) cuts it off.
  package func show(_ signal: PanelSignal?) {
    shared.change { [table = shared.table] in $0.show(signal, table) }
  }

  /// Darkens the panel, stops the thread, waits for it, and ends the stream. Harmless when called again.
  package func stop() {
    shared.change { $0.isStopping = true }
    thread.withLock { $0.take() }?.join()
  }

  deinit {
    stop()
  }
}

/// What the panel's thread and its owner both touch.
private final class FrontPanelShared: Sendable {
  struct State: Sendable {
    var shown: PanelSignal?
    /// The repeating signal that comes back when `shown` is over.
    var background: PanelSignal?
    /// Counts the changes, so that the same signal shown again starts again.
    var revision = 0
    var isStopping = false

    mutating func show(_ signal: PanelSignal?, _ table: PanelTable) {
      let repeats = signal.map { $0.repeats(in: table) } ?? false
      if repeats { background = signal }
      let isUrgent = signal?.isUrgent ?? true
      if repeats, !isUrgent, let shown, !shown.repeats(in: table) { return }
      if signal == nil { background = nil }
      start(signal)
    }

    /// The shown pattern, which does not repeat, is over.
    mutating func finish() {
      start(background)
    }

    private mutating func start(_ signal: PanelSignal?) {
      shown = signal
      revision += 1
    }
  }

  let lines: any PanelPins
  let table: PanelTable
  let continuation: AsyncStream<PanelEvent>.Continuation
  private let state = Mutex(State())

  init(lines: any PanelPins, table: PanelTable, continuation: AsyncStream<PanelEvent>.Continuation) {
    self.lines = lines
    self.table = table
    self.continuation = continuation
  }

  var snapshot: State { state.withLock { $0 } }

  func change(_ change: (inout State) -> Void) {
    state.withLock { change(&$0) }
    lines.interrupt()
  }

  /// Goes on to the background signal, unless another was shown meanwhile.
  func finished(revision: Int) {
    state.withLock { state in
      if state.revision == revision { state.finish() }
    }
  }
}

extension PanelSignal {
  fileprivate func repeats(in table: PanelTable) -> Bool { !isAnnouncement && table[self]?.repeats == true }
}

/// The body of the panel's thread.
private struct FrontPanelLoop {
  let shared: FrontPanelShared
  let clock: any TimeSource
  var debouncer: ButtonDebouncer

  private var revision = -1
  private var startNanoseconds: UInt64 = 0
  private var driven: PanelOutputs?

  init(shared: FrontPanelShared, clock: any TimeSource, debouncer: ButtonDebouncer) {
    self.shared = shared
    self.clock = clock
    self.debouncer = debouncer
  }

  mutating func run() {
    do throws(PanelError) {
      while true {
        let state = shared.snapshot
        if state.isStopping { break }
        let now = clock.now().monotonicNanoseconds
        let waitMilliseconds = min(try play(state, now), buttonWaitMilliseconds(now))
        if let isDown = try shared.lines.waitForButton(timeoutMilliseconds: waitMilliseconds) {
          report(debouncer.levelChanged(isDown: isDown, atNanoseconds: clock.now().monotonicNanoseconds))
        } else {
          report(debouncer.advance(toNanoseconds: clock.now().monotonicNanoseconds))
        }
      }
      try shared.lines.show(.dark)
    } catch {
      shared.continuation.yield(.failed(error))
    }
    shared.continuation.finish()
  }

  /// Drives the lines for this moment; answers how long they stay so.
  private mutating func play(_ state: FrontPanelShared.State, _ now: UInt64) throws(PanelError) -> Int {
    if state.revision != revision {
      revision = state.revision
      startNanoseconds = now
    }
    guard let signal = state.shown, let pattern = shared.table[signal] else {
      try drive(.dark)
      return Self.idleMilliseconds
    }
    let elapsed = Int(clamping: (now - startNanoseconds) / 1_000_000)
    let isOver = !signal.repeats(in: shared.table) && elapsed >= pattern.cycleMilliseconds
    guard !isOver, let outputs = pattern.outputs(atMilliseconds: elapsed),
      let remaining = pattern.millisecondsToNextStep(atMilliseconds: elapsed)
    else {
      shared.finished(revision: revision)
      try drive(.dark)
      return 0
    }
    try drive(outputs)
    return remaining
  }

  private mutating func drive(_ outputs: PanelOutputs) throws(PanelError) {
    guard outputs != driven else { return }
    try shared.lines.show(outputs)
    driven = outputs
  }

  private func buttonWaitMilliseconds(_ now: UInt64) -> Int {
    guard let deadline = debouncer.nextDeadlineNanoseconds else { return Self.idleMilliseconds }
    return deadline <= now ? 0 : Int(clamping: (deadline - now + 999_999) / 1_000_000)
  }

  private func report(_ press: ButtonDebouncer.Press?) {
    if let press { shared.continuation.yield(.press(press)) }
  }

  private static let idleMilliseconds = 10_000
}
