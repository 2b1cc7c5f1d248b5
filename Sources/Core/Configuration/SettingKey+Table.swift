import Forwarding
import Identification
import Panel
import Screening

/// The table of keys: the check, the listing of `check --effective`, the JSON Schema and what can be reloaded all read
/// it. A new key is a property of the type that acts by it, which `Settings` holds, and a line here.
extension SettingKey {
  /// Every key, in the order of the effective listing.
  package static let all: [SettingKey] =
    deviceKeys + pathKeys + cameraKeys + readerKeys + patientKeys + sessionKeys + gateKeys + screeningKeys + outboxKeys
    + brokerKeys + deliveryKeys + remoteKeys + importKeys + lineKeys + panelKeys + alertKeys + serviceKeys
    + simulationKeys

  /// Names the table once for all its keys.
  private static func table(_ name: String, @SettingKeyList _ keys: (String) -> [SettingKey]) -> [SettingKey] {
    keys(name + ".")
  }

  private static let deviceKeys = table("device") { t in
    key(t + "id", \.device.id, .text(.identifier), "name of this device, also the CN of its certificate", .required)
    key(t + "site", \.device.site, .text(.identifier), "name of the clinic or household group", .required)
    key(t + "board", \.device.board, .text(.label), "board profile: a file of hardware_directory/boards")
  }

  private static let pathKeys = table("paths") { t in
    key(t + "state_directory", \.paths.stateDirectory, .text(.absolutePath), "outbox, keys and received models")
    key(t + "runtime_directory", \.paths.runtimeDirectory, .text(.absolutePath), "control socket")
    key(t + "models_directory", \.paths.modelsDirectory, .text(.absolutePath), "installed models, a folder each")
    key(t + "languages_directory", \.paths.languagesDirectory, .text(.absolutePath), "sentences, a file a language")
    key(t + "hardware_directory", \.paths.hardwareDirectory, .text(.absolutePath), "board profiles")
  }

  private static let cameraKeys = table("camera") { t in
    key(t + "bus", \.camera.bus, .text(.absolutePath), "I2C bus of the MLX90640", .ofBoard)
    key(t + "address", \.camera.sensor.address, .integer(0x08...0x77), "7-bit I2C address", .ofBoard)
    key(t + "refresh_rate_hz", \.camera.sensor.refreshRate, .refreshRate, "sub-pages a second", .remote)
    key(t + "bus_speed_khz", \.camera.busSpeedKHz, .integer(100...1000), "SCL as the board sets it", .ofBoard)
    key(t + "emissivity", \.camera.emissivity, .number(0.5...1), "of the skin")
    key(
      t + "reflected_temperature_celsius", \.camera.reflectedTemperatureCelsius, .number(-40...85),
      "temperature that the skin reflects; unset: sensor temperature minus 8")
    key(t + "frames_averaged", \.camera.framesAveraged, .integer(1...128), "whole frames in one thermogram", .remote)
    key(t + "lens", \.camera.lens, .choice, "field of view in degrees")
    key(t + "distance_centimetres", \.camera.distanceCentimetres, .number(20...200), "lens to skin")
  }

  private static let readerKeys = table("reader") { t in
    key(t + "kind", \.reader.kind, .choice, "protocol of the RFID reader")
    key(t + "device", \.reader.device, .text(.absolutePath), "serial device of the reader", .ofBoard)
    key(
      t + "baud", \.reader.baud, .oneOf([1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200]) { $0 },
      "unset: what the reader leaves the factory with")
    key(
      t + "hold_off_milliseconds", \.reader.policy.holdOffMilliseconds, .integer(0...60_000),
      "an accepted tag is ignored", .remote)
    key(
      t + "confirmation_frames", \.reader.policy.requiredFrames, .integer(1...10),
      "identical frames that make a tag; unset: 3 for rdm6300 and pn532-hsu, else 1", .remote)
    key(
      t + "confirmation_window_milliseconds", \.reader.policy.windowMilliseconds, .integer(50...5000),
      "all of them arrive within this", .remote)
    key(
      t + "accept_suspect_frames", \.reader.policy.acceptsUnrepeatedSuspects, .flag,
      "id12la, line: a frame that looks like a phantom makes a tag")
    key(t + "line_number", \.reader.linePattern.number, .choice, "line: how the number is written")
    key(t + "line_digits_minimum", \.reader.linePattern.digitsMinimum, .integer(1...39), "line: digits of a number")
    key(t + "line_digits_maximum", \.reader.linePattern.digitsMaximum, .integer(1...39), "line: digits of a number")
    key(
      t + "line_decimal_bytes", \.reader.linePattern.decimalByteCount, .integer(1...16),
      "line: width of a decimal number")
    key(t + "line_prefix", \.reader.linePattern.prefix, .affix, "line: before the digits")
    key(t + "line_suffix", \.reader.linePattern.suffix, .affix, "line: after the digits")
    key(
      t + "pn532_modulations", \.reader.pn532.modulations, .choices(of: \.name),
      "pn532-hsu: tags that are looked for, in this order")
  }

