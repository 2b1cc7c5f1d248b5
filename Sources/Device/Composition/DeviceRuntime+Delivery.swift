import CloudLink
import Configuration
import Forwarding
import LinuxIO
import Logging
import Provenance
import Screening
import ServiceLifecycle
import Storage
import Trust

// The delivery side: outbox, link, and what watches them.
extension DeviceRuntime {
  /// - Parameter isConfirmed: this release passed the health check, so that nobody goes back any more.
  func openOutbox(_ time: SystemClock, isConfirmed: Bool = false) throws -> Outbox {
    var configuration = try OutboxConfiguration(settings, secrets: secrets)
    configuration.isConfirmed = isConfirmed
    configuration.tellsTimes = settings.pictures.sendView
    return try Outbox(configuration, time: time)
  }

  var topics: TopicSchema {
    get throws(TopicError) {
      TopicSchema(site: try TopicIdentifier(settings.device.site), device: try TopicIdentifier(settings.device.id))
    }
  }

  func identity(_ network: ScreeningNetwork?, _ digests: OpenSSLDigests) -> DeliveryService.Identity {
    .init(
      firmware: Self.firmware,
      models: network.map { [.init(id: $0.manifest.id, sha256: $0.manifest.model.sha256)] } ?? [],
      configurationSHA256: configurationSHA256(digests), certificatePath: settings.broker.certificateFile,
      plaintextAllowed: settings.broker.allowPlaintext)
  }

  /// Whose receipts count, and what is wrong with that. Without the receivers' keys the device goes on and frees nothing.
  ///
  /// - Parameter site: what the site's root says of it.
  func receiptRules(
    site: SiteKeys = .noRoot
  ) -> (rules: ReceiptReader.Rules, trouble: ReceiptTrouble?) {
    do {
      let rules = try ReceiptReader.Rules(settings.receipts, site: site)
      return (rules, site == .noRoot && settings.takesUnsignedReceipts ? .unsigned : nil)
    } catch {
      let requires = site != .noRoot || settings.receipts.needSignatures
      return (.init(keys: nil, requiresSignature: requires), .keysUnreadable("\(error)"))
    }
  }

  /// nil when no broker is configured.
  func deliveryService(
    _ outbox: Outbox, identity: DeliveryService.Identity, time: SystemClock, clockFloor: ClockFloor,
    trust: DeviceTrust, commands: DownlinkIntake? = nil, configurations: DownlinkIntake? = nil,
    results: DownlinkIntake? = nil, partIntake: PartIntake? = nil, audit: AuditKeeper? = nil,
    counters: CounterBoard? = nil
  ) throws -> DeliveryService? {
    guard let host = settings.broker.host else {
      logger.notice("no broker is configured; captures stay in the outbox")
      return nil
    }
    let configured = receiptRules().rules
    let currentRules: @Sendable () -> ReceiptReader.Rules = {
      let site = trust.site.keys(for: .receipt)
      return site == .noRoot ? configured : receiptRules(site: site).rules
    }
    return try DeliveryService(
      outbox: outbox, topics: topics, configuration: settings.broker.delivery,
      link: linkSettings(host: host), identity: identity, time: time, generator: SystemRandomNumberGenerator(),
      logger: logger, receipts: currentRules(), clockFloorSeconds: { clockFloor.seconds }, commands: commands,
      configurations: configurations, results: results, trustIntake: trust.intake, partIntake: partIntake,
      trustVersions: { trust.versions }, receiptRules: currentRules,
      cosigned: { head, receipt in
        if let audit { Task { await audit.take(cosignature: head, receipt: receipt) } }
      }, counters: counters)
  }

  /// Outbox, delivery and what watches them, in the order of dependence.
  func deliveryServices(
    _ outbox: Outbox, _ delivery: DeliveryService?, _ common: CommonParts, clockFloor: ClockFloor,
    drift: InputDriftCounter? = nil, trust: DeviceTrust? = nil, audit: AuditKeeper? = nil,
    sentinel: (@Sendable () -> HealthMessage.Sentinel)? = nil
  ) -> [any Service] {
    var services: [any Service] = [
      OutboxService(
        outbox: outbox, logger: logger, reseals: settings.outbox.olderKeyFile != nil,
        recovered: { delivery?.outboxChanged() }, noticed: { common.events.send(.outbox($0)) },
        tidied: { common.events.send(.outboxTidied) })
    ]
    // After the outbox, which takes its last entry, and before everybody who writes to it.
    if let audit { services.append(AuditService(keeper: audit)) }
    if let delivery {
      services.append(delivery)
      services.append(NetworkWatchService(logger: logger, cameUp: { delivery.networkCameUp() }))
    }
    services.append(
      HealthService(
        monitor: DeliveryMonitor(outbox: outbox, delivery: delivery, time: common.time), outbox: outbox,
        time: common.time, logger: logger, firmware: Self.firmware, intervalSeconds: settings.health.intervalSeconds,
        prometheusFile: settings.health.prometheusFile, certificatePath: settings.broker.certificateFile,
        clockFloor: clockFloor,
        receiptTrouble: delivery == nil
          ? nil : receiptRules(site: trust?.site.keys(for: .receipt) ?? .noRoot).trouble,
        drift: drift, sentinel: sentinel))
    return services
  }

  func linkSettings(host: String) throws -> LinkSettings {
    let broker = settings.broker
    var identity: ClientIdentity?
    if let certificate = broker.certificateFile, let key = broker.keyFile {
      identity = ClientIdentity(certificate: certificate, key: try secrets.path(of: key))
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
      link.credentials = LinkCredentials(
        userName: userName, passwordFile: try broker.passwordFile.map(secrets.path(of:)))
    }
    return link
  }
}
