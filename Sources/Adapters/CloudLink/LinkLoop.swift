import CMosquitto
import Forwarding
import Glibc
import LocalFiles
import Provenance

/// The poll loop of a client, confined to the client's thread.
///
/// It waits for three things: commands (the wake-up signal), the socket, and deadlines. It never blocks in a look-up, a
/// handshake or a write, so it can stop within `stopMilliseconds` in every state.
final class LinkLoop {
  /// From the wish to stop until everything is closed, good-bye included.
  static let stopMilliseconds: Int64 = 1500
  /// At most this long for one address to answer SYN while others wait for their turn.
  private static let addressMilliseconds: Int64 = 10_000
  /// How often a standing connection is looked at, and a connection with a short keep-alive.
  private static let tickMilliseconds: ClosedRange<Int64> = 250...1000

  private enum State {
    case idle
    case resolving(Attempt)
    case opening(Attempt, BrokerConnection, addressDeadline: Int64)
    case open(BrokerConnection)
    case closing(BrokerConnection, LingeringSocket?, deadline: Int64)
  }

  /// One wish to connect.
  private struct Attempt {
    var settings: LinkSettings
    var deadline: Int64
    var addresses: [String] = []
  }

  private let commands: CommandQueue
  private let resolver: NameResolver
  private let time: any TimeSource
  private let deliver: @Sendable (LinkEvent) -> Void
  private var state = State.idle
  private var isStopping = false
  private var nextTick: Int64 = 0

  init(commands: CommandQueue, time: any TimeSource, events: @escaping @Sendable (LinkEvent) -> Void) {
    self.commands = commands
    self.time = time
    resolver = NameResolver(wake: commands.wake)
    deliver = events
  }

  /// Runs until a stop was asked for and everything is closed.
  func run() {
    while true {
      for command in commands.takeAll() { obey(command) }
      if isStopping, case .idle = state { return }
      wait()
    }
  }

  private func obey(_ command: LinkCommand) {
    switch command {
    case .connect(let settings): beginAttempt(settings)
    case .publish(let message, let token):
      guard case .open(let session) = state else {
        deliver(.published(token: token, outcome: .notSent(detail: "no connection")))
        return
      }
      settle(session, session.publish(message, token: token))
    case .disconnect: hangUp()
    case .unsubscribe:
      if case .open(let session) = state { settle(session, session.unsubscribe()) }
    case .read(let isWanted):
      if case .open(let session) = state { session.isReading = isWanted }
    case .answer(let answer): answer()
    case .stop:
      isStopping = true
      hangUp()
    }
  }

  // MARK: Waiting

  private func wait() {
    var descriptors = [pollfd(fd: commands.wake.number, events: Int16(POLLIN), revents: 0)]
    let now = monotonicMilliseconds()
    var until = now + 60_000
    switch state {
    case .idle: break
    case .resolving(let attempt): until = attempt.deadline
    case .opening(let attempt, let session, let addressDeadline):
      until = min(attempt.deadline, addressDeadline, session.holdUntil ?? .max)
      descriptors.append(pollfd(fd: session.descriptor, events: session.pollEvents, revents: 0))
    case .open(let session):
      until = nextTick
      descriptors.append(pollfd(fd: session.descriptor, events: session.pollEvents, revents: 0))
    case .closing(let session, let lingering, let deadline):
      until = deadline
      if session.stage == .closed {
        descriptors.append(pollfd(fd: lingering?.descriptor ?? -1, events: Int16(POLLIN), revents: 0))
      } else {
        descriptors.append(pollfd(fd: session.descriptor, events: session.pollEvents, revents: 0))
      }
    }
    let timeout = Int32(clamping: max(0, until - now))
    let count = poll(&descriptors, nfds_t(descriptors.count), timeout)
    // A failing poll (a signal, no memory) is like one that found nothing: the deadlines still hold.
    if count > 0, descriptors[0].revents != 0 { commands.wake.reset() }
    let found = count > 0 && descriptors.count > 1 ? descriptors[1].revents : 0
    proceed(found: found, now: monotonicMilliseconds())
  }