  private static let patientKeys = table("patients") { t in
    key(t + "site_key_file", \.patients.siteKeyFile, .secret, "key of the pseudonyms, one for a site")
    key(t + "roster_file", \.patients.rosterFile, .text(.absolutePath), "tags and the ids they stand for", .live)
    key(t + "unknown_tag", \.session.unknownTags, .choice, "a tag outside the roster", .live)
  }

  private static let sessionKeys = table("session") { t in
    key(t + "questions", \.session.questions, questions, "before the rest; the tag says yes, the button no", .live)
    key(
      t + "acclimatisation_seconds", \.session.acclimatisationSeconds, .integer(0...3600), "rest first",
      [.live, .remote])
    key(
      t + "acclimatisation_minimum_seconds", \.session.acclimatisationMinimumSeconds, .integer(0...3600),
      "with a settled skin", [.live, .remote])
    key(
      t + "acclimatisation_maximum_seconds", \.session.acclimatisationMaximumSeconds, .integer(0...7200),
      "with a skin that drifts", [.live, .remote])
    key(
      t + "skin_drift_maximum_celsius_per_minute", \.session.skinDriftMaximumCelsiusPerMinute, .number(0.01...5),
      "that counts as settled", .live)
    key(t + "views", \.session.views, .choices(of: \.rawValue), "in the order of capture", [.live, .remote])
    key(t + "view_start", \.session.viewStart, .choice, "position_seconds, or the button or tag", [.live, .remote])
    key(t + "position_seconds", \.session.positionSeconds, .integer(0...120), "to take the position", [.live, .remote])
    key(t + "retakes_per_view", \.session.retakesPerView, .integer(0...5), "after a refused attempt", [.live, .remote])
    key(
      t + "idle_timeout_seconds", \.session.idleTimeoutSeconds, .integer(10...3600), "then abandoned", [.live, .remote])
    key(
      t + "capture_timeout_seconds", \.session.captureTimeoutSeconds, .integer(5...600), "for one view",
      [.live, .remote])
    key(t + "save_timeout_seconds", \.session.saveTimeoutSeconds, .integer(1...600), "for the disk", .live)
    key(t + "resume_seconds", \.session.resumeSeconds, .integer(0...86_400), "after a restart", [.live, .remote])
    key(t + "maintenance_seconds", \.session.maintenanceSeconds, .integer(60...86_400), "technician's tag", .live)
    key(t + "require_operator", \.session.requiresOperator, .flag, "an operator's tag signs each session", .live)
    key(t + "tag_must_stay", \.session.tagMustStay, .flag, "at the reader, all the time", .live)
    key(t + "language", \.language, .text(.label), "of what patients are told", .remote)
  }

  private static let questions = ValueFormat<[SessionRules.Question]>.items(
    0...8, of: SessionRules.Question(code: "", sentence: ""),
    [
      .field("code", \.code, .text(.identifier)), .field("sentence", \.sentence, .text(.sentence)),
    ])

