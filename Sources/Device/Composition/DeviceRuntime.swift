import CloudLink
import Configuration
import Forwarding
import Identification
import LinuxIO
import Logging
import Provenance
import Screening
import ServiceLifecycle
import Storage
import Thermography

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
  private let credentialsDirectory: String?
  let notifier: ServiceNotifier?
  let logger: Logger

  /// - Parameters:
  ///   - live: the settings, checked, and the files they come from.
  ///   - configurationText: the effective configuration, of which records carry the hash.
  ///   - credentialsDirectory: systemd's `$CREDENTIALS_DIRECTORY`.
  ///   - notifier: nil when systemd did not start this process.
  package init(
    live: LiveSettings, configurationText: String, credentialsDirectory: String?, notifier: ServiceNotifier?,
    logger: Logger
  ) {
    self.notifier = notifier
    self.live = live
    settings = live.settings
    self.configurationText = configurationText
    self.credentialsDirectory = credentialsDirectory
    self.logger = logger
  }

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Parameter simulation: what takes the place of the bus and the reader; nil in the field.
  package func run(simulation: Simulation? = nil) async throws {
    let time = try SystemClock()
    let digests = OpenSSLDigests()
    let siteKey = try secretBytes(settings.patients.siteKeyFile)
    let outbox = try openOutbox(time: time, digests: digests)
    let network = try loadScreeningNetwork(digests: digests)
    let models = network.map { [StatusMessage.Model(id: $0.manifest.id, sha256: $0.manifest.model.sha256)] } ?? []
    let configurationSHA256 = Hexadecimal.text(of: digests.sha256(Array(configurationText.utf8)))
    let topics = TopicSchema(
      site: try TopicIdentifier(settings.device.site), device: try TopicIdentifier(settings.device.id))

    let events = DeviceEvents(logger: logger)
    let readerPath = try await simulation?.plugInReader() ?? settings.reader.device
    let readerSettings = try readerSettings(path: readerPath)
    let board = StatusBoard(bus: settings.camera.bus, reader: readerSettings)
    let reader = ReaderService(settings: readerSettings, events: events, time: time, board: board)
    let heartbeats = Heartbeats(
      watching: settings.broker.host == nil ? [.camera, .capture, .outbox] : LivePart.allCases)
    let commands = Mailbox<CameraRequest>(capacity: 8)
    let camera = try startCamera(on: simulation?.bus() ?? openBus(), archive: sensorArchive)
    let cameraLoop = CameraLoop(
      acquisition: .init(settings), commands: commands, events: events, time: time, clock: SystemSensorClock(),
      logger: logger, board: board,
      progress: { heartbeats.beat(.camera) })
    let cameraService = Self.thread(cameraLoop, camera)

    let panel = PanelService.panel(settings, on: simulation?.panel, time: time, board: board, logger: logger)
    let policy = try SessionService.Policy(settings, logger: logger)
    let session = SessionService(
      policy: policy,
      parts: .init(
        camera: commands, store: OutboxStore(outbox: outbox),
        reference: { PatientReference(tag: $0, siteKey: siteKey, digests: digests) },
        journal: SessionJournal(path: settings.paths.stateDirectory + "/session.json"),
        recorder: CaptureRecorder(
          constants: .init(settings, configurationSHA256: configurationSHA256), digests: digests),
        show: { panel?.show($0) }, changed: { simulation?.sessionChanged($0) }, past: past(in: outbox),
        drawsOcclusionMap: settings.screening.occlusionMap),
      assessor: try loadAssessor(network: network, limits: policy.limits, digests: digests), events: events, time: time,
      generator: SystemRandomNumberGenerator(), logger: logger)

    let clockFloor = ClockFloor(path: settings.paths.stateDirectory + "/trusted-time", logger: logger)
    var delivery: DeliveryService?
    if let host = settings.broker.host {
      delivery = try DeliveryService(
        outbox: outbox, topics: topics, configuration: settings.broker.delivery,
        link: try linkSettings(host: host),
        identity: .init(
          firmware: Self.firmware, models: models, configurationSHA256: configurationSHA256,
          certificatePath: settings.broker.certificateFile, plaintextAllowed: settings.broker.allowPlaintext),
        time: time, generator: SystemRandomNumberGenerator(), logger: logger,
        clockFloorSeconds: { clockFloor.seconds(at: $0) })
    } else {
      logger.notice("no broker is configured; captures stay in the outbox")
    }

    // A service ends after those that stand behind it: captures stop first, then what feeds on them.
    var services: [any Service] = [
      OutboxService(
        outbox: outbox, logger: logger, reseals: settings.outbox.olderKeyFile != nil,
        recovered: { [delivery] in delivery?.outboxChanged() }, noticed: { events.send(.outbox($0)) })
    ]
    services += deliveryServices(outbox: outbox, delivery: delivery, time: time, clockFloor: clockFloor)
    services += [cameraService, reader, session]
    if let panel { services.append(PanelService(panel: panel, events: events)) }
    if let simulation { services.append(simulation) }
    services += supervision(
      .init(
        heartbeats: heartbeats, board: board, camera: commands, events: events, session: session.control,
        outbox: outbox,
        delivery: delivery, models: models,
        configurationSHA256: configurationSHA256, time: time, topics: topics))
    let group = ServiceGroup(
      configuration: .init(
        services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
        gracefulShutdownSignals: [.sigterm, .sigint],
        logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() }
      ))
    try await group.run()
    logger.notice("stopped")
  }

  // MARK: - Opening

  func path(of secret: SecretReference) throws -> String {
    guard let path = secret.path(credentialsDirectory: credentialsDirectory) else {
      throw DeviceStartError(
        "\(secret.configurationText): systemd passed no credentials; add LoadCredential= to the unit or name a file")
    }
    return path
  }

  func secretBytes(_ secret: SecretReference) throws -> [UInt8] {
    try KeyFile.loadBytes(path: path(of: secret), requirePrivate: secret.isFile)
  }

  func openOutbox(time: SystemClock, digests: OpenSSLDigests) throws -> Outbox {
    let key = try KeyFile.load(
      path: path(of: settings.outbox.keyFile), digests: digests, requirePrivate: settings.outbox.keyFile.isFile)
    var older: [SealingKey] = []
    if let secret = settings.outbox.olderKeyFile {
      older = [try KeyFile.load(path: path(of: secret), digests: digests, requirePrivate: secret.isFile)]
    }
    var configuration = OutboxConfiguration(settings, keys: KeyRing(current: key, older: older))
    // The table of alerts says whether and how urgently.
    configuration.alertsWhenFilling = false
    return try Outbox(configuration, time: time)
  }

  func loadScreeningNetwork(digests: OpenSSLDigests) throws -> ScreeningNetwork? {
    guard let name = settings.screening.model else { return nil }
    let folder = try ModelFolder(path: settings.paths.modelsDirectory + "/" + name, digests: digests)
    return try folder.screeningNetwork()
  }

  func readerSettings(path: String) throws -> TagReader.Settings {
    // Later the reader may come and go; at the start a wrong path is a mistake that somebody is there to see.
    _ = try SerialPort(path: path, baud: settings.reader.effectiveBaud)
    return TagReader.Settings(settings.reader, path: path)
  }

  var sensorArchive: SensorFolder {
    get throws { try SensorFolder(path: settings.paths.stateDirectory + "/sensors") }
  }

  func openBus() throws -> any I2CBus {
    try LinuxI2CBus(path: settings.camera.bus)
  }

  /// - Parameter archive: nil keeps nothing of the sensor.
  func startCamera(on bus: any I2CBus, archive: (any SensorArchive)?) throws -> ThermalCamera {
    var camera = ThermalCamera(settings.camera, bus: bus)
    do {
      try camera.start(archive: archive)
    } catch {
      throw DeviceStartError("camera at \(settings.camera.bus): \(error)")
    }
    return camera
  }

  func linkSettings(host: String) throws -> LinkSettings {
    let broker = settings.broker
    var identity: ClientIdentity?
    if let certificate = broker.certificateFile, let key = broker.keyFile {
      identity = ClientIdentity(certificate: certificate, key: try path(of: key))
    }
    let security: LinkSecurity =
      broker.usesTLS
      ? .tls(
        TLSFiles(authority: broker.caFile, identity: identity, applicationProtocol: broker.applicationProtocol))
      : .plaintext(beyondLoopback: broker.allowPlaintext)
    var link = LinkSettings(
      host: host, port: UInt16(clamping: broker.effectivePort), security: security,
      clientIdentifier: settings.device.id)
    link.protocolVersion = broker.protocolVersion
    link.keepAliveSeconds = UInt16(clamping: broker.keepaliveSeconds)
    link.connectTimeoutMilliseconds = broker.connectTimeoutSeconds * 1000
    link.inFlightMaximum = broker.delivery.window + 2
    link.topicTemplate = TopicTemplate(broker.topics)
    if let userName = broker.userName {
      link.credentials = LinkCredentials(userName: userName, passwordFile: try broker.passwordFile.map(path(of:)))
    }
    return link
  }
}

extension CaptureRecorder.Constants {
  init(_ settings: Settings, configurationSHA256: String) {
    self.init(
      site: settings.device.site, device: settings.device.id, lens: settings.camera.lens.rawValue,
      distanceCentimetres: settings.camera.distanceCentimetres, framesAveraged: settings.camera.framesAveraged,
      firmware: DeviceRuntime.firmware, configurationSHA256: configurationSHA256)
  }
}

/// Hands a value that cannot be shared to the one thread that will own it.
final class Handover<Value>: @unchecked Sendable {
  // Written before the thread starts and taken once by it: the start orders the two.
  private var value: Value?

  init(_ value: consuming Value) {
    self.value = value
  }

  func take() -> Value? {
    defer { value = nil }
    return value
  }
}
