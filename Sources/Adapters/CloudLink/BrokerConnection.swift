import CMosquitto
import Forwarding
import Glibc
import LocalFiles

/// One attempt to connect to one address, and the connection that may come of it.
///
/// Confined to the link's thread. It never blocks: the loop asks for the descriptor and the events to poll for, and
/// tells what poll found. A libmosquitto handle serves one attempt only, so nothing that it queues survives into the
/// next connection; what was not acknowledged is handed over again by the delivery logic.
final class BrokerConnection {
  /// How far the attempt has come.
  enum Stage: Equatable {
    /// TCP handshake.
    case connecting
    /// TLS handshake.
    case securing
    /// CONNECT on its way, CONNACK awaited.
    case greeting
    case open
    /// DISCONNECT on its way.
    case closing
    case closed
  }

  /// How long a broker may take to refuse our certificate before CONNECT is sent all the same.
  private static let certificateRejectionGraceMilliseconds: Int64 = 500

  /// Publishes that wait for the window at a time. The delivery logic keeps the window by itself; this is for the few
  /// messages beside it (status, receipts) under a small Receive Maximum.
  private static let waitingMaximum = 256
  static let brokenHandshake =
    "the broker closed the connection in the TLS handshake; does it refuse our certificate?"

  private(set) var stage: Stage = .connecting
  /// What is to be told; the loop takes it.
  private(set) var events: [LinkEvent] = []
  private(set) var limits = ConnectionLimits()

  let settings: LinkSettings
  let address: String
  let client: OpaquePointer
  let callbacks: ConnectionCallbacks
  let tls: TLSContext?
  /// CONNECT is held back until then, unless the broker speaks first.
  private(set) var holdUntil: Int64?
  private var inFlight: [Int32: PublishToken] = [:]
  /// Publishes beyond the window, whose time comes with the next PUBACK.
  private var waiting: [(OutgoingMessage, PublishToken)] = []
  private var isResuming = false
  private var pendingSubscriptions: [Int32: String] = [:]
  /// When the subscriptions were asked for.
  private var subscribed: Int64?
  var watch: LinkWatch
  /// Whether what the broker sends is read. The end of the connection is noticed all the same.
  var isReading = true

  /// Begins to connect. Throws when the attempt ends before it began: unusable files, a refused connection.
  init(settings: LinkSettings, address: String, now: Int64) throws(LinkFailure) {
    self.settings = settings
    self.address = address
    LibraryLifetime.begin()
    switch settings.security {
    case .plaintext: tls = nil
    case .tls(let files): tls = try TLSContext(files: files, host: settings.host)
    }
    callbacks = ConnectionCallbacks(version: settings.protocolVersion)
    let cleanStart = settings.sessionExpirySeconds == 0
    guard
      let client = mosquitto_new(
        settings.clientIdentifier, cleanStart, Unmanaged.passUnretained(callbacks).toOpaque())
    else {
      throw LinkFailure(
        kind: .protocolError, detail: "client identifier '\(settings.clientIdentifier)' cannot be used")
    }
    self.client = client
    watch = LinkWatch(
      keepAliveSeconds: settings.keepAliveSeconds, stallMilliseconds: Int64(settings.stallMilliseconds), now: now)
    ConnectionCallbacks.register(at: client)
    do {
      try configure()
    } catch {
      throw LinkFailure(kind: .protocolError, detail: "the connection's settings: \(error)")
    }
    try open()
  }

  deinit {
    mosquitto_destroy(client)
  }

  /// The socket, or -1 when there is none any more.
  var descriptor: Int32 { mosquitto_socket(client) }

  /// What to poll the descriptor for.
  var pollEvents: Int16 {
    let wantsWrite = stage == .connecting || (holdUntil == nil && mosquitto_want_write(client))
    // A peer that has closed is read to its end: that is no more than the socket's buffer.
    return Int16(isReading ? POLLIN : LINK_POLL_PEER_CLOSED) | (wantsWrite ? Int16(POLLOUT) : 0)
  }