  private static let gateKeys = table("gates") { t in
    key(t + "hard", \.gates.hardGates, .choices(of: \.rawValue), "withhold the verdict when they fail", .live)
    key(t + "contrast_minimum_celsius", \.gates.contrastMinimumCelsius, .number(0.5...10), "or nobody is there", .live)
    key(t + "ambient_minimum_celsius", \.gates.ambientMinimumCelsius, .number(0...40), "room", .live)
    key(t + "ambient_maximum_celsius", \.gates.ambientMaximumCelsius, .number(0...40), "room", .live)
    key(
      t + "ambient_drift_maximum_celsius_per_minute", \.gates.ambientDriftMaximumCelsiusPerMinute, .number(0.01...5),
      "sensor temperature still moving", .live)
    key(t + "settling_seconds", \.camera.settlingSeconds, .integer(0...1200), "sensor after power-up")
    key(t + "subject_minimum_share", \.gates.subjectMinimumShare, .number(0...1), "of the frame: too far", .live)
    key(t + "subject_maximum_share", \.gates.subjectMaximumShare, .number(0...1), "of the frame: too near", .live)
    key(t + "edge_maximum_share", \.gates.edgeMaximumShare, .number(0...1), "of the subject at one edge", .live)
    key(t + "off_centre_maximum_columns", \.gates.offCentreMaximumColumns, .number(0.1...16), "midline", .live)
    key(t + "tilt_maximum", \.gates.tiltMaximum, .number(0.01...2), "columns a row: tangent of the tilt", .live)
    key(t + "motion_maximum_celsius", \.gates.motionMaximumCelsius, .number(0.01...10), "between frames", .live)
    key(t + "hot_object_maximum_celsius", \.gates.hotObjectMaximumCelsius, .number(0.1...50), "above skin", .live)
    key(
      t + "cold_object_maximum_celsius", \.gates.coldObjectMaximumCelsius, .number(0.1...50), "below the room", .live)
    key(t + "skin_minimum_celsius", \.gates.skinMinimumCelsius, .number(0...45), "less is clothing", .live)
    key(t + "dead_pixels_maximum", \.gates.deadPixelsMaximum, .integer(0...768), "without a value", .live)
    key(
      t + "checkerboard_maximum_celsius", \.gates.checkerboardMaximumCelsius, .number(0.01...5),
      "between the two sub-pages", .live)
    key(t + "noise_maximum_celsius", \.gates.noiseMaximumCelsius, .number(0.01...5), "standard error", .live)
    key(
      t + "picture_noise_maximum_celsius", \.gates.pictureNoiseMaximumCelsius, .number(0.01...5),
      "as a picture shows it, with the skin's fine structure", .live)
    key(t + "outline_minimum_celsius", \.gates.outlineMinimumCelsius, .number(0...20), "less is a foggy lens", .live)
  }

  private static let screeningKeys =
    table("screening") { t in
      key(t + "model", \.screening.model, .text(.label), "folder of models_directory; unset: no verdict")
      key(
        t + "occlusion_map", \.screening.occlusionMap, .flag, "a picture for the doctor of what the model reacted to",
        .remote)
    }
    + table("quality") { t in
      key(t + "model", \.quality.model, .text(.label), "folder of models_directory; unset: the other gates alone")
    }
    + table("change") { t in
      key(t + "enabled", \.change.isEnabled, .flag, "each capture is compared with the patient's own earlier sessions")
      key(t + "patients_maximum", \.change.patientsMaximum, .integer(1...3000), "whose earlier sessions are kept")
    }

  private static let outboxKeys = table("outbox") { t in
    key(t + "key_file", \.outbox.keyFile, .secret, "key that seals what waits")
    key(t + "older_key_file", \.outbox.olderKeyFile, .secret, "key before that one; what it sealed is sealed anew")
    key(t + "maximum_bytes", \.outbox.quota.totalBytes, .integer(16_777_216...1_099_511_627_776), "quota")
    key(
      t + "maximum_image_bytes", \.outbox.quota.bytesByClass[.image], .integer(1_048_576...1_099_511_627_776),
      "of images; unset: the quota's")
    key(
      t + "maximum_event_bytes", \.outbox.quota.bytesByClass[.event], .integer(1_048_576...1_099_511_627_776),
      "of events; unset: the quota's")
    key(t + "maximum_messages", \.outbox.quota.rowsPerClass, .integer(100...10_000_000), "undelivered, of one class")
    key(
      t + "free_space_floor_bytes", \.outbox.quota.freeSpaceFloorBytes, .integer(0...1_099_511_627_776),
      "left free on the file system")
    key(t + "on_full", \.outbox.quota.onFull, .choice, "when the quota is reached")
    key(t + "retention_days", \.outbox.retentionDays, .integer(0...3650), "of delivered captures")
  }