  private func proceed(found: Int16, now: Int64) {
    switch state {
    case .idle: break
    case .resolving(let attempt): continueResolving(attempt, now: now)
    case .opening(let attempt, let session, let addressDeadline):
      continueOpening(attempt, session, found: found, addressDeadline: addressDeadline, now: now)
    case .open(let session):
      if found != 0, let failure = session.advance(found: found, now: now) { return settle(session, failure) }
      if now >= nextTick {
        nextTick = now + tickMilliseconds(session)
        if let failure = session.tick(now: now) { return settle(session, failure) }
      }
      settle(session, nil)
    case .closing(let session, let lingering, let deadline):
      continueClosing(session, lingering, deadline: deadline, now: now)
    }
  }

  private func tickMilliseconds(_ session: BrokerConnection) -> Int64 {
    let share = Int64(session.settings.keepAliveSeconds) * 1000 / 20
    return min(max(share, Self.tickMilliseconds.lowerBound), Self.tickMilliseconds.upperBound)
  }

  // MARK: Connecting

  private func beginAttempt(_ settings: LinkSettings) {
    guard !isStopping else { return }
    guard case .idle = state else {
      deliver(.connectionFailed(LinkFailure(kind: .requested, detail: "an attempt or a connection is under way")))
      return
    }
    let now = monotonicMilliseconds()
    if case .tls = settings.security, time.now().utcNanoseconds / 1_000_000_000 < settings.clockFloorSeconds {
      deliver(
        .connectionFailed(
          LinkFailure(
            kind: .clock,
            detail: "this clock says \(time.now().rfc3339), before the clock floor: certificates cannot be judged")))
      return
    }
    var attempt = Attempt(settings: settings, deadline: now + Int64(settings.connectTimeoutMilliseconds))
    if let address = NameResolver.numericAddress(settings.host) {
      attempt.addresses = [address]
      tryNextAddress(attempt, now: now)
    } else {
      state = .resolving(attempt)
      resolver.begin(settings.host)
    }
  }

  private func continueResolving(_ attempt: Attempt, now: Int64) {
    switch resolver.answer(for: attempt.settings.host) {
    case .failure(let failure): giveUp(failure)
    case .addresses(let addresses):
      var attempt = attempt
      attempt.addresses = addresses
      tryNextAddress(attempt, now: now)
    case nil:
      guard now >= attempt.deadline else { return }
      giveUp(
        LinkFailure(
          kind: .nameResolution,
          detail: "\(attempt.settings.host): no answer within \(attempt.settings.connectTimeoutMilliseconds) ms"))
    }
  }

  /// Tries the attempt's addresses until one at least begins to answer.
  private func tryNextAddress(_ attempt: Attempt, now: Int64) {
    var attempt = attempt
    var last = LinkFailure(kind: .nameResolution, detail: "\(attempt.settings.host): no address left")
    while !attempt.addresses.isEmpty {
      let address = attempt.addresses.removeFirst()
      if case .plaintext(let beyondLoopback) = attempt.settings.security, !beyondLoopback,
        !NameResolver.isLoopback(address)
      {
        last = LinkFailure(
          kind: .tls,
          detail: "plain MQTT to \(attempt.settings.host) (\(address)) is refused: use TLS, or allow_plaintext = true")
        continue
      }
      do {
        let session = try BrokerConnection(settings: attempt.settings, address: address, now: now)
        let share = attempt.addresses.isEmpty ? attempt.deadline : now + Self.addressMilliseconds
        state = .opening(attempt, session, addressDeadline: min(attempt.deadline, share))
        return
      } catch {
        last = error
      }
    }
    giveUp(last)
  }

