/// A condition on several keys together.
struct SettingsRule: Sendable {
  /// All that the condition reads. The fault stands at the first of them that a file sets; when one of them has a fault
  /// of its own the condition is not looked at, because it would only repeat that one in other words.
  let keys: [String]
  /// Not looked at on a device with a site root, whose list stands for the file that the condition asks for.
  var endsWithSiteRoot = false
  /// `nil`: fulfilled.
  let violation: @Sendable (Settings) -> (what: String, expected: String)?

  func faults(
    in settings: Settings, _ origins: [String: SettingOrigin], faulty: Set<String>
  ) -> [ConfigurationFault] {
    guard keys.allSatisfy({ !faulty.contains($0) }), let (what, expected) = violation(settings) else { return [] }
    // What came from afar is the newest: with its place the sender knows what to mend.
    let places = keys.compactMap { origins[$0] }
    let newest = places.first { if case .remote = $0 { true } else { false } } ?? places.first { $0 != .builtIn }
    guard let place = newest?.place else { return [] }
    return [ConfigurationFault(at: place, what, expected: expected)]
  }

  /// In the order of `Settings.Pins.all`.
  private static let pinKeys = [
    "lines.button", "lines.led", "lines.led_red", "lines.led_green", "lines.led_blue", "lines.buzzer",
  ]

  static let all: [SettingsRule] = [
    SettingsRule(keys: ["camera.refresh_rate_hz", "camera.bus_speed_khz"]) { settings in
      // A sub-page is 832 words, each byte takes nine clocks; a tenth of the time is left for everything else.
      let bitsPerSubPage = 832 * 2 * 9
      let rate = Int(settings.camera.sensor.refreshRate.subPagesPerSecond)
      let needed = rate * bitsPerSubPage * 10 / 9 / 1000 + 1
      guard settings.camera.busSpeedKHz < needed else { return nil }
      return (
        "camera.refresh_rate_hz \(rate) is more than a bus of "
          + "\(settings.camera.busSpeedKHz) kHz carries",
        "a lower rate, or bus_speed_khz of \(needed) or more, set on the board too"
      )
    },
    SettingsRule(keys: ["gates.ambient_minimum_celsius", "gates.ambient_maximum_celsius"]) { settings in
      let gates = settings.gates
      guard gates.ambientMinimumCelsius >= gates.ambientMaximumCelsius else { return nil }
      return (
        "gates.ambient_minimum_celsius \(gates.ambientMinimumCelsius) is not below ambient_maximum_celsius "
          + "\(gates.ambientMaximumCelsius)", "a range"
      )
    },
    SettingsRule(keys: ["gates.subject_minimum_share", "gates.subject_maximum_share"]) { settings in
      let gates = settings.gates
      guard gates.subjectMinimumShare >= gates.subjectMaximumShare else { return nil }
      return (
        "gates.subject_minimum_share \(gates.subjectMinimumShare) is not below subject_maximum_share "
          + "\(gates.subjectMaximumShare)", "a range"
      )
    },
    SettingsRule(keys: ["reader.line_digits_minimum", "reader.line_digits_maximum"]) { settings in
      let line = settings.reader.linePattern
      guard line.digitsMinimum > line.digitsMaximum else { return nil }
      return (
        "reader.line_digits_minimum \(line.digitsMinimum) is above line_digits_maximum \(line.digitsMaximum)", "a range"
      )
    },
    SettingsRule(keys: ["patients.unknown_tag", "patients.roster_file"]) { settings in
      let policy = settings.session.unknownTags
      guard policy != .accept, settings.patients.rosterFile == nil else { return nil }
      return (
        "patients.unknown_tag is \(quoted(policy.rawValue)) and no roster says which tags are known",
        "roster_file in [patients], or \"accept\""
      )
    },
    SettingsRule(keys: ["session.acclimatisation_minimum_seconds", "session.acclimatisation_maximum_seconds"]) {
      settings in
      let rules = settings.session
      guard rules.acclimatisationMinimumSeconds > rules.acclimatisationMaximumSeconds else { return nil }
      return (
        "session.acclimatisation_minimum_seconds \(rules.acclimatisationMinimumSeconds) is above "
          + "acclimatisation_maximum_seconds \(rules.acclimatisationMaximumSeconds)", "a range"
      )
    },
    SettingsRule(keys: pinKeys) { settings in
      let named = zip(pinKeys, settings.pins.all).compactMap { key, pin in pin.map { (key, $0) } }
      for (index, (key, pin)) in named.enumerated() {
        guard let other = named.prefix(index).first(where: { $0.1 == pin }) else { continue }
        return ("\(other.0) and \(key) are the same pin", "a pin of its own for each")
      }
      return nil
    },
    SettingsRule(keys: SettingKey.all.filter { $0.table == "panel" }.map(\.path)) { settings in
      guard let (one, other) = settings.panel.indistinguishableSignals.first else { return nil }
      let keys = [one, other].map { "panel." + $0.rawValue.replacing("-", with: "_") }
      return (
        "\(keys[0]) and \(keys[1]) have the same rhythm of light and dark: nobody without colours can tell them apart",
        "another rhythm for one of them; thermograph panel list shows all"
      )
    },
    SettingsRule(keys: ["session.questions"]) { settings in
      let codes = settings.session.questions.map(\.code)
      guard Set(codes).count < codes.count else { return nil }
      return ("session.questions has the same code twice", "a code of its own for each question")
    },
    SettingsRule(keys: pinKeys + ["lines.chip"]) { settings in
      let usesOffset = settings.pins.all.contains { if case .offset = $0 { true } else { false } }
      guard usesOffset, settings.pins.chip == nil else { return nil }
      return ("lines has an offset and no chip to count it on", "chip in [lines], or the line's name")
    },
    SettingsRule(keys: ["broker.retry_minimum_seconds", "broker.retry_maximum_seconds"]) { settings in
      let wait = settings.broker.delivery.backoff
      guard wait.minimumMilliseconds > wait.maximumMilliseconds else { return nil }
      return (
        "broker.retry_minimum_seconds \(wait.minimumMilliseconds / 1000) is above retry_maximum_seconds "
          + "\(wait.maximumMilliseconds / 1000)", "a range"
      )
    },
    SettingsRule(keys: ["broker.host", "broker.ca_file", "broker.allow_plaintext"]) { settings in
      let broker = settings.broker
      guard let host = broker.host, !broker.usesTLS, !broker.allowPlaintext, !isLoopback(host) else { return nil }
      return (
        "broker.host \(quoted(host)) is another machine and the connection would not be encrypted",
        "ca_file, certificate_file and key_file in [broker], or allow_plaintext = true"
      )
    },
    SettingsRule(keys: ["broker.ca_file", "broker.certificate_file", "broker.key_file", "broker.host"]) { settings in
      let broker = settings.broker
      guard let host = broker.host, broker.usesTLS, broker.certificateFile == nil || broker.keyFile == nil,
        !isLoopback(host)
      else { return nil }
      return (
        "broker.ca_file asks for TLS and the device has no certificate of its own",
        "certificate_file and key_file in [broker]"
      )
    },
    SettingsRule(keys: ["broker.password_file", "broker.user_name"]) { settings in
      guard settings.broker.passwordFile != nil, settings.broker.userName == nil else { return nil }
      return ("broker.password_file is not used without a user name", "user_name in [broker]")
    },
    SettingsRule(keys: ["broker.topics", "broker.protocol_version"]) { settings in
      guard settings.broker.topics == .azureIoTHub, settings.broker.protocolVersion != .mqtt311 else { return nil }
      return ("broker.topics \"azure-iot-hub\" needs MQTT 3.1.1", "protocol_version = \"3.1.1\" in [broker]")
    },
    SettingsRule(
      keys: ["delivery.require_signed_receipts", "delivery.receiver_keys_file", "broker.host", "broker.confirm"],
      endsWithSiteRoot: true
    ) { settings in
      guard settings.broker.host != nil, settings.broker.delivery.confirm == .receipt,
        settings.receipts.requireSignatures == true, settings.receipts.keysFile == nil
      else { return nil }
      return (
        "delivery.require_signed_receipts is true and no receiver's key is named, so that nothing would ever be freed",
        "receiver_keys_file in [delivery], or the site's root on this device (thermograph enroll --install)"
      )
    },
    SettingsRule(keys: ["broker.certificate_file", "broker.key_file"]) { settings in
      let broker = settings.broker
      guard (broker.certificateFile == nil) != (broker.keyFile == nil) else { return nil }
      return ("broker.certificate_file and broker.key_file go together and one is missing", "both or neither")
    },
    SettingsRule(keys: ["broker.certificate_file", "broker.ca_file"]) { settings in
      let broker = settings.broker
      guard broker.certificateFile != nil, !broker.usesTLS else { return nil }
      return ("broker.certificate_file is not used without TLS", "ca_file in [broker]")
    },
  ]