  /// Whether publishes are taken.
  var isOpen: Bool { stage == .open }

  /// Publishes that may still be handed over now.
  var window: Int { max(0, min(settings.inFlightMaximum, limits.receiveMaximum) - inFlight.count) }

  func takeEvents() -> [LinkEvent] {
    guard !events.isEmpty else { return [] }
    let taken = events
    events.removeAll(keepingCapacity: true)
    return taken
  }

  /// Does what `found` (poll's revents) allows. Returns why the session ended, or nil.
  func advance(found: Int16, now: Int64) -> LinkFailure? {
    if stage == .connecting {
      if let failure = finishConnecting(found) { return failure }
      if stage == .connecting { return nil }
    }
    if stage == .securing {
      if let failure = secure(found, now: now) { return failure }
      if stage == .securing || holdUntil != nil { return nil }
    }
    var code: Int32 = Int32(MOSQ_ERR_SUCCESS.rawValue)
    let before = callbacks.factCount
    if found & Int16(POLLIN | POLLERR | POLLHUP | LINK_POLL_PEER_CLOSED) != 0 {
      holdUntil = nil
      code = read()
    }
    let readErrno = errno
    if let failure = digest() { return failure }
    if code != Int32(MOSQ_ERR_SUCCESS.rawValue) { return failure(code: code, errnoCode: readErrno) }
    if let failure = watch.noteRead(
      descriptor: descriptor, madeProgress: callbacks.factCount != before,
      bytesMaximum: settings.incomingPacketBytesMaximum)
    {
      events.append(.oversize(maximumBytes: settings.incomingPacketBytesMaximum))
      return failure
    }
    if let failure = resumeWaiting() { return failure }
    return flush()
  }

  /// Reads at most about one packet's worth, so that the watch can look before a long one is in memory.
  private func read() -> Int32 { link_guarded_read(client, descriptor, settings.incomingPacketBytesMaximum) }

  /// Writes what waits, as far as the socket takes it.
  private func flush() -> LinkFailure? {
    guard descriptor >= 0, holdUntil == nil, mosquitto_want_write(client) else { return nil }
    let code = mosquitto_loop_write(client, 1)
    let writeErrno = errno
    if let failure = digest() { return failure }
    return code == Int32(MOSQ_ERR_SUCCESS.rawValue) ? nil : failure(code: code, errnoCode: writeErrno)
  }

  /// Keep-alive and silence; to be called about once a second. Returns why the session ended, or nil.
  func tick(now: Int64) -> LinkFailure? {
    guard stage == .open || stage == .greeting else { return nil }
    if let subscribed, !pendingSubscriptions.isEmpty,
      now - subscribed >= Int64(settings.subscribeTimeoutMilliseconds)
    {
      return LinkFailure(kind: .timeout, detail: "\(place): no answer to a subscription")
    }
    if let holdUntil, now >= holdUntil {
      self.holdUntil = nil
      if let failure = flush() { return failure }
    }
    let verdict = watch.check(descriptor: descriptor, publishes: inFlight.count, now: now)
    if watch.takeMovement(publishes: inFlight.count) { events.append(.moving) }
    switch verdict {
    case .busy: return nil
    case .silent(let milliseconds):
      return giveUp("nothing heard for \(milliseconds / 1000) s")
    case .unanswered(let milliseconds):
      return giveUp("the broker's machine answers, the broker does not, for \(milliseconds / 1000) s")
    case .stalled(let milliseconds):
      return giveUp("the peer takes nothing any more, for \(milliseconds / 1000) s")
    case .mayAsk:
      let code = mosquitto_loop_misc(client)
      let miscErrno = errno
      if let failure = digest() { return failure }
      return code == Int32(MOSQ_ERR_SUCCESS.rawValue) ? nil : failure(code: code, errnoCode: miscErrno)
    }
  }

