import Glibc
import Identification
import LocalFiles
import Provenance

/// The body of a tag reader's thread.
struct TagReaderLoop {
  let settings: TagReader.Settings
  let clock: any TimeSource
  let shared: TagReaderShared

  private var confirmer: PresentationConfirmer
  private var backoff = ReopenBackoff()

  /// A frame pauses for no longer than this: 15 characters at 1200 baud take 125 ms.
  private static let burstEndMilliseconds = 150

  /// The longest PN532 frame takes 24 ms at 115200 baud.
  private static let writeMilliseconds = 1000

  init(settings: TagReader.Settings, clock: any TimeSource, shared: TagReaderShared) {
    self.settings = settings
    self.clock = clock
    self.shared = shared
    confirmer = PresentationConfirmer(policy: settings.policy, reader: settings.kind)
  }

  mutating func run() {
    while !shared.mustStop {
      do throws(SerialPortError) {
        var port = try SerialPort(path: settings.path, baud: settings.baud)
        shared.counters.withLock { $0.openings += 1 }
        if settings.kind == .pn532HSU {
          try converse(&port)
        } else {
          shared.continuation.yield(.connected)
          try listen(&port)
        }
      } catch {
        let wait = backoff.nextMilliseconds()
        shared.continuation.yield(.disconnected(error, retryMilliseconds: wait))
        // Whoever held a tag to a reader that went away must present it again.
        confirmer.reset()
        waitForStop(milliseconds: wait)
      }
    }
    shared.continuation.finish()
  }

  /// Reads what an unprompted reader sends, until the port fails or the reader is stopped.
  private mutating func listen(_ port: inout SerialPort) throws(SerialPortError) {
    var decoder = makeTagDecoder(for: settings.kind, linePattern: settings.linePattern)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { buffer.deallocate() }
    while !shared.mustStop {
      switch try port.read(into: buffer, timeoutMilliseconds: Self.burstEndMilliseconds, wake: shared.wake) {
      case .bytes(let count):
        backoff.reset()
        shared.counters.withLock { $0.bytes += count }
        let now = clock.now().monotonicNanoseconds
        decoder.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { take($0, now) }
      case .timedOut:
        let now = clock.now().monotonicNanoseconds
        decoder.endOfBurst { take($0, now) }
        report(confirmer.advance(toNanoseconds: now))
      case .woken:
        shared.wake.reset()
      }
    }
  }

  /// Holds the dialogue with a PN532, until the port fails, the chip falls silent or the reader is stopped.
  private mutating func converse(_ port: inout SerialPort) throws(SerialPortError) {
    var dialogue = PN532Dialogue(rules: settings.pn532)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { buffer.deallocate() }
    try act(on: dialogue.begin(atNanoseconds: clock.now().monotonicNanoseconds), &port)
    while !shared.mustStop {
      let outcome = try port.read(
        into: buffer, timeoutMilliseconds: millisecondsLeft(dialogue.nextDeadlineNanoseconds), wake: shared.wake)
      let now = clock.now().monotonicNanoseconds
      switch outcome {
      case .bytes(let count):
        shared.counters.withLock { $0.bytes += count }
        try act(on: dialogue.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]), atNanoseconds: now), &port)
      case .timedOut:
        break
      case .woken:
        shared.wake.reset()
      }
      try act(on: dialogue.advance(toNanoseconds: now), &port)
      report(confirmer.advance(toNanoseconds: now))
    }
  }

  private mutating func act(on events: [PN532Dialogue.Event], _ port: inout SerialPort) throws(SerialPortError) {
    for event in events {
      switch event {
      case .send(let bytes): try port.write(bytes, timeoutMilliseconds: Self.writeMilliseconds)
      case .found:
        backoff.reset()
        shared.continuation.yield(.connected)
      case .reading(let reading): take(.reading(reading), clock.now().monotonicNanoseconds)
      case .reject(let reject): take(.reject(reject), clock.now().monotonicNanoseconds)
      case .silent: throw .silent(path: settings.path, baud: settings.baud)
      }
    }
  }

  /// Until the dialogue's deadline, or the end of the confirmer's patience if that is sooner.
  private func millisecondsLeft(_ deadline: UInt64?) -> Int {
    let now = clock.now().monotonicNanoseconds
    guard let deadline else { return Self.burstEndMilliseconds }
    return deadline <= now ? 0 : min(Int((deadline - now + 999_999) / 1_000_000), Self.burstEndMilliseconds)
  }

  private mutating func take(_ event: DecoderEvent, _ now: UInt64) {
    switch event {
    case .reading(let reading):
      shared.counters.withLock { $0.frames += 1 }
      if settings.reportsEveryReading { shared.continuation.yield(.reading(reading)) }
      report(confirmer.observe(reading, atNanoseconds: now))
    case .otherFrame:
      shared.counters.withLock { $0.frames += 1 }
    case .reject(let reject):
      shared.counters.withLock { $0.rejects[reject.reason, default: 0] += 1 }
      if settings.reportsEveryReading { shared.continuation.yield(.reject(reject)) }
    }
  }

  private func report(_ events: [PresentationConfirmer.Event]) {
    for event in events {
      shared.counters.withLock { counters in
        switch event {
        case .presented: counters.presentations += 1
        case .ambiguous: counters.ambiguities += 1
        case .refused: counters.refusals += 1
        case .removed: break
        }
      }
      shared.continuation.yield(.presentation(event))
    }
  }

  private func waitForStop(milliseconds: Int) {
    let deadline = Deadline(milliseconds: milliseconds)
    while !shared.mustStop, deadline.remainingMilliseconds > 0 {
      var wake = pollfd(fd: shared.wake.number, events: Int16(POLLIN), revents: 0)
      do throws(SystemCallError) {
        try systemCall("poll", on: "tag reader") { poll(&wake, 1, deadline.remainingMilliseconds) }
      } catch {
        // Out of memory: the next attempt is only made earlier.
        return
      }
      if wake.revents != 0 { shared.wake.reset() }
    }
  }
}

/// How long to wait before a port that went away is opened again.
///
/// | attempt | 1 | 2 | 3 | 4 | 5 | 6 and more |
/// |---|---|---|---|---|---|---|
/// | wait in ms | 250 | 500 | 1000 | 2000 | 4000 | 5000 |
///
/// No jitter: there is one reader, and nobody else to collide with.
struct ReopenBackoff {
  private var milliseconds = 250

  mutating func nextMilliseconds() -> Int {
    defer { milliseconds = min(milliseconds * 2, 5000) }
    return milliseconds
  }

  /// The port delivered bytes: the next failure is a new one.
  mutating func reset() {
    milliseconds = 250
  }
}
