import CLinux
import Glibc
import LocalFiles
import Synchronization
import Threads

/// Who is at the other end of a control connection, as the kernel noted it when the connection was made.
package struct ControlPeer: Sendable, Hashable {
  package var user: UInt32
  /// The primary group, then the supplementary ones.
  package var groups: [UInt32]

  package init(user: UInt32, groups: [UInt32]) {
    self.user = user
    self.groups = groups
  }

  /// Root, the service's own user, and members of the service's group may control it.
  package func mayControl(serviceOf user: UInt32, group: UInt32) -> Bool {
    self.user == 0 || self.user == user || groups.contains(group)
  }
}

/// What a client of the control socket can cost, at most.
package struct ControlLimits: Sendable {
  /// Connections at a time in all, and from one user.
  package var connections = 8
  package var connectionsPerUser = 4
  /// Connections that the kernel keeps until they are accepted. One user's flood must leave room for the others.
  package static let backlog: Int32 = 128
  /// Refusals in one go; then a pause, so that a flood keeps no core busy.
  static let refusalsAtOnce = 64
  /// Bytes of a request, line end included.
  package var requestBytes = 4096
  /// Bytes of an answer that wait for a slow reader.
  package var answerBytes = 256 * 1024
  /// From the connection to the end of the request.
  package var requestMilliseconds = 2000
  /// Without progress while an answer waits to be read.
  package var answerMilliseconds = 5000
  /// From the request to the end of the work, a guided capture included.
  package var workMilliseconds = 20 * 60_000

  package init() {}
}

/// The answer to one request, on its way. Any thread may write to it.
package final class ControlAnswer: Sendable {
  fileprivate struct State {
    var waiting: [UInt8] = []
    var isFinished = false
    var isGone = false
  }

  fileprivate let state = Mutex(State())
  private let wake: WakeSignal
  private let limit: Int

  fileprivate init(wake: WakeSignal, limit: Int) {
    self.wake = wake
    self.limit = limit
  }

  /// The client went away or was cut off: further lines go nowhere, and work for it may end.
  package var isGone: Bool { state.withLock { $0.isGone } }

  /// Adds a line to the answer; false when the client is gone or does not read.
  @discardableResult
  package func send(line: [UInt8]) -> Bool {
    let isTaken = state.withLock { state in
      guard !state.isGone, !state.isFinished else { return false }
      guard state.waiting.count + line.count < limit else {
        state.isGone = true
        return false
      }
      state.waiting += line
      state.waiting.append(UInt8(ascii: "\n"))
      return true
    }
    wake.signal()
    return isTaken
  }

  /// The answer is complete; the connection is closed when the client has it.
  package func finish() {
    state.withLock { $0.isFinished = true }
    wake.signal()
  }
}

/// A unix stream socket on which the service answers its own tools: one request a connection, one line; the answer is one
/// line or several, then the end. Whoever may not control the service is cut off before a byte is read.
///
/// Beside it lies a second one that only root and the service's own user can connect to. The kernel's queue of a socket
/// goes to whoever asks oftener, so that nobody who may use the first can keep root from the second.
package final class ControlListener: Sendable {
  /// Called on the listener's thread; it must not wait. Exactly one `finish` must follow, from any thread.
  package typealias Handler = @Sendable (_ request: [UInt8], _ peer: ControlPeer, _ answer: ControlAnswer) -> Void

  /// What became of somebody who connected.
  package enum Arrival: Sendable {
    case taken
    /// There is no room.
    case refused
    /// He may not control the service.
    case unauthorised
  }

  /// Of the owner's socket, behind the path of everybody's.
  package static let ownerSuffix = ".owner"

  private let shared: ControlListenerShared
  private let thread: Mutex<NamedThread?>

  /// Listens at `path`, mode 0660, and beside it, mode 0600; what is left there of a service that was killed is removed.
  ///
  /// - Parameter arrived: hears of everybody who connects, on the listener's thread; it must not wait.
  package init(
    path: String, limits: ControlLimits = ControlLimits(), arrived: @escaping @Sendable (Arrival) -> Void = { _ in },
    handler: @escaping Handler
  ) throws(SystemCallError) {
    let listeners = [
      try ListeningSocket(path + Self.ownerSuffix, mode: 0o600), try ListeningSocket(path, mode: 0o660),
    ]
    let shared = ControlListenerShared(wake: try WakeSignal(), listeners: listeners, path: path)
    self.shared = shared
    thread = Mutex(
      try NamedThread("control") {
        var loop = ControlListenerLoop(
          shared: shared, listeners: listeners, limits: limits, arrived: arrived, handler: handler)
        loop.run()
      })
  }

  /// From now on there is room for half as many, or for all again. Those who are there stay.
  package func halve(_ isHalved: Bool) { shared.isHalved.store(isHalved, ordering: .relaxed) }

  /// Cuts off every client, ends the thread and removes the socket. Harmless when called again.
  package func stop() {
    guard let thread = thread.withLock({ $0.take() }) else { return }
    shared.stop()
    thread.join()
    shared.closeListeners()
    unlink(shared.path)
    unlink(shared.path + Self.ownerSuffix)
  }

  deinit {
    stop()
  }
}

