/// The configuration of one device, checked: every value is inside the range that `SettingKey.all` states.
///
/// The defaults below are the effective values of a key that no file sets. `Settings()` is not a valid device (it has
/// no identity): obtain one by reading files, or fill `device` in a test.
package struct Settings: Sendable, Equatable {
  /// Version of the file format that this build reads.
  package static let schemaVersion = 1

  package var device = Device()
  package var paths = Paths()
  package var camera = Camera()
  package var reader = Reader()
  package var patients = Patients()
  package var session = Session()
  package var gates = Gates()
  package var screening = Screening()
  package var quality = Quality()
  package var outbox = Outbox()
  package var broker = Broker()
  package var lines = Lines()
  package var health = Health()
  package var log = Log()
  package var simulation = Simulation()

  package init() {}

  /// Files that only the service may read, with the keys that name them. Credentials are systemd's to guard.
  package var privateFiles: [(key: String, path: String)] {
    let secrets: [(String, SecretReference?)] = [
      ("patients.site_key_file", patients.siteKeyFile), ("outbox.key_file", outbox.keyFile),
      ("outbox.older_key_file", outbox.olderKeyFile), ("broker.key_file", broker.keyFile),
      ("broker.password_file", broker.passwordFile), ("patients.roster_file", patients.rosterFile.map { .file($0) }),
    ]
    return secrets.compactMap { key, reference in
      if case .file(let path) = reference { (key, path) } else { nil }
    }
  }
}

extension Settings {
  /// Who this device is. Both ids are `[a-z0-9-]{1,36}`: they are levels of MQTT topics, and `id` is also the common
  /// name of the certificate.
  package struct Device: Sendable, Equatable {
    package var id = ""
    package var site = ""
    /// A file name without `.toml` in `paths.hardwareDirectory/boards`. `nil`: no profile, the files say everything.
    package var board: String?

    package init() {}
  }

  /// Absolute directories.
  package struct Paths: Sendable, Equatable {
    /// Survives restarts: outbox, keys, models that arrived over the air.
    package var stateDirectory = "/var/lib/thermograph"
    /// Gone after a restart: control socket.
    package var runtimeDirectory = "/run/thermograph"
    package var modelsDirectory = "/usr/share/thermograph/models"
    /// Board profiles are below it, in `boards`.
    package var hardwareDirectory = "/usr/share/thermograph/hardware"

    package init() {}
  }

  /// The MLX90640 and how it is read.
  package struct Camera: Sendable, Equatable {
    /// Field of view in degrees: MLX90640-ESF-BAB has 55 x 35, -BAA 110 x 75.
    package enum Lens: String, Sendable, CaseIterable {
      case narrow = "55x35"
      case wide = "110x75"
    }

    package var bus = "/dev/i2c-1"
    /// 7-bit I2C address, 0x08...0x77.
    package var address = 0x33
    /// Sub-pages a second, 1, 2, 4, 8, 16 or 32; a whole frame takes two of them.
    package var refreshRateHz = 16
    /// SCL as the board is set up, 100...1000; the driver does not change the bus. Bounds the refresh rate.
    package var busSpeedKHz = 400
    /// Of the observed surface, 0.5...1.0. Human skin is 0.98.
    package var emissivity = 0.98
    /// Temperature that the surface reflects, -40...85. `nil`: sensor temperature minus 8, the datasheet's rule.
    package var reflectedTemperatureCelsius: Double?
    /// Whole frames averaged into one thermogram, 1...128.
    package var framesAveraged = 16
    package var lens = Lens.narrow
    /// Lens to skin as the place is set up, 20...200; it goes into the record.
    package var distanceCentimetres = 50.0

    package init() {}
  }

