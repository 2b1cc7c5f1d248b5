import CloudLink
import Configuration
import Forwarding
import Identification
import LinuxIO
import Screening

// The configuration knows no other module; here its values become theirs.

extension DeliveryConfiguration {
  init(_ broker: Settings.Broker) {
    self.init(
      confirm: broker.confirm == .receipt ? .receipt : .broker, window: broker.windowMessages,
      messagesPerSecond: broker.pacingMessagesPerSecond, partBytes: broker.partSizeBytes,
      backoff: .init(
        minimumMilliseconds: broker.retryMinimumSeconds * 1000,
        maximumMilliseconds: broker.retryMaximumSeconds * 1000))
    syncWindow = broker.syncWindow.flatMap { SyncWindow($0) }
    bytesPerDay = broker.bytesPerDay
  }
}

extension OutboxQuota {
  init(_ outbox: Settings.Outbox) {
    self.init(
      totalBytes: outbox.maximumBytes,
      bytesByClass: [DeliveryClass: Int](
        uniqueKeysWithValues: [(.image, outbox.maximumImageBytes), (.event, outbox.maximumEventBytes)]
          .compactMap { deliveryClass, bytes in bytes.map { (deliveryClass, $0) } }),
      rowsPerClass: outbox.maximumMessages, freeSpaceFloorBytes: outbox.freeSpaceFloorBytes,
      onFull: outbox.onFull == .refuse ? .refuse : .dropOldestImage)
  }
}

extension TopicTemplate {
  /// The template of the configuration; nil for the house's own topics.
  init?(_ topics: Settings.Broker.Topics) {
    switch topics {
    case .house: return nil
    case .azureIoTHub: self = .azureIoTHub
    }
  }
}

extension GateLimits {
  init(_ gates: Settings.Gates) {
    self.init()
    // The two enumerations have the same raw values; a test holds them together.
    hardGates = Set(gates.hard.compactMap { QualityGate.Code(rawValue: $0.rawValue) })
    contrastMinimumCelsius = gates.contrastMinimumCelsius
    pictureNoiseMaximumCelsius = gates.pictureNoiseMaximumCelsius
    ambientMinimumCelsius = gates.ambientMinimumCelsius
    ambientMaximumCelsius = gates.ambientMaximumCelsius
    ambientDriftMaximumCelsiusPerMinute = gates.ambientDriftMaximumCelsiusPerMinute
    subjectMinimumShare = gates.subjectMinimumShare
    subjectMaximumShare = gates.subjectMaximumShare
    edgeMaximumShare = gates.edgeMaximumShare
    offCentreMaximumColumns = gates.offCentreMaximumColumns
    tiltMaximum = gates.tiltMaximum
    motionMaximumCelsius = gates.motionMaximumCelsius
    hotObjectMaximumCelsius = gates.hotObjectMaximumCelsius
    coldObjectMaximumCelsius = gates.coldObjectMaximumCelsius
    skinMinimumCelsius = gates.skinMinimumCelsius
    deadPixelsMaximum = gates.deadPixelsMaximum
    checkerboardMaximumCelsius = gates.checkerboardMaximumCelsius
    noiseMaximumCelsius = gates.noiseMaximumCelsius
    outlineMinimumCelsius = gates.outlineMinimumCelsius
  }
}

extension SessionRules {
  package init(_ settings: Settings) {
    self.init()
    let session = settings.session
    questions = session.questions.map { Question(code: $0.code, sentence: $0.sentence) }
    acclimatisationSeconds = session.acclimatisationSeconds
    acclimatisationMinimumSeconds = session.acclimatisationMinimumSeconds
    acclimatisationMaximumSeconds = session.acclimatisationMaximumSeconds
    skinDriftMaximumCelsiusPerMinute = session.skinDriftMaximumCelsiusPerMinute
    // The two enumerations have the same raw values; a test holds them together.
    views = session.views.compactMap { CaptureView(rawValue: $0.rawValue) }
    switch session.viewStart {
    case .timer: start = .afterSeconds(session.positionSeconds)
    case .sign: start = .onSign
    }
    retakesPerView = session.retakesPerView
    idleTimeoutSeconds = session.idleTimeoutSeconds
    captureTimeoutSeconds = session.captureTimeoutSeconds
    saveTimeoutSeconds = session.saveTimeoutSeconds
    resumeSeconds = session.resumeSeconds
    maintenanceSeconds = session.maintenanceSeconds
    requiresOperator = session.requireOperator
    tagMustStay = session.tagMustStay
    switch settings.patients.unknownTag {
    case .accept: unknownTags = .accept
    case .ask: unknownTags = .ask
    case .refuse: unknownTags = .refuse
    }
    // What is captured is sent as soon as there is a line, so without consent to that nothing is captured.
    requiredConsent = settings.broker.host == nil ? [.capture] : [.capture, .upload]
  }
}