/// Closed with the last reference: those whom nobody has accepted yet are cut off then.
private final class ListeningSocket: Sendable {
  let descriptor: OwnedDescriptor

  init(_ path: String, mode: UInt32) throws(SystemCallError) {
    descriptor = OwnedDescriptor(
      takingOver: try systemCall("bind", on: path) { clinux_listen_unix(path, mode, ControlLimits.backlog) })
  }

  var number: Int32 { descriptor.number }
}

private final class ControlListenerShared: Sendable {
  let wake: WakeSignal
  let path: String
  let isHalved = Atomic(false)
  private let listeners: Mutex<[ListeningSocket]>
  private let isStopping = Atomic(false)

  init(wake: WakeSignal, listeners: [ListeningSocket], path: String) {
    self.wake = wake
    self.listeners = Mutex(listeners)
    self.path = path
  }

  func closeListeners() {
    listeners.withLock { $0 = [] }
  }

  var mustStop: Bool { isStopping.load(ordering: .acquiring) }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake.signal()
  }
}

/// One client.
private final class ControlConnection {
  let descriptor: OwnedDescriptor
  let peer: ControlPeer
  /// The listener that it came by; each has its own room.
  let listener: Int
  let answer: ControlAnswer
  var request: [UInt8] = []
  var isReading = true
  var isOver = false
  /// Monotonic milliseconds.
  var deadline: UInt64

  init(
    _ descriptor: consuming OwnedDescriptor, peer: ControlPeer, listener: Int, answer: ControlAnswer, deadline: UInt64
  ) {
    self.descriptor = descriptor
    self.peer = peer
    self.listener = listener
    self.answer = answer
    self.deadline = deadline
  }
}

/// The body of the listener's thread.
private struct ControlListenerLoop {
  let shared: ControlListenerShared
  let listeners: [ListeningSocket]
  let limits: ControlLimits
  let arrived: @Sendable (ControlListener.Arrival) -> Void
  let handler: ControlListener.Handler
  private var connections: [ControlConnection] = []
  /// Until then nobody is accepted by that listener: a flood must not keep a core busy. Monotonic milliseconds.
  private var pausedUntil: [UInt64]
  private static let pauseMilliseconds: UInt64 = 20

  init(
    shared: ControlListenerShared, listeners: [ListeningSocket], limits: ControlLimits,
    arrived: @escaping @Sendable (ControlListener.Arrival) -> Void, handler: @escaping ControlListener.Handler
  ) {
    self.shared = shared
    self.arrived = arrived
    self.listeners = listeners
    pausedUntil = [UInt64](repeating: 0, count: listeners.count)
    self.limits = limits
    self.handler = handler
  }

  private var now: UInt64 { SystemClock.monotonicNanoseconds() / 1_000_000 }

