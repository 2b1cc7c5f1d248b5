import Configuration
import ConfigurationFiles
import Forwarding
import LinuxIO
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage
import Trust

// What the far side may ask of the device.
extension DeviceRuntime {
  /// nil: no command is taken.
  var commandKeysPath: String? { settings.remote.commands ? settings.remote.commandKeysFile : nil }
  /// nil: no configuration is taken.
  var configurationKeysPath: String? { settings.remote.configuration ? settings.remote.configurationKeysFile : nil }

  /// The keys by which commands are signed; nil: none is taken. A file that cannot be read withholds commands and nothing
  /// else.
  func commandKeys(_ board: StatusBoard) -> TrustedKeys? {
    keys(commandKeysPath, "remote.command_keys_file", of: "command", board, .commandKeys)
  }

  /// The same for configurations.
  func configurationKeys(_ board: StatusBoard) -> TrustedKeys? {
    keys(configurationKeysPath, "remote.configuration_keys_file", of: "configuration", board, .configurationKeys)
  }

  private func keys(
    _ path: String?, _ key: String, of kind: String, _ board: StatusBoard, _ problem: StatusBoard.NamedFile
  ) -> TrustedKeys? {
    guard let path else { return nil }
    do {
      return try TrustedKeys(listIn: path)
    } catch {
      logger.error(
        "no \(kind) is taken: the keys cannot be read", metadata: ["\(key)": "\(path)", "reason": "\(error)"])
      board.note(problem, "no \(kind) is taken: \(key): \(error)")
      return nil
    }
  }

  /// nil: none is taken. Where a site root is installed its list alone counts, and the file is not even read.
  private func intake(
    _ kind: String, isTaken: Bool, keys: () -> TrustedKeys?, role: KeyRole, trust: DeviceTrust
  ) -> DownlinkIntake? {
    guard isTaken else { return nil }
    let siteKeys: @Sendable () -> SiteKeys = { trust.site.keys(for: role) }
    if trust.hasSiteRoot { return DownlinkIntake(kind, keys: nil, siteKeys: siteKeys, logger: logger) }
    return keys().map { DownlinkIntake(kind, keys: $0, siteKeys: siteKeys, logger: logger) }
  }

  func commandIntake(_ trust: DeviceTrust, _ board: StatusBoard) -> DownlinkIntake? {
    intake(
      "commands", isTaken: settings.remote.commands, keys: { commandKeys(board) }, role: .command, trust: trust)
  }

  func configurationIntake(_ trust: DeviceTrust, _ board: StatusBoard) -> DownlinkIntake? {
    intake(
      "configurations", isTaken: settings.remote.configuration, keys: { configurationKeys(board) },
      role: .configuration, trust: trust)
  }

  /// Answers to captures. Only a site's list says whose count; without a root none is taken.
  func resultIntake(_ trust: DeviceTrust) -> DownlinkIntake? {
    guard settings.broker.host != nil, trust.hasSiteRoot else { return nil }
    return DownlinkIntake("results", keys: nil, siteKeys: { trust.site.keys(for: .result) }, logger: logger)
  }

  /// Those that carry out what arrives on `dn/`.
  func remoteServices(
    _ commands: DownlinkIntake?, _ configurations: DownlinkIntake?, _ parts: Supervised, panel: FrontPanel?,
    delivery: DeliveryService, clockFloor: ClockFloor
  ) throws -> [any Service] {
    let challenge = StartChallenge()
    var services: [any Service] = []
    if let commands {
      services.append(
        try commandService(
          commands, parts, panel: panel, delivery: delivery, clockFloor: clockFloor, challenge: challenge))
    }
    if let configurations {
      services.append(
        try configurationService(
          configurations, parts, delivery: delivery, clockFloor: clockFloor, challenge: challenge))
    }
    return services
  }

  private func commandService(
    _ intake: DownlinkIntake, _ parts: Supervised, panel: FrontPanel?, delivery: DeliveryService,
    clockFloor: ClockFloor, challenge: StartChallenge
  ) throws -> CommandService {
    let outbox = parts.outbox
    let doctor = doctor(parts, receiptMilliseconds: nil)
    let vendor = parts.trust?.vendor
    return CommandService(
      intake: intake, outbox: outbox, audit: parts.audit, topics: try topics,
      effects: CommandEffects(
        announce: { await delivery.announceAgain(challenge: $0) },
        diagnose: { await doctor.findings($0) },
        resend: { captures in
          let count = try await outbox.resend(captures)
          delivery.outboxChanged()
          return count
        },
        holdImages: { delivery.holdImages(seconds: $0) },
        logLevel: TimedLogLevel(level, configured: { [live] in Logger.Level(live.settings.log.level) }),
        captureRequest: { await parts.session.awaitPatient($0) },
        identify: { seconds in
          guard panel != nil else { return .refused(reason: "this device has no light") }
          return await parts.session.identify(seconds: seconds)
        },
        isIdle: { parts.session.snapshot.state == .idle },
        install: { install($0, $1, $2, vendor) },
        lockDownRefusal: { parts.lockDown.refusal },
        release: {
          do {
            return try parts.lockDown.release("a signed command")
              ? .done() : .refused("the device is not locked down")
          } catch { return .failed("\(error)") }
        }, rollBack: { rollBack($0) }, restorePatients: { await restorePatients($0) }),
      challenge: challenge, time: parts.common.time, clockFloor: clockFloor, generator: SystemRandomNumberGenerator(),
      logger: logger, counters: parts.counters)
  }

  private func configurationService(
    _ intake: DownlinkIntake, _ parts: Supervised, delivery: DeliveryService, clockFloor: ClockFloor,
    challenge: StartChallenge
  ) throws -> ConfigurationService {
    let topics = try topics
    let service = ConfigurationService(
      intake: intake, folder: RemoteConfigurationFolder(stateDirectory: settings.paths.stateDirectory),
      files: live.folder, outbox: parts.outbox, audit: parts.audit, topics: topics,
      effects: ConfigurationEffects(
        announce: { await delivery.announceAgain(challenge: $0, configuration: $1) },
        isIdle: { parts.session.snapshot.state == .idle },
        apply: { [live, notifier, logger] in
          !(try Self.reload(live, notifier: notifier, logger: logger).needRestart.isEmpty)
        },
        send: { reply, settled in
          let message = OutgoingMessage(
            topic: topics.up("reply"), payload: reply, contentType: "application/json", qualityOfService: .atLeastOnce)
          Task { await delivery.publishBeside(message, settled: settled) }
        }),
      challenge: challenge, time: parts.common.time, clockFloor: clockFloor, ignoresTrial: ignoresTrial,
      generator: SystemRandomNumberGenerator(), logger: logger, counters: parts.counters,
      lockDownRefusal: { parts.lockDown.refusal })
    live.onChange(of: [], always: true) { [weak service] _ in service?.lookAgain() }
    return service
  }
}