  /// The RFID reader.
  package struct Reader: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
      case rdm6300
      case id12la
      case pn532HSU = "pn532-hsu"
      case line
    }

    package var kind = Kind.rdm6300
    package var device = "/dev/serial0"
    /// Speed of the line; `nil`: the reader's own, see `effectiveBaud`.
    package var baud: Int?
    /// A tag that was accepted is ignored for this long, 0...60000.
    package var holdOffMilliseconds = 1500
    /// Identical frames that make a tag, 1...10; `nil`: the reader's own, see `effectiveConfirmationFrames`.
    package var confirmationFrames: Int?
    /// All confirming frames arrive within this, 50...5000.
    package var confirmationWindowMilliseconds = 400

    package init() {}

    /// `baud`, or what the reader leaves the factory with: 115200 for the PN532 on HSU, 9600 for the others.
    package var effectiveBaud: Int {
      if let baud { return baud }
      return kind == .pn532HSU ? 115_200 : 9600
    }

    /// `confirmationFrames`, or 3 for the RDM6300, which repeats while a tag is present and sends phantom frames with
    /// a right checksum when none is; 1 for the others, which send a tag once.
    package var effectiveConfirmationFrames: Int {
      confirmationFrames ?? (kind == .rdm6300 ? 3 : 1)
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

    /// Rest before the first view, so that the skin reaches the temperature of the room, 0...3600.
    package var acclimatisationSeconds = 600
    /// In the order of capture; one to five, each once.
    package var views: [View] = [.frontal]
    /// From the tag or the last view to the button; then the session ends as abandoned, 10...3600.
    package var idleTimeoutSeconds = 300
    /// For the frames of one view, 5...600.
    package var captureTimeoutSeconds = 60
    /// Further attempts at a view that a gate refused, 0...5.
    package var retakesPerView = 2

    package init() {}
  }

  /// Limits of the quality gates. A gate that fails withholds the verdict, never the image.
  package struct Gates: Sendable, Equatable {
    package var ambientMinimumCelsius = 18.0
    package var ambientMaximumCelsius = 25.0
    /// Change of the sensor's own temperature that still counts as settled, per minute.
    package var ambientDriftMaximumCelsiusPerMinute = 0.2
    /// The sensor settles for this long after power-up, 0...1200.
    package var settlingSeconds = 240
    /// Share of the frame that the subject covers, 0...1.
    package var subjectMinimumShare = 0.35
    package var subjectMaximumShare = 0.92
    /// Largest change of a 4x4 block between sub-pages; noise alone reaches 1 at 16 Hz.
    package var motionMaximumCelsius = 1.5
    /// Pixels without a value of their own, of 768.
    package var deadPixelsMaximum = 10
    /// Per-pixel standard error of the thermogram.
    package var noiseMaximumCelsius = 0.2

    package init() {}
  }

  package struct Screening: Sendable, Equatable {
    /// A folder in `paths.modelsDirectory`. `nil`: images and record are made without a verdict.
    package var model: String?

    package init() {}
  }

  package struct Quality: Sendable, Equatable {
    /// A folder in `paths.modelsDirectory`, for the network that judges an image's quality.
    package var model: String?

    package init() {}
  }

  /// The sealed store of what waits for delivery.
  package struct Outbox: Sendable, Equatable {
    package enum OnFull: String, Sendable, CaseIterable {
      /// New captures are refused, with light, log and status.
      case refuse
      /// The oldest images go, their record and verdict stay, and a gap record says so.
      case dropOldestImage = "drop-oldest-image"
    }

    /// Key that seals the payloads, made on this device. Default `{state_directory}/keys/outbox.key`.
    package var keyFile: SecretReference = .file("/var/lib/thermograph/keys/outbox.key")
    /// A key that still opens what was sealed before `keyFile` took its place; the device seals that anew.
    package var olderKeyFile: SecretReference?
    /// 16 MiB ... 1 TiB.
    package var maximumBytes = 2_147_483_648
    /// Of the quota, what images may take, 1 MiB ... 1 TiB; `nil`: what there is.
    package var maximumImageBytes: Int?
    /// The same for events, gap records among them.
    package var maximumEventBytes: Int?
    /// Undelivered messages of one class, 100 ... 10,000,000.
    package var maximumMessages = 100_000
    /// Space that stays free on the file system whatever the quota says, 0 ... 1 TiB.
    package var freeSpaceFloorBytes = 268_435_456
    package var onFull = OnFull.refuse
    /// Delivered captures are kept this long, 0...3650.
    package var retentionDays = 30

    package init() {}
  }

  /// The way to the cloud. Validation refuses plain MQTT to another host unless `allowPlaintext`.
  package struct Broker: Sendable, Equatable {
    package enum ProtocolVersion: String, Sendable, CaseIterable {
      case mqtt5 = "5"
      case mqtt311 = "3.1.1"
    }

    package enum Confirmation: String, Sendable, CaseIterable {
      /// Local copies are freed after the receiver's receipt.
      case receipt
      /// Local copies are freed after the broker's PUBACK.
      case broker
    }

    /// How topics are called.
    package enum Topics: String, Sendable, CaseIterable {
      /// `tg/v1/{site}/{device}/...`, for every broker that lets its clients choose.
      case house
      /// `devices/{device}/messages/events/...`, which Azure IoT Hub prescribes.
      case azureIoTHub = "azure-iot-hub"
    }

    /// Name or address. `nil`: nothing is sent, captures stay in the outbox.
    package var host: String?
    /// 1...65535; `nil`: 8883 with TLS, else 1883, see `effectivePort`.
    package var port: Int?
    package var protocolVersion = ProtocolVersion.mqtt5
    package var confirm = Confirmation.receipt
    /// 5...1200.
    package var keepaliveSeconds = 60
    package var allowPlaintext = false
    /// PEM file of the authority that signed the broker's certificate; with it the connection is TLS.
    package var caFile: String?
    package var certificateFile: String?
    package var keyFile: SecretReference?
    /// ALPN name, e.g. `x-amzn-mqtt-ca` for AWS IoT Core on port 443.
    package var applicationProtocol: String?
    package var userName: String?
    /// One line, read anew for every connection.
    package var passwordFile: SecretReference?
    package var topics = Topics.house
    /// `HH:MM-HH:MM` in UTC: outside only alerts are sent. `nil`: always.
    package var syncWindow: String?
    /// What the line may carry a day, 1 MiB ... 1 TiB; `nil`: any number.
    package var bytesPerDay: Int?
    /// Messages in flight, 1...100; the broker's Receive Maximum may lower it.
    package var windowMessages = 8
    /// Larger payloads travel in parts of this size, 1 KiB ... 16 MiB; the broker's maximum packet may lower it.
    package var partSizeBytes = 98_304
    /// 1...1000.
    package var pacingMessagesPerSecond = 50
    /// Until the connection, TLS included, counts as failed, 1...120.
    package var connectTimeoutSeconds = 15
    /// Bounds of the wait between attempts.
    package var retryMinimumSeconds = 1
    package var retryMaximumSeconds = 120

    package init() {}

    package var usesTLS: Bool { caFile != nil }

    package var effectivePort: Int { port ?? (usesTLS ? 8883 : 1883) }
  }

  /// GPIO lines of the button, the light and the buzzer; a part without a line is not there.
  package struct Lines: Sendable, Equatable {
    /// Label of the chip, as `gpioinfo` prints it: the number of a chip changes between kernels. `nil` with a line
    /// named: every chip is searched for the name.
    package var chip: String?
    package var button: LineReference?
    package var led: LineReference?
    package var buzzer: LineReference?
    /// The button connects the line to ground.
    package var buttonActiveLow = true

    package init() {}
  }

  package struct Health: Sendable, Equatable {
    /// Between two health messages, 10...86400.
    package var intervalSeconds = 300
    /// Counters and gauges for node_exporter's textfile collector; `nil`: no file.
    package var prometheusFile: String?

    package init() {}
  }

  package struct Log: Sendable, Equatable {
    /// The names of swift-log's levels.
    package enum Level: String, Sendable, CaseIterable {
      case trace, debug, info, notice, warning, error, critical
    }

    package var level = Level.info

    package init() {}
  }

  /// What `--simulate` plays; without that option the table is checked and not used.
  package struct Simulation: Sendable, Equatable {
    /// 832 words, decimal or 0x-hex. `nil`: the recorded part, `{hardware_directory}/sensors/melexis-example/eeprom.txt`.
    package var eepromFile: String?
    package var seed = 1
    package var ambientCelsius = 22.0
    package var skinCelsius = 33.0
    /// Above the surrounding skin; 0 is no hot spot.
    package var hotSpotCelsius = 0.0
    /// Standard deviation of one pixel of one sub-page.
    package var noiseCelsius = 0.1
    /// Tags presented in all, 0...10000.
    package var captures = 1
    /// Before the first tag.
    package var tagDelayMilliseconds = 500
    /// Between two tags, the capture included.
    package var tagIntervalMilliseconds = 5000

    package init() {}
  }
}
