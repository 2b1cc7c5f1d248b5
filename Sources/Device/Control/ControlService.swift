import Audit
import Forwarding
import Identification
import LinuxIO
import LocalFiles
import Logging
import ServiceLifecycle
import Synchronization

/// What the control socket can ask of the device. In safe mode only the first two answer.
struct ControlPort: Sendable {
  var report: @Sendable () async -> DeviceReport
  /// What the service itself knows of these parts; it holds the devices, so that a tool cannot look.
  var diagnose: @Sendable (_ parts: [DoctorPart], _ receiptMilliseconds: Int?) async -> [DoctorFinding]
  var reload: @Sendable () throws(ControlRefusal) -> ReloadReport
  /// Puts right whose a session is.
  var correct: @Sendable (CorrectionRequest) async throws -> CorrectionMessage
  /// Begins a session and calls back at each change until it is over.
  var capture: @Sendable (_ patient: String, _ progress: @Sendable (CaptureProgress) -> Bool) async throws -> Void
  var audit: any AuditTrail = NoAuditTrail()
  /// Tells of the sentinel once, or step after step; false from `line` when nobody listens any more.
  var sentinel:
    @Sendable (_ after: Int?, _ follows: Bool, _ line: @Sendable (SentinelReport) -> Bool) async throws -> Void = {
      _, _, _ in throw ControlRefusal("safe mode: nothing is counted; thermograph check names the mistakes")
    }
  /// Ends a lock-down.
  var release: @Sendable () throws -> Void = {
    throw ControlRefusal("safe mode: nothing is locked down; thermograph check names the mistakes")
  }
  /// Keeps the device free for an update as long as the other end listens.
  var hold: Hold
  /// The health check after an update was passed.
  var confirm: @Sendable () throws -> ReleaseRecord

  typealias Hold =
    @Sendable (
      _ waitSeconds: Int, _ quietSeconds: Int, _ progress: @escaping @Sendable (HoldProgress) -> Bool,
      _ isGone: @Sendable () -> Bool
    ) async throws -> Void
}

/// Answers the control socket until the device stops.
struct ControlService: Service {
  static let socketName = "control.socket"
  /// Requests that are worked on at a time; the listener's connections bound them too.
  private static let maximumRequests = 8

  let path: String
  let port: ControlPort
  let logger: Logger
  /// Where connections are counted; nil where nobody counts.
  var counters: CounterBoard?
  /// Halves what clients may cost while it stands; nil where there is none.
  var lockDown: LockDown?

  func run() async throws {
    let (requests, arrivals) = AsyncStream.makeStream(
      of: Arrival.self, bufferingPolicy: .bufferingOldest(Self.maximumRequests))
    let listener: ControlListener
    do throws(SystemCallError) {
      listener = try ControlListener(path: path, arrived: { [counters] in counters?.connected($0) }) {
        request, peer, answer in
        if case .dropped = arrivals.yield(Arrival(request: request, peer: peer, answer: answer)) { answer.finish() }
      }
    } catch {
      // A device that cannot be asked still captures.
      logger.error("no control socket; status, capture and reload do not answer", metadata: ["reason": "\(error)"])
      try await gracefulShutdown()
      return
    }
    lockDown?.follow { listener.halve($0) }
    defer { lockDown?.follow { _ in } }
    await withDiscardingTaskGroup { group in
      for await arrival in requests.cancelOnGracefulShutdown() {
        group.addTask { await answer(arrival) }
      }
      listener.stop()
      group.cancelAll()
    }
  }

  private struct Arrival: Sendable {
    var request: [UInt8]
    var peer: ControlPeer
    var answer: ControlAnswer
  }

  private func answer(_ arrival: Arrival) async {
    defer { arrival.answer.finish() }
    do {
      let request = try ControlRequest(decoding: arrival.request)
      logger.debug(
        "control", metadata: ["request": "\(request.request.rawValue)", "user": "\(arrival.peer.user)"])
      try await carryOut(request, of: arrival.peer, arrival.answer)
    } catch {
      send(.error("\(error)"), to: arrival.answer)
    }
  }

  /// Who stands before the device is not kept from working by a log that cannot be written: that is told elsewhere.
  private func note(_ event: AuditEvent) async {
    do { try await port.audit.write(event) } catch { port.audit.post(event) }
  }

  private func carryOut(
    _ request: ControlRequest, of peer: ControlPeer, _ answer: ControlAnswer
  ) async throws {
    var reply = ControlReply()
    switch request.request {
    case .status: reply.status = await port.report()
    case .doctor:
      let names = request.parts ?? DoctorPart.allCases.map(\.rawValue)
      let parts = names.compactMap(DoctorPart.init)
      guard parts.count == names.count else {
        throw ControlRefusal("an unknown part; thermograph doctor --list names all")
      }
      reply.findings = await port.diagnose(parts, request.receiptMilliseconds)
    case .reload:
      await note(.technician(.reload, user: peer.user))
      reply.changes = try port.reload()
    case .correct:
      guard let correction = request.correction else {
        throw ControlRefusal("correct: what? \"correction\" is missing")
      }
      // Before anything of it stands in a log: what is no id may be a name.
      try correction.check()
      await note(
        .correction(
          kind: correction.kind.rawValue, subject: correction.subject, target: correction.target,
          signedBy: correction.signedBy))
      let made = try await port.correct(correction)
      logger.notice(
        "corrected", metadata: ["kind": "\(made.kind.rawValue)", "correction": "\(made.correctionID)"])
      reply.correction = made
    case .release:
      await note(.technician(.sentinelRelease, user: peer.user))
      try port.release()
      reply.released = true
    case .sentinel:
      try await port.sentinel(request.after, request.follow == true) { report in
        var reply = ControlReply()
        reply.sentinel = report
        return send(reply, to: answer)
      }
      return
    case .confirm:
      let record = try port.confirm()
      logger.notice("this release is confirmed", metadata: ["release": "\(record.running.firmware)"])
      reply.release = record
    case .hold:
      logger.notice("an update asks for the device")
      try await port.hold(
        request.waitSeconds ?? 0, request.quietSeconds ?? HoldRules.quietSeconds,
        { progress in
          var reply = ControlReply()
          reply.hold = progress
          return send(reply, to: answer)
        }, { answer.isGone })
      return
    case .capture:
      guard let patient = request.patient, !patient.isEmpty else {
        throw ControlRefusal("capture: whom? \"patient\" is the pseudonym or the roster's id")
      }
      logger.notice("a capture is asked for over the control socket")
      await note(.technician(.capture, user: peer.user, detail: PatientReference(patient)?.text))
      try await port.capture(patient) { progress in
        var reply = ControlReply()
        reply.capture = progress
        return send(reply, to: answer)
      }
      return
    }
    send(reply, to: answer)
  }

  @discardableResult
  private func send(_ reply: ControlReply, to answer: ControlAnswer) -> Bool {
    do {
      return answer.send(line: try reply.encoded())
    } catch {
      logger.error("an answer could not be written", metadata: ["reason": "\(error)"])
      return false
    }
  }
}