  private static let brokerKeys = table("broker") { t in
    key(t + "host", \.broker.host, .text(.host), "MQTT broker; unset: nothing is sent", .remote)
    key(t + "port", \.broker.port, .integer(1...65_535), "unset: 8883 with TLS, else 1883", .remote)
    key(t + "protocol_version", \.broker.protocolVersion, .choice, "of MQTT", .remote)
    key(t + "confirm", \.broker.delivery.confirm, .choice, "what frees local copies")
    key(t + "keepalive_seconds", \.broker.keepaliveSeconds, .integer(5...1200), "between pings", .remote)
    key(t + "allow_plaintext", \.broker.allowPlaintext, .flag, "MQTT without TLS to another host")
    key(t + "ca_file", \.broker.caFile, .text(.absolutePath), "PEM; with it the connection is TLS")
    key(t + "certificate_file", \.broker.certificateFile, .text(.absolutePath), "PEM of this device")
    key(t + "key_file", \.broker.keyFile, .secret, "PEM key of that certificate")
    key(t + "application_protocol", \.broker.applicationProtocol, .text(.label), "ALPN name", .remote)
    key(t + "user_name", \.broker.userName, .text(.printable), "where the broker asks for one", .remote)
    key(t + "password_file", \.broker.passwordFile, .secret, "one line, read anew for every connection")
    key(t + "topics", \.broker.topics, .choice, "how topics are called")
    key(t + "sync_window", \.broker.delivery.syncWindow, .timeWindow, "in UTC; outside only alerts are sent", .remote)
    key(
      t + "bytes_per_day", \.broker.delivery.bytesPerDay, .integer(1_048_576...1_099_511_627_776),
      "of a metered line; alerts are not held", .remote)
    key(t + "window_messages", \.broker.delivery.window, .integer(1...100), "in flight", .remote)
    key(
      t + "part_size_bytes", \.broker.delivery.partBytes, .integer(1024...16_777_216), "larger payloads are cut",
      .remote)
    key(t + "pacing_messages_per_second", \.broker.delivery.messagesPerSecond, .integer(1...1000), "at most", .remote)
    key(t + "connect_timeout_seconds", \.broker.connectTimeoutSeconds, .integer(1...120), "TLS included", .remote)
    key(
      t + "retry_minimum_seconds", \.broker.delivery.backoff.minimumMilliseconds, .seconds(1...3600),
      "between attempts", .remote
    )
    key(
      t + "retry_maximum_seconds", \.broker.delivery.backoff.maximumMilliseconds, .seconds(1...3600),
      "between attempts", .remote
    )
  }

  private static let deliveryKeys = table("delivery") { t in
    key(
      t + "receiver_keys_file", \.receipts.keysFile, .text(.absolutePath),
      "PEM public keys of the receivers, one behind another")
    key(
      t + "require_signed_receipts", \.receipts.requireSignatures, .flag,
      "a receipt without a receiver's signature frees nothing; unset: as soon as there are keys")
    key(
      t + "send_view", \.pictures.sendView, .flag,
      "false, for a thin line: of the pictures the master alone is sent, and the receiver makes view, mask and standard "
        + "error again from it", .remote)
  }

  private static let importKeys = table("import") { t in
    key(
      t + "require_signature", \.imports.requireSignature, .flag,
      "take only prepared folders that the site has signed; needs a site root")
  }

  private static let remoteKeys = table("remote") { t in
    key(t + "commands", \.remote.commands, .flag, "take signed commands of the far side; none without their keys")
    key(
      t + "command_keys_file", \.remote.commandKeysFile, .text(.absolutePath),
      "PEM public keys of those who may command this device, one behind another; unset: nobody may")
    key(
      t + "configuration", \.remote.configuration, .flag,
      "take signed configurations of the far side; none without their keys")
    key(
      t + "configuration_keys_file", \.remote.configurationKeysFile, .text(.absolutePath),
      "PEM public keys of those who may configure this device, one behind another; unset: nobody may")
    key(t + "pinned", \.remote.pinned, .choices(of: \.path), "keys that nobody may change from afar; unset: none")
  }

