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

/// Why the device could not start: one line that names the file or the device and the mend.
package struct DeviceStartError: Error, Sendable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// The running device: opens everything in the order of dependence, starts the services, and ends them in reverse.
///
///     keys -> outbox -> model -> reader, camera -> delivery -> capture -> READY
package struct DeviceRuntime {
  /// The release of this program, as records state it.
  package static let firmware = "0.1.0"

  let settings: Settings
  private let configurationText: String
  private let credentialsDirectory: String?
  private let notifier: ServiceNotifier?
  let logger: Logger

  /// - Parameters:
  ///   - settings: checked.
  ///   - configurationText: the effective configuration, of which records carry the hash.
  ///   - credentialsDirectory: systemd's `$CREDENTIALS_DIRECTORY`.
  ///   - notifier: nil when systemd did not start this process.
  package init(
    settings: Settings, configurationText: String, credentialsDirectory: String?, notifier: ServiceNotifier?,
    logger: Logger
  ) {
    self.notifier = notifier
    self.settings = settings
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
    let siteKey = try KeyFile.loadBytes(path: path(of: settings.patients.siteKeyFile))
    let outbox = try openOutbox(time: time, digests: digests)
    let network = try loadScreeningNetwork(digests: digests)
    let models = network.map { [StatusMessage.Model(id: $0.manifest.id, sha256: $0.manifest.model.sha256)] } ?? []
    let configurationSHA256 = Hexadecimal.text(of: digests.sha256(Array(configurationText.utf8)))
    let topics = TopicSchema(
      site: try TopicIdentifier(settings.device.site), device: try TopicIdentifier(settings.device.id))

    let events = DeviceEvents(logger: logger)
    let readerPath = try await simulation?.plugInReader() ?? settings.reader.device
    let reader = ReaderService(settings: try readerSettings(path: readerPath), events: events, time: time)
    let commands = Mailbox<CameraCommand>(capacity: 8)
    let camera = try startCamera(on: simulation?.bus() ?? openBus())
    let cameraLoop = CameraLoop(
      acquisition: .init(
        emissivity: settings.camera.emissivity, reflectedCelsius: settings.camera.reflectedTemperatureCelsius,
        motionLimitCelsius: settings.gates.motionMaximumCelsius),
      commands: commands, events: events, time: time, clock: SystemSensorClock(), logger: logger, progress: {})
    let cameraBox = Handover(camera)
    let cameraService = ThreadService(name: "camera") { stop in
      guard let camera = cameraBox.take() else { return }
      try cameraLoop.run(camera, until: stop)
    }

    let coordinator = CaptureCoordinator(
      constants: .init(
        site: settings.device.site, device: settings.device.id, lens: settings.camera.lens.rawValue,
        distanceCentimetres: settings.camera.distanceCentimetres, framesAveraged: settings.camera.framesAveraged,
        firmware: Self.firmware, configurationSHA256: configurationSHA256),
      events: events.stream, camera: commands, outbox: outbox,
      patientReference: { PatientReference(tag: $0, siteKey: siteKey, digests: digests) },
      assessor: Assessor(network: network, limits: GateLimits(settings.gates)), digests: digests, time: time,
      generator: SystemRandomNumberGenerator(), logger: logger,
      captureChanged: { simulation?.captureChanged($0) })

    let clockFloor = ClockFloor(path: settings.paths.stateDirectory + "/trusted-time", logger: logger)
    var delivery: DeliveryService?
    if let host = settings.broker.host {
      delivery = try DeliveryService(
        outbox: outbox, topics: topics, configuration: DeliveryConfiguration(settings.broker),
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
        recovered: { [delivery] in delivery?.outboxChanged() })
    ]
    services += deliveryServices(outbox: outbox, delivery: delivery, time: time, clockFloor: clockFloor)
    services += [cameraService, reader, coordinator]
    if let simulation { services.append(simulation) }
    services.append(ReadinessService(logger: logger, notifier: notifier))
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

  private func path(of secret: SecretReference) throws -> String {
    guard let path = secret.path(credentialsDirectory: credentialsDirectory) else {
      throw DeviceStartError(
        "\(secret.configurationText): systemd passed no credentials; add LoadCredential= to the unit or name a file")
    }
    return path
  }

  private func openOutbox(time: SystemClock, digests: OpenSSLDigests) throws -> Outbox {
    let key = try KeyFile.load(
      path: path(of: settings.outbox.keyFile), digests: digests, requirePrivate: settings.outbox.keyFile.isFile)
    var older: [SealingKey] = []
    if let secret = settings.outbox.olderKeyFile {
      older = [try KeyFile.load(path: path(of: secret), digests: digests, requirePrivate: secret.isFile)]
    }
    var configuration = OutboxConfiguration(
      path: settings.paths.stateDirectory + "/outbox.sqlite", keys: KeyRing(current: key, older: older),
      retentionSeconds: settings.outbox.retentionDays * 86_400)
    configuration.quota = OutboxQuota(settings.outbox)
    return try Outbox(configuration, time: time)
  }

  private func loadScreeningNetwork(digests: OpenSSLDigests) throws -> ScreeningNetwork? {
    guard let name = settings.screening.model else { return nil }
    let folder = try ModelFolder(path: settings.paths.modelsDirectory + "/" + name, digests: digests)
    return try folder.screeningNetwork()
  }

  private func readerSettings(path: String) throws -> TagReader.Settings {
    guard let kind = ReaderKind(rawValue: settings.reader.kind.rawValue) else {
      throw DeviceStartError("reader.kind: '\(settings.reader.kind.rawValue)' is no kind of reader")
    }
    let baud = settings.reader.effectiveBaud
    // Later the reader may come and go; at the start a wrong path is a mistake that somebody is there to see.
    _ = try SerialPort(path: path, baud: baud)
    return TagReader.Settings(
      path: path, kind: kind, baud: baud,
      policy: .init(
        requiredFrames: settings.reader.effectiveConfirmationFrames,
        windowMilliseconds: settings.reader.confirmationWindowMilliseconds,
        holdOffMilliseconds: settings.reader.holdOffMilliseconds))
  }

  private func openBus() throws -> any I2CBus {
    try LinuxI2CBus(path: settings.camera.bus)
  }

  private func startCamera(on bus: any I2CBus) throws -> ThermalCamera {
    guard let rate = RefreshRate(subPagesPerSecond: Double(settings.camera.refreshRateHz)),
      let address = UInt8(exactly: settings.camera.address)
    else {
      throw DeviceStartError(
        "camera: refresh rate \(settings.camera.refreshRateHz), address \(settings.camera.address)")
    }
    var camera = ThermalCamera(
      bus: bus, clock: SystemSensorClock(), settings: MLX90640.Settings(address: address, refreshRate: rate))
    do {
      try camera.start(archive: SensorFolder(path: settings.paths.stateDirectory + "/sensors"))
    } catch {
      throw DeviceStartError("camera at \(settings.camera.bus): \(error)")
    }
    return camera
  }

  private func linkSettings(host: String) throws -> LinkSettings {
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
    link.protocolVersion = broker.protocolVersion == .mqtt5 ? .mqtt5 : .mqtt311
    link.keepAliveSeconds = UInt16(clamping: broker.keepaliveSeconds)
    link.connectTimeoutMilliseconds = broker.connectTimeoutSeconds * 1000
    link.inFlightMaximum = broker.windowMessages + 2
    link.topicTemplate = TopicTemplate(broker.topics)
    if let userName = broker.userName {
      link.credentials = LinkCredentials(userName: userName, passwordFile: try broker.passwordFile.map(path(of:)))
    }
    return link
  }
}

/// Hands a value that cannot be shared to the one thread that will own it.
private final class Handover<Value>: @unchecked Sendable {
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
