import Foundation
import Synchronization
import TestSupport

/// A TCP proxy on loopback that breaks connections in a scripted way.
final class FaultProxy: Sendable {
  enum Fault: String, Sendable, CaseIterable {
    /// RST.
    case reset
    /// FIN.
    case finish
    /// Random bytes to the client instead of the broker's, for ever.
    case garbage
    /// Nothing any more, in both directions, and no end either.
    case silence
    /// One byte at a time to the client.
    case drip
  }

  struct Plan: Sendable {
    var fault: Fault?
    /// The fault begins when so many bytes went to the client...
    var afterBytesToClient = Int.max
    /// ...or so many to the broker.
    var afterBytesToBroker = Int.max
    /// Only these many first connections suffer.
    var connections = Int.max
    /// How long every piece is under way.
    var latencyMilliseconds = 0
    /// The pace of the line to the broker and of that to the client; 0 for none.
    var bytesPerSecond = 0
    /// Between two bytes of `drip`.
    var dripMilliseconds = 1000
    var garbageSeed: UInt64 = 1
  }

  let port: UInt16
  private let listener: Int32
  private let state: Holder

  private final class Holder: Sendable {
    let value = Mutex(State())
  }

  private struct State {
    var plan = Plan()
    var accepted = 0
    var isStopped = false
    /// Connections of an older generation are reset.
    var generation = 0
  }

  /// Forwards connections to `target` on loopback.
  init(to target: UInt16, _ plan: Plan = Plan()) throws {
    let state = Holder()
    state.value.withLock { $0.plan = plan }
    self.state = state
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = FreePort.loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isReady = withUnsafeMutablePointer(to: &address) { [listener] pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 128) == 0 && getsockname(listener, $0, &size) == 0
      }
    }
    guard isReady else { throw TestFault(description: "proxy: \(errno)") }
    port = UInt16(bigEndian: address.sin_port)
    let listener = listener
    Thread.detachNewThread {
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        let (plan, number, generation, isStopped) = state.value.withLock { state in
          state.accepted += 1
          return (state.plan, state.accepted, state.generation, state.isStopped)
        }
        guard !isStopped else {
          close(client)
          return
        }
        Thread.detachNewThread {
          Self.serve(client, target, plan, suffers: number <= plan.connections, generation, state)
        }
      }
    }
  }

  deinit {
    stop()
  }

  var connections: Int { state.value.withLock { $0.accepted } }

  /// A fault for the connections that come from now on.
  func change(_ plan: Plan) {
    state.value.withLock { state in
      state.plan = plan
      state.accepted = 0
    }
  }

  /// Resets the connections that stand now.
  func breakConnections() {
    state.value.withLock { $0.generation += 1 }
  }

  func stop() {
    let wasStopped = state.value.withLock { state in
      defer { state.isStopped = true }
      return state.isStopped
    }
    guard !wasStopped else { return }
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private static func serve(
    _ client: Int32, _ target: UInt16, _ plan: Plan, suffers: Bool, _ generation: Int, _ state: Holder
  ) {
    defer { close(client) }
    let broker = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(broker) }
    var address = FreePort.loopback(target)
    let isConnected =
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(broker, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      } == 0
    guard isConnected else { return reset(client) }
    var noDelay: Int32 = 1
    for descriptor in [client, broker] {
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
    }
    if plan.bytesPerSecond > 0 {
      // A line holds little; megabytes in this buffer would look to the client like a peer that takes nothing.
      var bytes: Int32 = 32 * 1024
      setsockopt(client, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    var toClient = 0
    var toBroker = 0
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let (isStopped, isOld) = state.value.withLock { ($0.isStopped, $0.generation != generation) }
      if isOld { reset(client) }
      guard !isStopped, !isOld else { return }
      let isFaulty =
        suffers && plan.fault != nil && (toClient >= plan.afterBytesToClient || toBroker >= plan.afterBytesToBroker)
      if isFaulty, let fault = plan.fault {
        guard act(fault, client, broker, plan, state) else { return }
      }
      var descriptors = [
        pollfd(fd: client, events: Int16(POLLIN), revents: 0), pollfd(fd: broker, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&descriptors, 2, 20) > 0 else { continue }
      for (from, to, limit) in [(0, broker, plan.afterBytesToBroker), (1, client, plan.afterBytesToClient)]
      where descriptors[from].revents != 0 {
        let done = from == 0 ? toBroker : toClient
        // Up to the byte at which the fault begins, not beyond.
        let piece = plan.bytesPerSecond > 0 ? max(1, plan.bytesPerSecond / 20) : buffer.count
        let most = suffers && plan.fault != nil && limit > done ? min(piece, limit - done) : piece
        let count = recv(descriptors[from].fd, &buffer, most, 0)
        guard count > 0 else {
          if count < 0 { reset(to == client ? client : broker) }
          return
        }
        if plan.bytesPerSecond > 0 { usleep(UInt32(count * 1_000_000 / plan.bytesPerSecond)) }
        if plan.latencyMilliseconds > 0 { usleep(UInt32(plan.latencyMilliseconds) * 1000) }
        guard sendAll(buffer[..<count], to) else { return }
        if from == 0 { toBroker += count } else { toClient += count }
      }
    }
  }

  /// Does what the fault asks for. Returns false when the connection is over.
  private static func act(_ fault: Fault, _ client: Int32, _ broker: Int32, _ plan: Plan, _ state: Holder) -> Bool {
    switch fault {
    case .reset:
      reset(client)
      return false
    case .finish: return false
    case .silence:
      while !state.value.withLock({ $0.isStopped }), !isGone(client) { usleep(20_000) }
      return false
    case .garbage:
      var seed = plan.garbageSeed
      while !state.value.withLock({ $0.isStopped }) {
        let bytes = (0..<512).map { _ in
          seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return UInt8(truncatingIfNeeded: seed >> 33)
        }
        guard sendAll(bytes[...], client) else { return false }
        usleep(1000)
      }
      return false
    case .drip:
      // What the client says is still forwarded; the broker's words trickle.
      var byte: UInt8 = 0
      while !state.value.withLock({ $0.isStopped }) {
        var descriptors = [pollfd(fd: client, events: Int16(POLLIN), revents: 0)]
        if poll(&descriptors, 1, Int32(plan.dripMilliseconds)) > 0 {
          var buffer = [UInt8](repeating: 0, count: 4096)
          let count = recv(client, &buffer, buffer.count, 0)
          guard count > 0, sendAll(buffer[..<count], broker) else { return false }
        }
        let count = recv(broker, &byte, 1, Int32(MSG_DONTWAIT))
        if count == 0 { return false }
        if count == 1, !sendAll([byte][...], client) { return false }
      }
      return false
    }
  }

  private static func isGone(_ descriptor: Int32) -> Bool {
    var byte: UInt8 = 0
    // Takes what the client still sends, so that its end is seen behind it.
    while true {
      let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
      return count == 0 || (count < 0 && errno != EAGAIN)
    }
  }

  private static func reset(_ descriptor: Int32) {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
  }

  private static func sendAll(_ bytes: ArraySlice<UInt8>, _ descriptor: Int32) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}