  /// Keys that a configuration from afar may set: those with the trait. Not the table of `remote` itself, so that this list
  /// can stand in it.
  static let fromAfar: [String] =
    (deviceKeys + pathKeys + cameraKeys + readerKeys + patientKeys + sessionKeys + gateKeys + screeningKeys
    + outboxKeys + brokerKeys + deliveryKeys + lineKeys + panelKeys + alertKeys + serviceKeys + simulationKeys)
    .filter(\.isRemote).map(\.path)

  private static let lineKeys = table("lines") { t in
    key(t + "chip", \.pins.chip, .text(.label), "label of the GPIO chip", .ofBoard)
    key(t + "button", \.pins.button, .pin, "unset: no button", .ofBoard)
    key(t + "led", \.pins.led, .pin, "one light for every colour; unset: none", .ofBoard)
    key(t + "led_red", \.pins.ledRed, .pin, "of a light of three colours", .ofBoard)
    key(t + "led_green", \.pins.ledGreen, .pin, "of a light of three colours", .ofBoard)
    key(t + "led_blue", \.pins.ledBlue, .pin, "of a light of three colours", .ofBoard)
    key(t + "buzzer", \.pins.buzzer, .pin, "unset: no sound", .ofBoard)
    key(t + "case_contact", \.pins.caseContact, .pin, "says that the case is open; unset: no contact", .ofBoard)
    key(t + "case_contact_active_low", \.pins.caseContactActiveLow, .flag, "open connects to ground", .ofBoard)
    key(t + "button_active_low", \.pins.buttonActiveLow, .flag, "pressed connects to ground", .ofBoard)
    key(t + "led_active_low", \.pins.ledActiveLow, .flag, "lit by a low level", .ofBoard)
    key(t + "buzzer_active_low", \.pins.buzzerActiveLow, .flag, "sounds by a low level", .ofBoard)
    key(
      t + "button_steady_milliseconds", \.pins.buttonTiming.steadyMilliseconds, .integer(1...1000),
      "of a level that counts")
    key(
      t + "button_long_press_milliseconds", \.pins.buttonTiming.longPressMilliseconds, .integer(100...60_000),
      "of a press that cancels")
  }

  private static let panelKeys = table("panel") { t in
    key(t + "ready", \.panel[.ready], .panelPattern, "for a tag")
    key(t + "degraded", \.panel[.degraded], .panelPattern, "a technician is needed")
    key(t + "tag_accepted", \.panel[.tagAccepted], .panelPattern, "the tag was read")
    key(t + "tag_refused", \.panel[.tagRefused], .panelPattern, "the tag was not accepted")
    key(t + "tag_unknown", \.panel[.tagUnknown], .panelPattern, "not on the list, or without consent")
    key(t + "not_now", \.panel[.notNow], .panelPattern, "a session or maintenance is under way")
    key(t + "maintenance", \.panel[.maintenance], .panelPattern, "the technician is at work")
    key(t + "question", \.panel[.question], .panelPattern, "a question waits")
    key(t + "confirm", \.panel[.confirm], .panelPattern, "an unknown tag waits for a go-ahead")
    key(t + "operator_tag", \.panel[.operatorTag], .panelPattern, "an operator has to sign")
    key(t + "own_tag", \.panel[.ownTag], .panelPattern, "the session's own tag is wanted")
    key(t + "acclimatising", \.panel[.acclimatising], .panelPattern, "rest")
    key(t + "position", \.panel[.position], .panelPattern, "take the position: facing the camera")
    key(t + "position_left_oblique", \.panel[.positionLeftOblique], .panelPattern, "take the position: left-oblique")
    key(t + "position_right_oblique", \.panel[.positionRightOblique], .panelPattern, "take the position: right-oblique")
    key(t + "position_left_lateral", \.panel[.positionLeftLateral], .panelPattern, "take the position: left-lateral")
    key(t + "position_right_lateral", \.panel[.positionRightLateral], .panelPattern, "take the position: right-lateral")
    key(t + "capturing", \.panel[.capturing], .panelPattern, "hold still")
    key(t + "retake", \.panel[.retake], .panelPattern, "once more; the position follows")
    key(t + "working", \.panel[.working], .panelPattern, "verdict and saving")
    key(t + "saved", \.panel[.saved], .panelPattern, "on disk")
    key(t + "not_assessable", \.panel[.notAssessable], .panelPattern, "on disk, and cannot be assessed")
    key(t + "incomplete", \.panel[.incomplete], .panelPattern, "ended early, some is saved")
    key(t + "nothing_saved", \.panel[.nothingSaved], .panelPattern, "ended early, nothing is saved")
    key(t + "identify", \.panel[.identify], .panelPattern, "wanted to be found")
    key(t + "full", \.panel[.full], .panelPattern, "no room for another capture")
    key(t + "unable", \.panel[.unable], .panelPattern, "no capture is possible")
  }