extension AlertTable {
  init(_ alerts: Settings.Alerts) {
    self.init(
      rules: alerts.rules.map { rule in
        AlertRule(
          AlertRule.Trigger(rule.on), severity: rule.priority == .critical ? .critical : .warning,
          holdOffSeconds: rule.holdOffSeconds)
      })
  }
}

extension AlertRule.Trigger {
  init(_ occasion: Settings.Alerts.Rule.Occasion) {
    switch occasion {
    case .outcome: self = .outcome(nil)
    case .gate: self = .gate(nil)
    case .cameraLost: self = .cameraLost
    case .readerLost: self = .readerLost
    case .outbox80: self = .outboxFilling(percent: 80)
    case .outbox90: self = .outboxFilling(percent: 90)
    case .outbox95: self = .outboxFilling(percent: 95)
    case .unknownTag: self = .unknownTag
    case .clockUnsynchronised: self = .clockUnsynchronised
    default:
      // The others are named after the outcome or the gate; a test holds the names together.
      let name = occasion.rawValue
      if name.hasPrefix("gate-") {
        self = .gate(QualityGate.Code(rawValue: String(name.dropFirst("gate-".count))))
      } else {
        self = .outcome(Verdict.Outcome(rawValue: String(name.dropFirst("outcome-".count))))
      }
    }
  }
}

extension PanelTable {
  init(_ panel: Settings.Panel) {
    self.init(texts: [
      .ready: panel.ready, .degraded: panel.degraded, .tagAccepted: panel.tagAccepted, .tagRefused: panel.tagRefused,
      .acclimatising: panel.acclimatising, .position: panel.position, .capturing: panel.capturing,
      .retake: panel.retake, .working: panel.working, .saved: panel.saved, .incomplete: panel.incomplete,
      .unable: panel.unable,
    ])
  }
}

extension GPIOPins.Wiring {
  init(_ lines: Settings.Pins) {
    func address(_ line: PinReference?, isActiveLow: Bool) -> GPIOPinAddress? {
      switch line {
      case nil: nil
      case .name(let name): GPIOPinAddress(chip: lines.chip, line: .named(name), isActiveLow: isActiveLow)
      case .offset(let offset):
        GPIOPinAddress(chip: lines.chip, line: .offset(UInt32(offset)), isActiveLow: isActiveLow)
      }
    }
    self.init(
      button: address(lines.button, isActiveLow: lines.buttonActiveLow),
      light: address(lines.led, isActiveLow: lines.ledActiveLow),
      red: address(lines.ledRed, isActiveLow: lines.ledActiveLow),
      green: address(lines.ledGreen, isActiveLow: lines.ledActiveLow),
      blue: address(lines.ledBlue, isActiveLow: lines.ledActiveLow),
      buzzer: address(lines.buzzer, isActiveLow: lines.buzzerActiveLow))
  }
}

extension TagReader.Settings {
  /// - Parameter path: of the serial device.
  package init(_ reader: Settings.Reader, path: String) {
    let kind: ReaderKind =
      switch reader.kind {
      case .rdm6300: .rdm6300
      case .id12la: .id12la
      case .pn532HSU: .pn532HSU
      case .line: .line
      }
    var pn532 = PN532Rules()
    pn532.modulations = reader.pn532Modulations.map { modulation in
      switch modulation {
      case .iso14443A: .iso14443A
      case .feliCa212: .feliCa212
      case .feliCa424: .feliCa424
      case .iso14443B: .iso14443B
      case .jewel: .jewel
      }
    }
    self.init(
      path: path, kind: kind, baud: reader.effectiveBaud,
      policy: .init(
        requiredFrames: reader.effectiveConfirmationFrames,
        windowMilliseconds: reader.confirmationWindowMilliseconds, holdOffMilliseconds: reader.holdOffMilliseconds,
        acceptsUnrepeatedSuspects: reader.acceptSuspectFrames),
      linePattern: LinePattern(
        number: reader.lineNumber == .decimal ? .decimal : .hexadecimal,
        digitCounts: reader.lineDigitsMinimum...max(reader.lineDigitsMinimum, reader.lineDigitsMaximum),
        decimalByteCount: reader.lineDecimalBytes, prefix: Array(reader.linePrefix.utf8),
        suffix: Array(reader.lineSuffix.utf8)),
      pn532: pn532)
  }
}

extension SecretReference {
  /// Credentials are files of systemd's with other owner and mode.
  package var isFile: Bool {
    if case .file = self { true } else { false }
  }
}