  /// Ends a connection whose peer does not take what we send; it will get it on the next one.
  private func giveUp(_ why: String) -> LinkFailure {
    let refused = link_socket_forget(descriptor)
    let words = refused == 0 ? why : "\(why) (and its buffer stays: \(SystemCallError.text(of: refused)))"
    return LinkFailure(kind: .timeout, detail: "\(place): \(words)")
  }

  /// Hands a message to libmosquitto. Its outcome becomes an event; the returned failure ends the session.
  func publish(_ message: OutgoingMessage, token: PublishToken) -> LinkFailure? {
    func refuse(_ detail: String) { events.append(.published(token: token, outcome: .notSent(detail: detail))) }
    guard isOpen else {
      refuse("no connection")
      return nil
    }
    guard window > 0, isResuming || waiting.isEmpty else {
      guard waiting.count < Self.waitingMaximum else {
        refuse("\(Self.waitingMaximum) publishes wait for the broker's window already")
        return nil
      }
      waiting.append((message, token))
      return nil
    }
    let bytes = message.packetBytesUpperBound
    if let maximum = limits.maximumPacketBytes, bytes > maximum {
      refuse("a packet of \(bytes) bytes; the broker takes at most \(maximum)")
      return nil
    }
    var identifier: Int32 = 0
    let code: Int32
    do {
      let properties = limits.protocolVersion == .mqtt5 ? try PropertyList(of: message) : PropertyList()
      code = message.payload.withUnsafeBytes { payload in
        mosquitto_publish_v5(
          client, &identifier, outgoingTopic(message.topic), Int32(clamping: payload.count), payload.baseAddress,
          Int32(message.qualityOfService.rawValue), message.retain, properties.head)
      }
    } catch {
      refuse("\(error)")
      return nil
    }
    let publishErrno = errno
    switch code {
    case Int32(MOSQ_ERR_SUCCESS.rawValue):
      inFlight[identifier] = token
      return digest()
    case Int32(MOSQ_ERR_NO_CONN.rawValue), Int32(MOSQ_ERR_CONN_LOST.rawValue), Int32(MOSQ_ERR_ERRNO.rawValue):
      // The packet may be on its way in part, so it has no outcome: it ends with the connection.
      return failure(code: code, errnoCode: publishErrno)
    default:
      refuse(LinkLibraryError.text(code, errnoCode: publishErrno))
      return nil
    }
  }

  /// Hands over what waited for the window, in order.
  private func resumeWaiting() -> LinkFailure? {
    isResuming = true
    defer { isResuming = false }
    while window > 0, !waiting.isEmpty {
      let (message, token) = waiting.removeFirst()
      if let failure = publish(message, token: token) { return failure }
    }
    return nil
  }

  /// Begins the good-bye: after DISCONNECT with success the broker does not publish the will. Publishes without an
  /// outcome keep none.
  func sayGoodbye() {
    guard stage == .open else {
      stage = .closed
      return
    }
    stage = .closing
    mosquitto_disconnect_v5(client, 0, nil)
    _ = callbacks.takeFacts()
    if descriptor < 0 { stage = .closed }
  }

  /// Goes on with the good-bye; `stage` is `.closed` when it is over.
  func continueGoodbye() {
    if descriptor >= 0, mosquitto_want_write(client) { mosquitto_loop_write(client, 1) }
    _ = callbacks.takeFacts()
    if descriptor < 0 || !mosquitto_want_write(client) { stage = .closed }
  }

  /// `host:port (address)`, for a person.
  var place: String {
    let target = "\(settings.host):\(settings.port)"
    return settings.host == address ? target : "\(target) (\(address))"
  }
}

// MARK: - Coming up

