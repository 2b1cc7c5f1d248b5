import Forwarding
import Identification
import Panel
import Screening
import Thermography

/// The configuration of one device, checked: every value is inside the range that `SettingKey.all` states.
///
/// Where a module has a type for its own rules and limits, that type stands here, with its defaults: what a file sets is
/// what acts. The other values are defined here, with the defaults of a key that no file sets. `Settings()` is not a
/// valid device (it has no identity): obtain one by reading files, or fill `device` in a test.
package struct Settings: Sendable, Equatable {
  /// Version of the file format that this build reads.
  package static let schemaVersion = 1

  package var device = Device()
  package var paths = Paths()
  package var camera = Camera()
  package var reader = Reader()
  package var patients = Patients()
  package var session = SessionRules()
  /// Of what patients are told: `en`, or a file of `paths.languagesDirectory`.
  package var language = "en"
  package var gates = GateLimits()
  package var screening = Screening()
  package var quality = Quality()
  package var change = Change()
  package var outbox = Outbox()
  package var broker = Broker()
  package var receipts = Receipts()
  package var pictures = Pictures()
  package var remote = Remote()
  package var imports = Import()
  package var pins = Pins()
  package var panel = PanelTable.standard
  /// At most 64; the first that applies decides.
  package var alerts = AlertRule.standard
  package var health = Health()
  package var sentinel = Sentinel()
  package var log = Log()
  package var simulation = Simulation()

  package init() {}

  /// What is captured is sent as soon as the link is up, so with a broker nothing is captured without consent to that.
  package var sessionRules: SessionRules {
    var rules = session
    rules.requiredConsent = broker.host == nil ? [.capture] : [.capture, .upload]
    return rules
  }

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
    package var languagesDirectory = "/usr/share/thermograph/languages"
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
    /// Address 0x08...0x77, refresh rate 1...32 Hz.
    package var sensor = MLX90640.Settings()
    /// SCL as the board is set up, 100...1000; the driver does not change the bus. Bounds the refresh rate.
    package var busSpeedKHz = 400
    /// Of the observed surface, 0.5...1.0. Human skin is 0.98.
    package var emissivity = 0.98
    /// Temperature that the surface reflects, -40...85. `nil`: sensor temperature minus 8, the datasheet's rule.
    package var reflectedTemperatureCelsius: Double?
    /// Whole frames averaged into one thermogram, 1...128.
    package var framesAveraged = 16
    /// The sensor settles for this long after power-up, 0...1200.
    package var settlingSeconds = ThermalCamera.settlingSecondsByDefault
    package var lens = Lens.narrow
    /// Lens to skin as the place is set up, 20...200; it goes into the record.
    package var distanceCentimetres = 50.0

    package init() {}
  }

  package struct Screening: Sendable, Equatable {
    /// A folder in `paths.modelsDirectory`. `nil`: images and record are made without a verdict.
    package var model: String?
    /// A picture for the doctor with each verdict: where the model reacted, not where disease is.
    package var occlusionMap = false

    package init() {}
  }

  package struct Quality: Sendable, Equatable {
    /// A folder in `paths.modelsDirectory`, for the network that judges an image's quality.
    package var model: String?

    package init() {}
  }

  /// The comparison of each capture with the patient's own earlier sessions.
  package struct Change: Sendable, Equatable {
    package var isEnabled = true
    /// Patients of whom earlier sessions are kept, 1...3000; of each some 100 kB.
    package var patientsMaximum = 2000

    package init() {}
  }

  /// The sealed store of what waits for delivery.
  package struct Outbox: Sendable, Equatable {
    /// Key that seals the payloads, made on this device. Default `{state_directory}/keys/outbox.key`.
    package var keyFile: SecretReference = .file("/var/lib/thermograph/keys/outbox.key")
    /// A key that still opens what was sealed before `keyFile` took its place; the device seals that anew.
    package var olderKeyFile: SecretReference?
    /// 16 MiB ... 1 TiB in all, 1 MiB ... 1 TiB of a class.
    package var quota = OutboxQuota()
    /// Delivered captures are kept this long, 0...3650.
    package var retentionDays = 30

    package init() {}
  }

  /// The way to the cloud. Validation refuses plain MQTT to another host unless `allowPlaintext`.
  package struct Broker: Sendable, Equatable {
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
    /// What frees local copies, how fast, in what parts and when it is sent.
    package var delivery = DeliveryConfiguration()
    /// Until the connection, TLS included, counts as failed, 1...120.
    package var connectTimeoutSeconds = 15

    package init() {}

    package var usesTLS: Bool { caFile != nil }

    package var effectivePort: Int { port ?? (usesTLS ? 8883 : 1883) }
  }

  /// What of a capture goes over the line.
  package struct Pictures: Sendable, Equatable {
    /// The false-colour view too. Without it the record promises its SHA-256, and the receiver draws it from the master.
    package var sendView = true

    package init() {}
  }

  package struct Health: Sendable, Equatable {
    /// Between two health messages, 10...86400.
    package var intervalSeconds = 300
    /// Counters and gauges for node_exporter's textfile collector; `nil`: no file.
    package var prometheusFile: String?

    package init() {}
  }

  /// What watches over the device's own counters.
  package struct Sentinel: Sendable, Equatable {
    /// A folder in `paths.modelsDirectory`. `nil`: the counters are kept, and nobody judges them.
    package var model: String?
    /// By so much one of the two probabilities must be above the other, 0...0.5; `nil`: what the model says.
    package var delta: Double?
    /// Whether an attack makes the device take no remote action until it is released.
    package var locksDown = false

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
    /// Of the sentinel, 50...10000.
    package var sentinelStepMilliseconds = 10_000
    /// What befalls the simulated camera.
    package enum SensorFault: String, Sendable, CaseIterable {
      case none
      /// Its picture no longer changes.
      case stuck
      /// Three times the noise.
      case noisy
      /// Its own temperature rises by half a degree in sixty steps of the sentinel: ten minutes of the field.
      case drifting
      /// Nothing answers on the bus.
      case unplugged
    }
    package var sensorFault = SensorFault.none
    /// From the start of the simulated camera on, 0...86400.
    package var sensorFaultAfterSeconds = 0
    /// Stands before `/sys` and `/proc` where the sentinel reads. `nil`: the machine's own.
    package var systemDirectory: String?

    package init() {}
  }
}
