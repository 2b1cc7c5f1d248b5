import Audit
import Configuration
import Forwarding
import Glibc
import Identification
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

// What watches over the device and answers for it: watchdog, control socket, readiness.

extension DeviceRuntime {
  /// The tables of the configuration that make a session's policy.
  static let sessionTables: Set<String> = ["session", "gates", "alerts", "patients"]

  package static var processID: Int32 { getpid() }

  /// What supervision looks at.
  struct Supervised: Sendable {
    var common: CommonParts
    var heartbeats: Heartbeats
    var board: StatusBoard
    var session: SessionControl
    var outbox: Outbox
    var delivery: DeliveryService?
    var identity: DeliveryService.Identity
    var trust: DeviceTrust?
    /// nil where no log is kept.
    var keeper: AuditKeeper?
    var counters: CounterBoard
    var sentinel: SentinelWatch
    var lockDown: LockDown
    var releases: ReleaseKeeper
    var performance: PerformanceBoard

    var audit: any AuditTrail { keeper ?? NoAuditTrail() }
  }

  /// In the order of start: they stop before everything they watch.
  func supervision(_ parts: Supervised) -> [any Service] {
    // The roster is read again at each reload: its rows may have changed though its path has not.
    live.onChange(of: Self.sessionTables, always: true) { [logger] settings in
      let policy = SessionService.Policy(settings, logger: logger)
      parts.board.note(.roster, policy.rosterProblem)
      parts.common.events.send(.policy(policy))
    }
    let deadline = StopDeadline(logger: logger)
    let reporter = DeviceReporter(parts: parts, live: live)
    let control = ControlService(
      path: settings.paths.runtimeDirectory + "/" + ControlService.socketName,
      port: ControlPort(
        report: { await reporter.report() },
        diagnose: { await doctor(parts, receiptMilliseconds: $1).findings($0) },
        reload: { [live, notifier, logger] () throws(ControlRefusal) in
          var report = try Self.reload(live, notifier: notifier, logger: logger)
          let problems = parts.board.fileProblems
          report.problems = problems.isEmpty ? nil : problems
          return report
        },
        correct: { request in
          if let session = request.session, session == parts.session.snapshot.sessionID {
            throw ControlRefusal("session \(session) is still open: end or cancel it first, then correct it")
          }
          return try await parts.outbox.correct(request)
        },
        capture: { patient, progress in try await parts.session.capture(patient, progress: progress) },
        audit: parts.audit,
        sentinel: { after, follows, line in
          try await parts.sentinel.tell(after: after, follows: follows) { report in
            var report = report
            report.lockedDownAt = parts.lockDown.since
            return line(report)
          }
        },
        release: {
          guard try parts.lockDown.release("a technician at the control socket") else {
            throw ControlRefusal("the device is not locked down")
          }
        },
        hold: { wait, quiet, progress, isGone in
          try await parts.session.hold(waitSeconds: wait, quietSeconds: quiet, progress: progress, isGone: isGone)
        },
        confirm: { try parts.releases.confirm() }),
      logger: logger, counters: parts.counters, lockDown: parts.lockDown)
    return [
      watchdog(parts), control,
      ReadinessService(
        logger: logger, notifier: notifier,
        ready: { at in
          parts.board.isReady = true
          parts.performance.ready(at: at)
        }, stopBegins: { deadline.begin() },
        status: {
          let report = await reporter.report()
          parts.releases.note(line: report.line.state)
          return report.summary
        }),
    ]
  }

  func doctor(_ parts: Supervised, receiptMilliseconds: Int?) -> ServiceDoctor {
    ServiceDoctor(
      reporter: DeviceReporter(parts: parts, live: live), camera: parts.common.cameraRequests, delivery: parts.delivery,
      receiptMilliseconds: receiptMilliseconds ?? ServiceDoctor.receiptMilliseconds)
  }

  private func watchdog(_ parts: Supervised) -> WatchdogService {
    var questions: [LivePart: WatchdogService.Question] = [
      .capture: { answer in _ = parts.common.events.send(.question(answer: answer)) },
      .outbox: { answer in
        Task {
          // The thread that writes has to come to this.
          _ = await parts.outbox.commits
          answer()
        }
      },
    ]
    if let delivery = parts.delivery {
      questions[.network] = { answer in Task { await delivery.ask(answer) } }
    }
    let period = notifier?.watchdogMicroseconds.map { Duration.microseconds(Int64(clamping: $0 / 3)) }
    return WatchdogService(
      heartbeats: parts.heartbeats, questions: questions, period: period ?? WatchdogService.periodWithoutWatchdog,
      feed: { [notifier, logger] in
        do {
          try notifier?.notify(.watchdog)
        } catch {
          logger.error("the watchdog could not be fed", metadata: ["reason": "\(error)"])
        }
      }, logger: logger)
  }

  /// Tells systemd around the reload; see sd_notify(3), RELOADING=1.
  package static func reload(
    _ live: LiveSettings, notifier: ServiceNotifier?, logger: Logger
  ) throws(ControlRefusal) -> ReloadReport {
    func tell(_ state: ServiceNotifier.State) {
      do {
        try notifier?.notify(state)
      } catch {
        logger.error("systemd could not be told", metadata: ["reason": "\(error)"])
      }
    }
    tell(.reloading)
    defer { tell(.ready) }
    return try live.reload()
  }
}