  private static let alertKeys = table("alerts") { t in
    key(t + "rules", \.alerts, alertRules, "the first that applies decides", .live)
  }

  private static let alertRules = ValueFormat<[AlertRule]>.items(
    0...64, of: AlertRule(.cameraLost, severity: .warning, holdOffSeconds: 0),
    [
      .field("on", \.trigger, .choice), .field("priority", \.severity, .choice),
      .field("hold_off_seconds", \.holdOffSeconds, .integer(0...604_800)),
    ])

  private static let serviceKeys =
    table("health") { t in
      key(t + "interval_seconds", \.health.intervalSeconds, .integer(10...86_400), "between messages", .remote)
      key(t + "prometheus_file", \.health.prometheusFile, .text(.absolutePath), "for node_exporter; unset: none")
    }
    + table("sentinel") { t in
      key(
        t + "model", \.sentinel.model, .text(.label), "folder of models_directory; unset: counters without a judgement")
      key(
        t + "delta", \.sentinel.delta, .number(0...0.5),
        "by so much one of sensing and attack must be likelier than the other; unset: the model's")
      key(
        t + "lock_down", \.sentinel.locksDown, .flag,
        "with an attack, take no remote action until a technician or a signed command releases the device")
    }
    + table("log") { t in
      key(t + "level", \.log.level, .choice, "least severe that is written", [.live, .remote])
    }

  private static let simulationKeys = table("simulation") { t in
    key(t + "eeprom_file", \.simulation.eepromFile, .text(.absolutePath), "832 words; unset: the recorded sensor")
    key(t + "seed", \.simulation.seed, .integer(0...Int(Int32.max)), "of noise")
    key(t + "ambient_celsius", \.simulation.ambientCelsius, .number(-20...60), "of the scene's room")
    key(t + "skin_celsius", \.simulation.skinCelsius, .number(0...60), "of the scene's subject")
    key(t + "hot_spot_celsius", \.simulation.hotSpotCelsius, .number(0...20), "above the skin; 0: none")
    key(t + "noise_celsius", \.simulation.noiseCelsius, .number(0...5), "standard deviation of a pixel")
    key(t + "captures", \.simulation.captures, .integer(0...10_000), "tags presented in all")
    key(t + "tag_delay_milliseconds", \.simulation.tagDelayMilliseconds, .integer(0...3_600_000), "before the first")
    key(t + "tag_interval_milliseconds", \.simulation.tagIntervalMilliseconds, .integer(0...3_600_000), "between two")
    key(
      t + "sentinel_step_milliseconds", \.simulation.sentinelStepMilliseconds, .integer(50...10_000),
      "of the sentinel's counters")
    key(t + "sensor_fault", \.simulation.sensorFault, .choice, "what befalls the simulated camera")
    key(
      t + "sensor_fault_after_seconds", \.simulation.sensorFaultAfterSeconds, .integer(0...86_400), "when it begins")
    key(
      t + "system_directory", \.simulation.systemDirectory, .text(.absolutePath), "before /sys and /proc; unset: none")
  }
}