  private func continueOpening(
    _ attempt: Attempt, _ session: BrokerConnection, found: Int16, addressDeadline: Int64, now: Int64
  ) {
    let failure = found == 0 ? session.tick(now: now) : session.advance(found: found, now: now)
    // Of an attempt that opens and fails at once only the failure is told.
    if !session.isOpen { session.takeEvents().forEach(deliver) }
    if let failure {
      // Another address may be better when this one did not even answer.
      if session.stage == .connecting, !attempt.addresses.isEmpty { return tryNextAddress(attempt, now: now) }
      return giveUp(failure)
    }
    if session.isOpen {
      state = .open(session)
      nextTick = now + tickMilliseconds(session)
      return settle(session, nil)
    }
    if session.stage == .connecting, now >= addressDeadline, !attempt.addresses.isEmpty {
      return tryNextAddress(attempt, now: now)
    }
    guard now >= attempt.deadline else { return }
    giveUp(
      LinkFailure(
        kind: .timeout,
        detail: "\(session.place): \(session.stage.awaited) within \(attempt.settings.connectTimeoutMilliseconds) ms"))
  }

  private func giveUp(_ failure: LinkFailure) {
    state = .idle
    deliver(.connectionFailed(failure))
  }

  // MARK: Connected, and leaving

  /// Delivers what a standing connection has to tell, then its end when there is one.
  private func settle(_ session: BrokerConnection, _ failure: LinkFailure?) {
    if failure != nil { state = .idle }
    session.takeEvents().forEach(deliver)
    if let failure { deliver(.disconnected(failure)) }
  }

  private func hangUp() {
    let requested = LinkFailure(kind: .requested, detail: "closed by this side")
    switch state {
    case .idle, .closing: break
    case .resolving, .opening: giveUp(requested)
    case .open(let session):
      let now = monotonicMilliseconds()
      let lingering = LingeringSocket(duplicating: session.descriptor)
      session.sayGoodbye()
      state = .closing(session, lingering, deadline: now + Self.stopMilliseconds)
      continueClosing(session, lingering, deadline: now + Self.stopMilliseconds, now: now)
    }
  }

  private func continueClosing(
    _ session: BrokerConnection, _ lingering: LingeringSocket?, deadline: Int64, now: Int64
  ) {
    if session.stage == .closing { session.continueGoodbye() }
    let isDone = session.stage == .closed && (lingering?.isFinished() ?? true)
    guard isDone || now >= deadline else { return }
    state = .idle
    deliver(.disconnected(LinkFailure(kind: .requested, detail: "closed by this side")))
  }
}

extension BrokerConnection.Stage {
  /// What did not come in time.
  fileprivate var awaited: String {
    switch self {
    case .connecting: "no answer to the connection"
    case .securing: "no end of the TLS handshake"
    default: "no CONNACK"
    }
  }
}

/// A second descriptor of the connection, kept while the broker reads what was sent last.
///
/// Closing a socket with unread data resets the connection, and the broker may throw away our last publishes together
/// with the DISCONNECT and send the will. So our direction is ended first and the peer's end awaited.
private final class LingeringSocket {
  let descriptor: Int32
  private var isShut = false

  init?(duplicating descriptor: Int32) {
    guard descriptor >= 0 else { return nil }
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { return nil }
    self.descriptor = copy
  }

  deinit {
    close(descriptor)
  }

  /// Reads and forgets what still comes; true when the peer has closed too.
  func isFinished() -> Bool {
    if !isShut {
      isShut = true
      guard shutdown(descriptor, Int32(SHUT_WR)) == 0 else { return true }
    }
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      // Bounded: a peer that never stops sending is cut off by the deadline between two polls.
      for _ in 0..<64 {
        do throws(SystemCallError) {
          let count = try systemCall("recv", on: "broker") {
            recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
          }
          if count == 0 { return true }
        } catch {
          return error.errorNumber != EAGAIN
        }
      }
      return false
    }
  }
}