  mutating func run() {
    while !shared.mustStop {
      let time = now
      var descriptors = [pollfd(fd: shared.wake.number, events: Int16(POLLIN), revents: 0)]
      for (listener, until) in zip(listeners, pausedUntil) {
        descriptors.append(pollfd(fd: time < until ? -1 : listener.number, events: Int16(POLLIN), revents: 0))
      }
      for connection in connections {
        let hasAnswer = connection.answer.state.withLock { !$0.waiting.isEmpty }
        let events = connection.isReading ? POLLIN : hasAnswer ? POLLOUT : 0
        descriptors.append(pollfd(fd: connection.descriptor.number, events: Int16(events), revents: 0))
      }
      let ends = connections.map(\.deadline) + pausedUntil.filter { $0 > time }
      let next = ends.min() ?? time + 60_000
      let found = poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: next > time ? next - time : 0))
      // A failing poll is like one that found nothing; the deadlines still hold.
      if found > 0, descriptors[0].revents != 0 { shared.wake.reset() }
      for (index, connection) in connections.enumerated() {
        proceed(connection, found: found > 0 ? descriptors[1 + listeners.count + index].revents : 0)
      }
      connections.removeAll { $0.isOver }
      for index in listeners.indices where found > 0 && descriptors[1 + index].revents != 0 {
        acceptThoseWhoWait(at: index)
      }
    }
    for connection in connections { cutOff(connection) }
  }

  /// Takes everybody from the kernel's queue: behind those of one user who are refused stand others who are not.
  private mutating func acceptThoseWhoWait(at listener: Int) {
    var refusals = 0
    while !shared.mustStop {
      switch accept(by: listener) {
      case .taken: break
      case .refused:
        refusals += 1
        guard refusals < ControlLimits.refusalsAtOnce else {
          pausedUntil[listener] = now + Self.pauseMilliseconds
          return
        }
      case .nobody: return
      }
    }
  }

  private enum Acceptance {
    case taken, refused, nobody
  }

  private mutating func accept(by listener: Int) -> Acceptance {
    let number = clinux_accept(listeners[listener].number)
    guard number >= 0 else {
      // Nobody waits, we are out of descriptors, or the client gave up meanwhile.
      if errno != EAGAIN { pausedUntil[listener] = now + Self.pauseMilliseconds }
      return .nobody
    }
    let descriptor = OwnedDescriptor(takingOver: number)
    guard let peer = Self.peer(of: number), peer.mayControl(serviceOf: geteuid(), group: getegid()) else {
      arrived(.unauthorised)
      refuse(number, "you may not control this service; run as root or as a member of its group")
      return .refused
    }
    let others = connections.filter { $0.listener == listener }
    let share = shared.isHalved.load(ordering: .relaxed) ? 2 : 1
    guard others.count < limits.connections / share,
      others.count(where: { $0.peer.user == peer.user }) < limits.connectionsPerUser / share
    else {
      arrived(.refused)
      refuse(number, "the service answers others; try again")
      return .refused
    }
    connections.append(
      ControlConnection(
        descriptor, peer: peer, listener: listener,
        answer: ControlAnswer(wake: shared.wake, limit: limits.answerBytes),
        deadline: now + UInt64(limits.requestMilliseconds)))
    arrived(.taken)
    return .taken
  }

  private func refuse(_ descriptor: Int32, _ reason: String) {
    let line = Array("{\"error\":\"\(reason)\"}\n".utf8)
    // A fresh socket's buffer takes a line; whoever is refused may also not hear why.
    _ = line.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  private func proceed(_ connection: ControlConnection, found: Int16) {
    if connection.isReading {
      if found != 0 { read(connection) }
    } else {
      if found & Int16(POLLHUP | POLLERR) != 0 { return cutOff(connection) }
      write(connection)
    }
    if !connection.isOver, now >= connection.deadline { cutOff(connection) }
  }

  private func read(_ connection: ControlConnection) {
    var buffer = [UInt8](repeating: 0, count: limits.requestBytes)
    let count: Int
    do throws(SystemCallError) {
      count = try systemCall("recv", on: shared.path) { recv(connection.descriptor.number, &buffer, buffer.count, 0) }
    } catch {
      return error.errorNumber == EAGAIN ? () : cutOff(connection)
    }
    guard count > 0 else { return cutOff(connection) }
    connection.request += buffer[..<count]
    guard let end = connection.request.firstIndex(of: UInt8(ascii: "\n")) else {
      if connection.request.count >= limits.requestBytes { cutOff(connection) }
      return
    }
    connection.isReading = false
    connection.deadline = now + UInt64(limits.workMilliseconds)
    handler(Array(connection.request[..<end]), connection.peer, connection.answer)
    connection.request = []
  }

  private func write(_ connection: ControlConnection) {
    let state = connection.answer.state.withLock { ($0.waiting, $0.isFinished, $0.isGone) }
    if state.2 { return cutOff(connection) }
    if state.0.isEmpty {
      if state.1 { connection.isOver = true }
      return
    }
    let sent: Int
    do throws(SystemCallError) {
      sent = try systemCall("send", on: shared.path) {
        state.0.withUnsafeBytes {
          send(connection.descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
      }
    } catch {
      guard error.errorNumber == EAGAIN else { return cutOff(connection) }
      // The reader has as long as this to take some of it.
      connection.deadline = min(connection.deadline, now + UInt64(limits.answerMilliseconds))
      return
    }
    let isEmpty = connection.answer.state.withLock { state in
      state.waiting.removeFirst(sent)
      return state.waiting.isEmpty
    }
    if isEmpty, state.1 { connection.isOver = true }
    connection.deadline = now + UInt64(isEmpty ? limits.workMilliseconds : limits.answerMilliseconds)
  }

  private func cutOff(_ connection: ControlConnection) {
    connection.answer.state.withLock { state in
      state.isGone = true
      state.waiting = []
    }
    connection.isOver = true
  }

  private static func peer(of descriptor: Int32) -> ControlPeer? {
    var user: UInt32 = 0
    var group: UInt32 = 0
    var groups = [UInt32](repeating: 0, count: 64)
    let count = clinux_peer(descriptor, &user, &group, &groups, Int32(groups.count))
    guard count >= 0 else { return nil }
    return ControlPeer(user: user, groups: [group] + groups.prefix(Int(count)))
  }
}
