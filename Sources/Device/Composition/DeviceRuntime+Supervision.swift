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
    var heartbeats: Heartbeats
    var board: StatusBoard
    var camera: Mailbox<CameraRequest>
    var events: DeviceEvents
    var session: SessionControl
    var outbox: Outbox
    var delivery: DeliveryService?
    var models: [StatusMessage.Model]
    var configurationSHA256: String
    var time: SystemClock
    var topics: TopicSchema
  }

  /// In the order of start: they stop before everything they watch.
  func supervision(_ parts: Supervised) -> [any Service] {
    // The roster is read again at each reload: its rows may have changed though its path has not.
    live.onChange(of: Self.sessionTables, always: true) { [logger] settings in
      do {
        parts.events.send(.policy(try SessionService.Policy(settings, logger: logger)))
      } catch {
        logger.error("the session keeps its rules and roster", metadata: ["reason": "\(error)"])
      }
    }
    let deadline = StopDeadline(logger: logger)
    let reporter = DeviceReporter(parts: parts, live: live)
    let control = ControlService(
      path: settings.paths.runtimeDirectory + "/" + ControlService.socketName,
      port: ControlPort(
        report: { await reporter.report() },
        diagnose: {
          await ServiceDoctor(
            reporter: reporter, camera: parts.camera, delivery: parts.delivery,
            receiptMilliseconds: $1 ?? ServiceDoctor.receiptMilliseconds
          ).findings($0)
        },
        reload: { [live, notifier, logger] () throws(ControlRefusal) in
          try Self.reload(live, notifier: notifier, logger: logger)
        },
        capture: { patient, progress in try await Self.capture(patient, parts.session, progress: progress) }),
      logger: logger)
    return [
      watchdog(parts), control,
      ReadinessService(
        logger: logger, notifier: notifier, stopBegins: { deadline.begin() },
        status: { await reporter.report().summary }),
    ]
  }

  /// How often a watcher is told of a change.
  private static let progressPeriod = Duration.milliseconds(200)

  /// Begins a session and tells of its changes until it is over.
  ///
  /// - Parameter progress: false when nobody listens any more; the session goes on.
  private static func capture(
    _ patient: String, _ session: SessionControl, progress: @Sendable (CaptureProgress) -> Bool
  ) async throws {
    guard let reference = PatientReference(patient) else {
      throw ControlRefusal("'\(patient)' is no pseudonym and no roster's id; a name is never one")
    }
    let opened: RandomIdentifier
    switch await session.requestCapture(of: reference) {
    case .refused(let reason): throw ControlRefusal(reason)
    case .accepted(let sessionID): opened = sessionID
    }
    var told: CaptureProgress?
    var saved: [String] = []
    while true {
      let snapshot = session.snapshot
      let isOver = snapshot.sessionID != opened
      if !isOver { saved = snapshot.savedViews.map(\.rawValue) }
      let present = CaptureProgress(
        state: snapshot.state.rawValue, sentence: snapshot.sentence, framesAveraged: snapshot.framesAveraged,
        framesWanted: snapshot.framesWanted, savedViews: saved, isOver: isOver)
      if present != told, !progress(present) { return }
      told = present
      if isOver { return }
      try await Task.sleep(for: progressPeriod)
    }
  }

  private func watchdog(_ parts: Supervised) -> WatchdogService {
    var questions: [LivePart: WatchdogService.Question] = [
      .capture: { answer in _ = parts.events.send(.question(answer: answer)) },
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

/// Puts the device's report together.
struct DeviceReporter: Sendable {
  let parts: DeviceRuntime.Supervised
  let live: LiveSettings
  private let startedNanoseconds = SystemClock.monotonicNanoseconds()

  init(parts: DeviceRuntime.Supervised, live: LiveSettings) {
    self.parts = parts
    self.live = live
  }

  func report() async -> DeviceReport {
    var report = DeviceReport()
    let now = parts.time.now()
    report.device = parts.topics.device.text
    report.site = parts.topics.site.text
    report.firmware = DeviceRuntime.firmware
    report.processID = DeviceRuntime.processID
    report.uptimeSeconds = Int((SystemClock.monotonicNanoseconds() - startedNanoseconds) / 1_000_000_000)
    report.clock = .init(now: now.rfc3339, source: parts.time.synchronisationSource.rawValue)
    report.configuration.path = live.mainFile
    report.configuration.sha256 = parts.configurationSHA256
    report.configuration.needRestart = live.needRestart
    report.camera = parts.board.camera
    report.reader = parts.board.reader
    report.panelProblems = parts.board.panelProblems
    report.session = Self.session(parts.session.snapshot)
    report.models = parts.models.map { .init(id: $0.id, sha256: $0.sha256) }
    report.beats = parts.heartbeats.ages.map {
      .init(part: $0.part.name, secondsAgo: ($0.seconds * 10).rounded() / 10)
    }
    await addDelivery(to: &report)
    return report
  }

  private static func session(_ snapshot: SessionSnapshot) -> DeviceReport.Session {
    .init(
      state: snapshot.state.rawValue, sentence: snapshot.sentence, patientRef: snapshot.patientRef,
      view: snapshot.view?.rawValue, storageIsFull: snapshot.storageIsFull)
  }

  private func addDelivery(to report: inout DeviceReport) async {
    do throws(OutboxError) {
      let monitor = DeliveryMonitor(outbox: parts.outbox, delivery: parts.delivery, time: parts.time)
      let snapshot = try await monitor.snapshot()
      for figures in snapshot.classes {
        report.outbox.waiting[figures.deliveryClass.name] = figures.depth.rows
        report.outbox.waitingBytes += figures.depth.bytes
        report.outbox.quarantined += figures.quarantined.rows
        if let oldest = figures.oldestSeconds {
          report.outbox.oldestSeconds = max(report.outbox.oldestSeconds ?? 0, oldest)
        }
      }
      report.outbox.storedBytes = snapshot.usedBytes
      report.outbox.quotaBytes = snapshot.outbox.quotaBytes
      report.line.state = snapshot.line.state.rawValue
      report.line.broker = snapshot.line.broker
      report.line.protection = snapshot.line.protection
      report.line.seconds = snapshot.line.seconds
      report.line.lastFailure = snapshot.line.lastFailure.map { "\($0)" }
      report.line.certificateDays = snapshot.line.certificateDays
    } catch {
      report.configuration.faults.append("the outbox does not answer: \(error)")
    }
  }
}
