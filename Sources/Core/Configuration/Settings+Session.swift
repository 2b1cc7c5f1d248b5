extension Settings {
  /// The RFID reader.
  package struct Reader: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
      case rdm6300
      case id12la
      case pn532HSU = "pn532-hsu"
      case line
    }

    package enum LineNumber: String, Sendable, CaseIterable {
      case hexadecimal
      case decimal
    }

    /// What a PN532 looks for.
    package enum Modulation: String, Sendable, CaseIterable {
      case iso14443A = "iso14443a"
      case feliCa212 = "felica-212"
      case feliCa424 = "felica-424"
      case iso14443B = "iso14443b"
      case jewel
    }

    package var kind = Kind.rdm6300
    package var device = "/dev/serial0"
    /// Speed of the line; `nil`: the reader's own, see `effectiveBaud`.
    package var baud: Int?
    /// A tag that was accepted is ignored for this long, 0...60000; at least the confirmation window.
    package var holdOffMilliseconds = 1500
    /// Identical frames that make a tag, 1...10; `nil`: the reader's own, see `effectiveConfirmationFrames`.
    package var confirmationFrames: Int?
    /// All confirming frames arrive within this, 50...5000.
    package var confirmationWindowMilliseconds = 400
    /// Readers that send a tag once: whether a frame that looks like a phantom makes a tag.
    package var acceptSuspectFrames = false
    /// How a line reader writes the number.
    package var lineNumber = LineNumber.hexadecimal
    /// Digits in a line, 1...39.
    package var lineDigitsMinimum = 4
    package var lineDigitsMaximum = 32
    /// Bytes that a decimal number stands for, 1...16.
    package var lineDecimalBytes = 4
    /// Before and after the digits, at most 16 printable ASCII characters.
    package var linePrefix = ""
    package var lineSuffix = ""
    /// In the order in which they are looked for, each once.
    package var pn532Modulations: [Modulation] = [.iso14443A]

    package init() {}

    /// `baud`, or what the reader leaves the factory with: 115200 for the PN532 on HSU, 9600 for the others.
    package var effectiveBaud: Int {
      if let baud { return baud }
      return kind == .pn532HSU ? 115_200 : 9600
    }

    /// `confirmationFrames`, or 3 for the readers that tell a tag again and again while it is present: the RDM6300, which
    /// sends phantom frames with a right checksum when none is, and the PN532, which is asked some ten times a second;
    /// 1 for the others, which send a tag once.
    package var effectiveConfirmationFrames: Int {
      confirmationFrames ?? (kind == .rdm6300 || kind == .pn532HSU ? 3 : 1)
    }
  }

  /// Who may be captured and under which name.
  package struct Patients: Sendable, Equatable {
    package enum UnknownTag: String, Sendable, CaseIterable {
      /// A tag outside the roster is captured under its pseudonym.
      case accept
      /// Somebody confirms at the device first.
      case ask
      case refuse
    }

    /// Key of the pseudonyms, the same on every device of a site. Default `{state_directory}/keys/site.key`.
    package var siteKeyFile: SecretReference = .file("/var/lib/thermograph/keys/site.key")
    package var rosterFile: String?
    package var unknownTag = UnknownTag.accept

    package init() {}
  }

  /// The guided session.
  package struct Session: Sendable, Equatable {
    package enum View: String, Sendable, CaseIterable {
      case frontal
      case leftOblique = "left-oblique"
      case rightOblique = "right-oblique"
      case leftLateral = "left-lateral"
      case rightLateral = "right-lateral"
    }

    /// What begins a view.
    package enum ViewStart: String, Sendable, CaseIterable {
      /// `positionSeconds` after the sign to take the position; the tag or the button begins it sooner.
      case timer
      /// The button, or the patient's own tag.
      case sign
    }

    package struct Question: Sendable, Equatable {
      /// As it stands in the record.
      package var code = ""
      package var sentence = ""

      package init() {}
    }

    /// Asked before the rest, at most 8; the tag says yes, the button no.
    package var questions: [Question] = []
    /// Rest before the first view, so that the skin reaches the temperature of the room, 0...3600.
    package var acclimatisationSeconds = 600
    /// With a skin that was measured and has settled, the rest may end this early, 0...3600.
    package var acclimatisationMinimumSeconds = 300
    /// With a skin that still drifts it is prolonged up to this, 0...7200.
    package var acclimatisationMaximumSeconds = 900
    /// Change of skin temperature that counts as settled, 0.01...5.
    package var skinDriftMaximumCelsiusPerMinute = 0.1
    /// In the order of capture; one to five, each once.
    package var views: [View] = [.frontal]
    package var viewStart = ViewStart.timer
    /// To take the position, 0...120.
    package var positionSeconds = 5
    /// Further attempts at a view that a gate refused, 0...5.
    package var retakesPerView = 2
    /// For everything that waits for a person; then the session ends as abandoned, 10...3600.
    package var idleTimeoutSeconds = 300
    /// For the frames of one view, and for a lost camera to come back, 5...600.
    package var captureTimeoutSeconds = 60
    /// For the verdict and for the disk, each, 1...600.
    package var saveTimeoutSeconds = 60
    /// How long after a restart the patient's tag takes an interrupted session up again, 0...86400.
    package var resumeSeconds = 900
    /// How long a technician's tag keeps captures out, 60...86400.
    package var maintenanceSeconds = 900
    /// A session needs an operator's tag beside the patient's.
    package var requireOperator = false
    /// The patient's tag has to stay at the reader.
    package var tagMustStay = false
    /// Of what patients are told: `en`, or a file of `paths.languagesDirectory`.
    package var language = "en"

    package init() {}
  }

  /// Limits of the quality gates. A gate that fails withholds the verdict, never the image.
  package struct Gates: Sendable, Equatable {
    /// The gates by their codes.
    package enum Gate: String, Sendable, CaseIterable {
      case settling
      case ambientRange = "ambient-range"
      case ambientDrift = "ambient-drift"
      case subjectPresent = "subject-present"
      case tooNear = "too-near"
      case tooFar = "too-far"
      case cutOff = "cut-off"
      case offCentre = "off-centre"
      case rotated
      case motion
      case hotObject = "hot-object"
      case coldObject = "cold-object"
      case clothed
      case deadPixels = "dead-pixels"
      case checkerboard
      case noise
      case notAcclimatised = "not-acclimatised"
      case clockUnsynchronised = "clock-unsynchronised"
      case lens
      case quality
    }

    /// Those that withhold the verdict; the others are recorded and shown.
    package var hard: [Gate] = [
      .subjectPresent, .tooNear, .tooFar, .cutOff, .offCentre, .rotated, .motion, .hotObject, .coldObject, .clothed,
      .deadPixels, .checkerboard, .noise, .quality,
    ]
    /// Mean of the subject above the background, 0.5...10.
    package var contrastMinimumCelsius = 2.0
    package var ambientMinimumCelsius = 18.0
    package var ambientMaximumCelsius = 25.0
    /// Change of the sensor's own temperature that still counts as settled, per minute.
    package var ambientDriftMaximumCelsiusPerMinute = 0.2
    /// The sensor settles for this long after power-up, 0...1200.
    package var settlingSeconds = 240
    /// Share of the frame that the subject covers, 0...1.
    package var subjectMinimumShare = 0.35
    package var subjectMaximumShare = 0.92
    /// Share of the subject's rows that may touch one side edge more than the other, 0...1.
    package var edgeMaximumShare = 0.7
    /// Distance of the midline from the frame's centre, 0.1...16.
    package var offCentreMaximumColumns = 3.5
    /// Tangent of the tilt, 0.01...2.
    package var tiltMaximum = 0.2
    /// Largest change of a 4x4 block between sub-pages; noise alone reaches 1 at 16 Hz.
    package var motionMaximumCelsius = 1.5
    /// Hottest pixel above the skin's 90th percentile, 0.1...50.
    package var hotObjectMaximumCelsius = 5.0
    /// Coldest pixel below the background, 0.1...50.
    package var coldObjectMaximumCelsius = 6.0
    /// The skin's 90th percentile reaches it where it is bare, 0...45.
    package var skinMinimumCelsius = 29.0
    /// Pixels without a value of their own, of 768.
    package var deadPixelsMaximum = 10
    /// Difference between the two sub-pages, 0.01...5.
    package var checkerboardMaximumCelsius = 0.3
    /// Per-pixel standard error of the thermogram.
    package var noiseMaximumCelsius = 0.2
    /// The same where only a picture tells it, its fine structure included.
    package var pictureNoiseMaximumCelsius = 0.75
    /// Step across the outline a pixel, 0...20: a fogged lens smears it.
    package var outlineMinimumCelsius = 0.8

    package init() {}
  }

  /// GPIO lines of the button, the lights and the buzzer; a part without a line is not there.
  package struct Pins: Sendable, Equatable {
    /// Label of the chip, as `gpioinfo` prints it: the number of a chip changes between kernels. `nil` with lines that
    /// are named: every chip is searched for the name.
    package var chip: String?
    package var button: PinReference?
    /// One light that shows every colour alike.
    package var led: PinReference?
    /// A light of three colours, beside `led` or in its place.
    package var ledRed: PinReference?
    package var ledGreen: PinReference?
    package var ledBlue: PinReference?
    package var buzzer: PinReference?
    /// The button connects the line to ground.
    package var buttonActiveLow = true
    /// A low level lights up: lamps to the supply, a common anode.
    package var ledActiveLow = false
    package var buzzerActiveLow = false
    /// A level counts once it has been steady for so long, 1...1000.
    package var buttonSteadyMilliseconds = 30
    /// A press that is held for so long cancels, 100...60000.
    package var buttonLongPressMilliseconds = 2000

    package init() {}

    var all: [PinReference?] { [button, led, ledRed, ledGreen, ledBlue, buzzer] }
  }

  /// What lights and buzzer show, as patterns: letters R, G, B (lights), z (buzzer) or -, then milliseconds; * repeats.
  package struct Panel: Sendable, Equatable {
    package var ready = "G100 -2900 *"
    package var degraded = "R100 -100 G100 -2700 *"
    package var tagAccepted = "GBz150 -100 GBz150 -600"
    package var tagRefused = "Rz80 -80 Rz80 -80 Rz80 -80 Rz80 -600"
    package var acclimatising = "B1500 -1500 *"
    package var position = "RGB400 -400 *"
    package var capturing = "RGB10000 *"
    package var retake = "RGz300 -150 RG300 -750 *"
    package var working = "B100 -100 *"
    package var saved = "Gz400 -100 Gz400 -100 G2000"
    package var incomplete = "RGz600 -200 RG200 -200 RG200 -1000"
    package var unable = "R1000 -200 *"

    package init() {}
  }

  /// What a person is alerted to.
  package struct Alerts: Sendable, Equatable {
    /// One row; the first that applies decides.
    package struct Rule: Sendable, Equatable {
      package enum Occasion: String, Sendable, CaseIterable {
        case outcome
        case outcomeBelowThreshold = "outcome-below-threshold"
        case outcomeAboveThreshold = "outcome-above-threshold"
        case outcomeUncertain = "outcome-uncertain"
        case outcomeNotAssessable = "outcome-not-assessable"
        case gate
        case gateSettling = "gate-settling"
        case gateAmbientRange = "gate-ambient-range"
        case gateAmbientDrift = "gate-ambient-drift"
        case gateSubjectPresent = "gate-subject-present"
        case gateTooNear = "gate-too-near"
        case gateTooFar = "gate-too-far"
        case gateCutOff = "gate-cut-off"
        case gateOffCentre = "gate-off-centre"
        case gateRotated = "gate-rotated"
        case gateMotion = "gate-motion"
        case gateHotObject = "gate-hot-object"
        case gateColdObject = "gate-cold-object"
        case gateClothed = "gate-clothed"
        case gateDeadPixels = "gate-dead-pixels"
        case gateCheckerboard = "gate-checkerboard"
        case gateNoise = "gate-noise"
        case gateNotAcclimatised = "gate-not-acclimatised"
        case gateClockUnsynchronised = "gate-clock-unsynchronised"
        case gateLens = "gate-lens"
        case gateQuality = "gate-quality"
        case cameraLost = "camera-lost"
        case readerLost = "reader-lost"
        case outbox80 = "outbox-80"
        case outbox90 = "outbox-90"
        case outbox95 = "outbox-95"
        case unknownTag = "unknown-tag"
        case clockUnsynchronised = "clock-unsynchronised"
      }

      package enum Priority: String, Sendable, CaseIterable {
        case warning
        case critical
      }

      package var on = Occasion.cameraLost
      package var priority = Priority.warning
      /// The same is not told again for so long, 0...604800.
      package var holdOffSeconds = 600

      package init() {}

      init(_ on: Occasion, _ priority: Priority, holdOffSeconds: Int) {
        self.on = on
        self.priority = priority
        self.holdOffSeconds = holdOffSeconds
      }
    }

    /// At most 64.
    package var rules: [Rule] = [
      Rule(.cameraLost, .critical, holdOffSeconds: 600), Rule(.readerLost, .warning, holdOffSeconds: 600),
      Rule(.outbox95, .critical, holdOffSeconds: 3600), Rule(.outbox80, .warning, holdOffSeconds: 3600),
      Rule(.unknownTag, .warning, holdOffSeconds: 3600), Rule(.clockUnsynchronised, .warning, holdOffSeconds: 86_400),
      Rule(.gateDeadPixels, .warning, holdOffSeconds: 86_400),
      Rule(.gateCheckerboard, .warning, holdOffSeconds: 86_400),
    ]

    package init() {}
  }
}