extension BrokerConnection {
  private func configure() throws {
    let version = settings.protocolVersion == .mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311
    try check(mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version), "MOSQ_OPT_PROTOCOL_VERSION")
    // Our own window is the narrower one, so libmosquitto never queues behind it.
    try check(mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, 65_535), "MOSQ_OPT_SEND_MAXIMUM")
    try check(
      mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, Int32(settings.receiveMaximum)),
      "MOSQ_OPT_RECEIVE_MAXIMUM")
    try tls?.apply(to: client)
    if let credentials = settings.credentials {
      let password = try credentials.password()
      try check(mosquitto_username_pw_set(client, credentials.userName, password), "user name")
    }
    if let will = settings.will { try set(will) }
    guard settings.protocolVersion == .mqtt5 else { return }
    var properties = PropertyList()
    if settings.sessionExpirySeconds > 0 {
      try properties.add(MQTT_PROP_SESSION_EXPIRY_INTERVAL, settings.sessionExpirySeconds)
    }
    try properties.add(MQTT_PROP_MAXIMUM_PACKET_SIZE, UInt32(clamping: settings.incomingPacketBytesMaximum))
    // The asynchronous connect takes no properties; this call stores them and then refuses the missing host.
    let code = mosquitto_connect_bind_v5(
      client, nil, Int32(settings.port), Int32(settings.keepAliveSeconds), nil, properties.head)
    guard code == Int32(MOSQ_ERR_INVAL.rawValue) else {
      throw LinkLibraryError(call: "properties of CONNECT", code: code, errnoCode: errno)
    }
  }

  private func set(_ will: OutgoingMessage) throws(LinkLibraryError) {
    var properties = settings.protocolVersion == .mqtt5 ? try PropertyList(of: will) : PropertyList()
    let code = will.payload.withUnsafeBytes { payload in
      mosquitto_will_set_v5(
        client, outgoingTopic(will.topic), Int32(clamping: payload.count), payload.baseAddress,
        Int32(will.qualityOfService.rawValue), will.retain, properties.head)
    }
    try check(code, "will")
    _ = properties.release()
  }

  private func open() throws(LinkFailure) {
    let code = mosquitto_connect_bind_async(
      client, address, Int32(settings.port), Int32(settings.keepAliveSeconds), nil)
    let connectErrno = errno
    guard code == Int32(MOSQ_ERR_SUCCESS.rawValue), descriptor >= 0 else {
      throw failure(code: code, errnoCode: connectErrno)
    }
    let refused = link_socket_configure(descriptor, 64 * 1024)
    guard refused == 0 else {
      throw LinkFailure(kind: .unreachable, detail: "\(place): \(SystemCallError.text(of: refused))")
    }
  }

  private func finishConnecting(_ found: Int16) -> LinkFailure? {
    guard found != 0 else { return nil }
    let pending = link_socket_pending_error(descriptor)
    guard pending == 0 else { return failure(code: Int32(MOSQ_ERR_ERRNO.rawValue), errnoCode: pending) }
    var progress = link_socket_progress()
    guard link_socket_progress_read(descriptor, &progress) == 0, progress.established else { return nil }
    stage = tls == nil ? .greeting : .securing
    return nil
  }

  // libmosquitto takes a lost connection within the handshake for "try again", for ever; so we look first.
  private func secure(_ found: Int16, now: Int64) -> LinkFailure? {
    guard found != 0 else { return nil }
    let closed = link_socket_peer_closed(descriptor)
    guard closed >= 0 else { return failure(code: Int32(MOSQ_ERR_ERRNO.rawValue), errnoCode: -closed) }
    guard closed == 0 else {
      return failure(code: Int32(MOSQ_ERR_CONN_LOST.rawValue), errnoCode: 0)
    }
    let code = read()
    guard code == Int32(MOSQ_ERR_SUCCESS.rawValue) else { return failure(code: code, errnoCode: errno) }
    if link_tls_established(client) {
      stage = .greeting
      let version = link_tls_protocol(client).map { String(cString: $0) } ?? ""
      events.append(.secured(protocol: version))
      // Under TLS 1.3 our side is done before the broker has judged our certificate. Were CONNECT on its way already,
      // the broker would reset the connection and its alert, the only word about the reason, would be lost with it.
      if version == "TLSv1.3" {
        holdUntil = now + Self.certificateRejectionGraceMilliseconds
      }
    }
    return nil
  }

  private func outgoingTopic(_ topic: String) -> String { settings.topicTemplate?.outgoing(topic) ?? topic }

  private func receive(_ message: IncomingMessage) {
    guard let template = settings.topicTemplate else { return events.append(.received(message)) }
    var message = message
    for filter in settings.subscriptions {
      guard let topic = template.incoming(message.topic, subscribed: filter) else { continue }
      message.topic = topic
      return events.append(.received(message))
    }
  }

  private func subscribe() -> LinkFailure? {
    subscribed = monotonicMilliseconds()
    // A broker that prescribes its topics may have one filter for several of ours.
    var asked: Set<String> = []
    for filter in settings.subscriptions {
      let brokersFilter = settings.topicTemplate?.filter(filter) ?? filter
      guard asked.insert(brokersFilter).inserted else { continue }
      var identifier: Int32 = 0
      // MQTT 3.1.1 knows no options and sends what is retained.
      let options: Int32 =
        settings.takesRetained || settings.protocolVersion == .mqtt311
        ? 0 : Int32(MQTT_SUB_OPT_SEND_RETAIN_NEVER.rawValue)
      let code = mosquitto_subscribe_v5(client, &identifier, brokersFilter, 1, options, nil)
      guard code == Int32(MOSQ_ERR_SUCCESS.rawValue) else { return failure(code: code, errnoCode: errno) }
      pendingSubscriptions[identifier] = filter
    }
    return nil
  }

  /// Asks for nothing more on the subscriptions. The answer changes nothing here.
  func unsubscribe() -> LinkFailure? {
    for filter in Set(settings.subscriptions.map { settings.topicTemplate?.filter($0) ?? $0 }) {
      let code = mosquitto_unsubscribe_v5(client, nil, filter, nil)
      guard code == Int32(MOSQ_ERR_SUCCESS.rawValue) else { return failure(code: code, errnoCode: errno) }
    }
    return nil
  }
}

