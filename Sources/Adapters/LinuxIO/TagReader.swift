import Identification
import LocalFiles
import Provenance
import Synchronization
import Threads

/// What a tag reader tells the device.
package enum TagReaderEvent: Sendable, Equatable {
  /// The serial port is open and, for a PN532, the chip has answered. Other readers are silent until a tag comes.
  case connected
  /// The port cannot be used; the reader tries again after `retryMilliseconds`.
  case disconnected(SerialPortError, retryMilliseconds: Int)
  /// A checksum-valid frame, confirmed or not; only where the configuration asks for every one.
  case reading(TagReading)
  /// Bytes that were dropped; only where the configuration asks for every reading.
  case reject(FrameReject)
  case presentation(PresentationConfirmer.Event)
}

/// What a reader has seen since the start, for `status` and health records.
package struct TagReaderCounters: Sendable, Equatable {
  package var bytes = 0
  package var frames = 0
  package var presentations = 0
  package var ambiguities = 0
  /// Presentations that were refused: blank, random or lone suspect identities.
  package var refusals = 0
  /// Rejected frames by reason.
  package var rejects: [FrameReject.Reason: Int] = [:]
  /// How often the port was opened.
  package var openings = 0

  package init() {}
}

/// A tag reader on a serial port: opens it, opens it again whenever it went away, decodes, confirms, and reports.
///
/// It owns one thread, which waits in `poll`. Events go into a stream that keeps the newest 64: whoever does not listen
/// for that long is told what is, not what was.
package final class TagReader: Sendable {
  package struct Settings: Sendable {
    package var path: String
    package var kind: ReaderKind
    /// The line speed; the reader's default unless given.
    package var baud: Int
    package var policy: PresentationConfirmer.Policy
    package var linePattern: LinePattern
    package var pn532: PN532Rules
    /// Report every checksum-valid frame and every reject too, not just presentations: for tools.
    package var reportsEveryReading: Bool

    package init(
      path: String, kind: ReaderKind, baud: Int? = nil, policy: PresentationConfirmer.Policy = .init(),
      linePattern: LinePattern = LinePattern(), pn532: PN532Rules = PN532Rules(), reportsEveryReading: Bool = false
    ) {
      self.path = path
      self.kind = kind
      self.baud = baud ?? kind.baud
      self.policy = policy
      self.linePattern = linePattern
      self.pn532 = pn532
      self.reportsEveryReading = reportsEveryReading
    }
  }

  /// Everything the reader reports, in order. One consumer.
  package let events: AsyncStream<TagReaderEvent>

  private let shared: TagReaderShared
  private let thread: Mutex<NamedThread?>

  /// Starts the reader's thread. An absent port is no error: it is reported and tried again.
  package init(_ settings: Settings, clock: any TimeSource) throws(SystemCallError) {
    let (events, continuation) = AsyncStream.makeStream(
      of: TagReaderEvent.self, bufferingPolicy: .bufferingNewest(64))
    self.events = events
    let shared = TagReaderShared(continuation: continuation, wake: try WakeSignal())
    self.shared = shared
    thread = Mutex(
      try NamedThread("tag-reader") {
        var loop = TagReaderLoop(settings: settings, clock: clock, shared: shared)
        loop.run()
      })
  }

  /// Stops the thread, waits for it, and ends the stream. Harmless when called again.
  package func stop() {
    shared.stop()
    thread.withLock { $0.take() }?.join()
  }

  deinit {
    stop()
  }

  /// A snapshot of the counters.
  package var counters: TagReaderCounters { shared.counters.withLock { $0 } }
}

/// What the reader's thread and its owner both touch.
final class TagReaderShared: Sendable {
  let continuation: AsyncStream<TagReaderEvent>.Continuation
  let wake: WakeSignal
  let counters = Mutex(TagReaderCounters())
  private let isStopping = Atomic(false)

  init(continuation: AsyncStream<TagReaderEvent>.Continuation, wake: WakeSignal) {
    self.continuation = continuation
    self.wake = wake
  }

  var mustStop: Bool { isStopping.load(ordering: .acquiring) }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake.signal()
  }
}