  static func notices(
    in settings: Settings, _ origins: [String: SettingOrigin], faulty: Set<String>, mainFile: String, hasSiteRoot: Bool
  ) -> [ConfigurationFault] {
    var notices: [ConfigurationFault] = []
    let note = { (key: String, text: String) in
      let place = origins[key]?.place ?? SourcePlace(file: mainFile)
      notices.append(ConfigurationFault(at: place, text))
    }
    if settings.broker.allowPlaintext, settings.broker.usesTLS {
      note("broker.allow_plaintext", "broker.allow_plaintext has no effect: ca_file makes the connection TLS")
    } else if settings.broker.allowPlaintext, let host = settings.broker.host, !isLoopback(host) {
      note("broker.allow_plaintext", "broker.allow_plaintext: records and images cross the network readable")
    }
    if settings.takesUnsignedReceipts, !hasSiteRoot {
      note(
        "delivery.require_signed_receipts",
        "receipts are taken without a receiver's signature: whoever may write to dn/receipt frees what was published")
    }
    if settings.broker.host == nil, !faulty.contains("broker.host") {
      note("broker.host", "broker.host is not set: captures stay in the outbox")
    }
    if settings.screening.model == nil, !faulty.contains("screening.model") {
      note("screening.model", "screening.model is not set: captures carry no verdict")
    }
    return notices
  }
}

/// Whether `host` can only be this machine: `localhost`, 127.0.0.0/8 (RFC 1122), `::1`.
package func isLoopback(_ host: String) -> Bool {
  if host.lowercased() == "localhost" || host == "::1" { return true }
  let octets = host.split(separator: ".", omittingEmptySubsequences: false)
  return octets.count == 4 && octets[0] == "127" && octets.allSatisfy { UInt8($0) != nil && !$0.hasPrefix("+") }
}