// MARK: - What libmosquitto told

extension BrokerConnection {
  /// Turns the callbacks' facts into events. Returns why the session ended, or nil.
  private func digest() -> LinkFailure? {
    for fact in callbacks.takeFacts() {
      switch fact {
      case .connectAnswer(let reason, _, let limits, let reasonString):
        guard reason == 0 else {
          return .refusal(reason: reason, reasonString: reasonString, version: settings.protocolVersion)
            .at(place)
        }
        self.limits = limits
        stage = .open
        ConnectionCallbacks.silenceLog(of: client)
        events.append(.connected(limits))
        if let failure = subscribe() { return failure }
      case .publishAnswer(let identifier, let reason):
        guard let token = inFlight.removeValue(forKey: identifier) else { continue }
        events.append(
          .published(token: token, outcome: reason < 0x80 ? .acknowledged(reason: reason) : .refused(reason: reason)))
      case .subscribeAnswer(let identifier, let reasons):
        guard let filter = pendingSubscriptions.removeValue(forKey: identifier) else { continue }
        for reason in reasons { events.append(.subscribed(filter: filter, reason: reason)) }
      case .received(let message):
        // On a quick line a packet may be whole before the watch sees that it is too long.
        guard message.payload.count <= settings.incomingPacketBytesMaximum else {
          events.append(.oversize(maximumBytes: settings.incomingPacketBytesMaximum))
          return LinkWatch.tooLong(settings.incomingPacketBytesMaximum)
        }
        receive(message)
      case .closed(let code, let errnoCode): return failure(code: code, errnoCode: errnoCode)
      }
    }
    return nil
  }
}

/// libmosquitto wants to be initialised once a process.
private enum LibraryLifetime {
  private static let initialised: Int32 = mosquitto_lib_init()

  static func begin() { _ = initialised }
}
