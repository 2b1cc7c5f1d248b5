import Audit
import Configuration
import Forwarding
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Why the device could not start: one line that names the file or the device and the remedy.
package struct DeviceStartError: Error, Sendable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// The running device: opens everything in the order of dependence, starts the services, and ends them in reverse.
///
///     keys -> outbox -> model -> reader, camera, panel -> delivery -> session -> READY
package struct DeviceRuntime {
  let settings: Settings
  let live: LiveSettings
  let configurationText: String
  let secrets: SecretFiles
  let notifier: ServiceNotifier?
  let logger: Logger
  /// The level that `logger` writes from; a command may change it for a while.
  let level: LogLevel
  /// What was tried from afar is not in force in this run, and could not be written down as taken back.
  let ignoresTrial: Bool

  /// - Parameters:
  ///   - live: the settings, checked, and the files they come from.
  ///   - configurationText: the effective configuration, of which records carry the hash.
  ///   - credentialsDirectory: systemd's `$CREDENTIALS_DIRECTORY`.
  ///   - notifier: nil when systemd did not start this process.
  package init(
    live: LiveSettings, configurationText: String, credentialsDirectory: String?, notifier: ServiceNotifier?,
    logger: Logger, level: LogLevel = LogLevel(.warning), ignoresTrial: Bool = false
  ) {
    self.ignoresTrial = ignoresTrial
    self.level = level
    self.notifier = notifier
    self.live = live
    settings = live.settings
    self.configurationText = configurationText
    secrets = SecretFiles(credentialsDirectory: credentialsDirectory)
    self.logger = logger
  }

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Parameter simulation: what takes the place of the bus and the reader; nil in the field.
  package func run(simulation: Simulation? = nil) async throws {
    let common = try CommonParts(logger: logger)
    let siteKey = try secrets.bytes(of: settings.patients.siteKeyFile)
    let releases = ReleaseKeeper(
      path: settings.paths.stateDirectory + "/" + StateFiles.release, firmware: Self.firmware, logger: logger)
    let outbox = try openOutbox(common.time, isConfirmed: releases.isConfirmed)
    do {
      let reader = try readerSettings(path: await simulation?.plugInReader() ?? settings.reader.device)
      let board = StatusBoard(bus: settings.camera.bus, reader: reader)
      let audit = try openAudit(outbox, common, board: board)
      await audit.begin(auditStart(.service, common.digests))
      do {
        try await run(
          simulation, common, siteKey: siteKey, outbox: outbox, reader: reader, board: board, audit: audit,
          releases: releases)
      } catch {
        await audit.end(reason: "\(error)")
        throw error
      }
      releases.end()
    } catch {
      // In order, so that the next start has nothing to doubt.
      await outbox.close()
      throw error
    }
  }

  private func run(
    _ simulation: Simulation?, _ common: CommonParts, siteKey: [UInt8], outbox: Outbox, reader: TagReader.Settings,
    board: StatusBoard, audit: AuditKeeper, releases: ReleaseKeeper
  ) async throws {
    let policy = SessionService.Policy(settings, logger: logger)
    board.note(.roster, policy.rosterProblem)
    let clockFloor = ClockFloor(path: settings.paths.stateDirectory + "/" + StateFiles.trustedTime, logger: logger)
    let trust = DeviceTrust(settings, time: common.time, clockFloor: clockFloor, logger: logger)
    if case .keysUnreadable(let reason) = receiptRules(site: trust.site.keys(for: .receipt)).trouble {
      board.note(.receiverKeys, "no receipt is believed, and nothing is freed: \(reason)")
    }
    let book = usableBook(common.digests, board)
    let (network, assessor) = try loadModels(book, limits: policy.limits, digests: common.digests, board: board)
    let identity = identity(network, common.digests)
    let drift = InputDriftCounter(network?.manifest)
    let counters = CounterBoard()
    let performance = PerformanceBoard(startedNanoseconds: SystemClock.monotonicNanoseconds())
    let lockDown = lockDown(audit)
    let watch = SentinelWatch(
      stepMilliseconds: simulation == nil
        ? SentinelService.stepMilliseconds : settings.simulation.sentinelStepMilliseconds)

    let heartbeats = Heartbeats(
      watching: settings.broker.host == nil ? [.camera, .capture, .outbox] : LivePart.allCases)
    let camera = cameraService(
      try startCamera(on: simulation?.bus() ?? openBus(), archive: sensorArchive), common, board: board,
      counters: counters, performance: performance, progress: { heartbeats.beat(.camera) })
    let panel = PanelService.panel(settings, on: simulation?.panel, time: common.time, board: board, logger: logger)
    let shadows = ShadowIntake()
    let session = sessionService(
      common, policy: policy, assessor: assessor,
      store: OutboxStore(outbox: outbox), siteKey: siteKey, outbox: outbox, audit: audit
    ) { parts in
      parts.journal = SessionJournal(path: settings.paths.stateDirectory + "/" + StateFiles.session)
      parts.show = { panel?.show($0) }
      parts.needsTechnician = { !board.fileProblems.isEmpty || watch.isAlarmed || lockDown.isLockedDown }
      parts.standing = { watch.standing }
      parts.timed = { performance.assessed(captureNanoseconds: $0, verdictNanoseconds: $1) }
      parts.changed = {
        drift?.note($0)
        simulation?.sessionChanged($0)
      }
      parts.kept = { shadows.put($0) }
      parts.refused = { counters.refused($0) }
      parts.clinic = ClinicShelf(outbox: outbox, audit: audit, logger: logger)
    }

    for notice in trust.hasSiteRoot ? SiteRootNotice.passedOver(settings) : [] { logger.notice("\(notice)") }
    let commands = commandIntake(trust, board)
    let configurations = configurationIntake(trust, board)
    let results = resultIntake(trust)
    // Without commands nobody can order a model from afar.
    let partIntake = commands == nil ? nil : PartIntake(base: try topics.models, logger: logger)
    let delivery = try deliveryService(
      outbox, identity: identity, time: common.time, clockFloor: clockFloor, trust: trust, commands: commands,
      configurations: configurations, results: results, partIntake: partIntake, audit: audit, counters: counters)

    // A service ends after those that stand behind it: captures stop first, then what feeds on them.
    var services = deliveryServices(
      outbox, delivery, common, clockFloor: clockFloor, drift: drift, trust: trust, audit: audit,
      sentinel: { HealthMessage.Sentinel(watch.report, isLockedDown: lockDown.isLockedDown) })
    auditReloads(audit, common.digests)
    services += [
      camera, ReaderService(settings: reader, events: common.events, time: common.time, board: board), session,
    ]
    if let panel { services.append(PanelService(panel: panel, events: common.events)) }
    if let simulation { services.append(simulation) }
    let supervised = Supervised(
      common: common, heartbeats: heartbeats, board: board, session: session.control, outbox: outbox,
      delivery: delivery, identity: identity, trust: trust, keeper: audit, counters: counters, sentinel: watch,
      lockDown: lockDown, releases: releases, performance: performance)
    if let delivery {
      services += try remoteServices(
        commands, configurations, supervised, panel: panel, delivery: delivery, clockFloor: clockFloor)
    }
    if let results {
      services.append(
        ResultService(
          intake: results, outbox: outbox, audit: audit, topics: try topics, time: common.time, clockFloor: clockFloor,
          logger: logger))
    }
    services.append(updateService(supervised, book, shadows, partIntake))
    if let delivery, let messages = trust.intake {
      services.append(
        TrustService(
          intake: messages, trusts: trust.all, outbox: outbox, audit: audit, time: common.time, logger: logger,
          changed: { await delivery.announceAgain(challenge: nil) }))
    }
    services.append(sentinelService(watch, counters, lockDown, outbox, common, isSimulated: simulation != nil))
    services += supervision(supervised)
    try await ServiceGroup(inOrder: services).run()
    logger.notice("stopped")
  }

  func configurationSHA256(_ digests: some MessageDigests) -> String {
    Hexadecimal.text(of: digests.sha256(Array(configurationText.utf8)))
  }

  func readerSettings(path: String) throws -> TagReader.Settings {
    // Later the reader may come and go; at the start a wrong path is a mistake that somebody is there to see.
    _ = try SerialPort(path: path, baud: settings.reader.effectiveBaud)
    return TagReader.Settings(settings.reader, path: path)
  }
}

extension ServiceGroup {
  /// Starts the services in this order and stops them in reverse; the end of one, or a signal, ends all.
  init(inOrder services: [any Service]) {
    self.init(
      configuration: .init(
        services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
        gracefulShutdownSignals: [.sigterm, .sigint],
        logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() }))
  }
}
