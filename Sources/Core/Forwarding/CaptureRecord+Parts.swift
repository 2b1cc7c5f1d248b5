import Provenance

extension CaptureRecord {
  /// A `Timestamp` as the record writes it: all that is known, and readable UTC beside it.
  package struct Instant: Sendable, Hashable, Codable {
    /// RFC 3339, milliseconds; a help for readers, `utcNanoseconds` is the value.
    package var utc: String
    package var utcNanoseconds: Int64
    package var bootID: String
    package var monotonicNanoseconds: UInt64
    package var synchronised: Bool

    package init(_ timestamp: Timestamp) {
      utc = timestamp.rfc3339
      utcNanoseconds = timestamp.utcNanoseconds
      bootID = timestamp.bootID
      monotonicNanoseconds = timestamp.monotonicNanoseconds
      synchronised = timestamp.synchronised
    }

    private enum CodingKeys: String, CodingKey {
      case utc
      case utcNanoseconds = "utc_nanoseconds"
      case bootID = "boot_id"
      case monotonicNanoseconds = "monotonic_nanoseconds"
      case synchronised
    }
  }

  /// Who tapped.
  package enum TagKind: String, Sendable, Hashable, Codable {
    case patient
    case operatorTag = "operator"
    case technician
  }

  /// How the thermogram was taken.
  package struct Acquisition: Sendable, Hashable, Codable {
    package var camera: String
    /// 12 lower-case hexadecimal digits, EEPROM words 0x2407...0x2409.
    package var cameraSerial: String
    package var lens: String
    package var distanceCentimetres: Double
    package var emissivity: Double
    package var reflectedTemperatureCelsius: Double
    /// Sub-pages a second.
    package var refreshRateHz: Double
    /// Whole frames, each of two sub-pages.
    package var framesAveraged: Int
    /// Ta of the sensor (datasheet 11.2.2.3).
    package var sensorTemperatureCelsius: Double
    package var supplyVolts: Double
    /// The sensor had not yet reached its steady temperature.
    package var settling: Bool
    /// Pixels whose value was interpolated from their neighbours.
    package var interpolatedPixels: Int
    /// Columns and rows of the master image; nil in version 1, where it is 32 by 24.
    package var geometry: Geometry?

    package struct Geometry: Sendable, Hashable, Codable {
      package var columns: Int
      package var rows: Int

      package init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
      }
    }

    package init(
      camera: String, cameraSerial: String, lens: String, distanceCentimetres: Double, emissivity: Double,
      reflectedTemperatureCelsius: Double, refreshRateHz: Double, framesAveraged: Int,
      sensorTemperatureCelsius: Double, supplyVolts: Double, settling: Bool, interpolatedPixels: Int,
      geometry: Geometry? = nil
    ) {
      self.camera = camera
      self.cameraSerial = cameraSerial
      self.lens = lens
      self.distanceCentimetres = distanceCentimetres
      self.emissivity = emissivity
      self.reflectedTemperatureCelsius = reflectedTemperatureCelsius
      self.refreshRateHz = refreshRateHz
      self.framesAveraged = framesAveraged
      self.sensorTemperatureCelsius = sensorTemperatureCelsius
      self.supplyVolts = supplyVolts
      self.settling = settling
      self.interpolatedPixels = interpolatedPixels
      self.geometry = geometry
    }

    private enum CodingKeys: String, CodingKey {
      case camera
      case cameraSerial = "camera_serial"
      case lens
      case distanceCentimetres = "distance_cm"
      case emissivity
      case reflectedTemperatureCelsius = "reflected_temperature_celsius"
      case refreshRateHz = "refresh_rate_hz"
      case framesAveraged = "frames_averaged"
      case sensorTemperatureCelsius = "sensor_temperature_celsius"
      case supplyVolts = "supply_volts"
      case settling
      case interpolatedPixels = "interpolated_pixels"
      case geometry
    }
  }

  /// One image of the capture; it travels in a message of its own.
  package struct ImageReference: Sendable, Hashable, Codable {
    package enum Kind: String, Sendable, Hashable, Codable {
      /// 16-bit grey, centikelvin: the measurement.
      case master
      /// False colour, for people.
      case view
      /// 8-bit grey: 255 where the pixel was interpolated, 0 where it was measured.
      case mask
      /// 16-bit grey, millikelvin: standard error of each pixel's mean.
      case standardError = "standard-error"
      /// 8-bit grey: where the model reacted, not where disease is.
      case occlusion
      /// 16-bit grey: the height of the spot that would explain each pixel's change against the patient's own earlier
      /// sessions. 32768 is none, a step is 0.0002 degC, 0 is not assessed.
      case change
    }

    /// The file's name, last level of its topic, e.g. `master.png`.
    package var name: String
    package var kind: Kind
    package var mediaType: String
    package var bytes: Int
    /// 64 lower-case hexadecimal digits.
    package var sha256: String
    /// What must be said wherever the image is shown; nil for the pictures that need no such word.
    package var label: String?

    package init(name: String, kind: Kind, mediaType: String, bytes: Int, sha256: String, label: String? = nil) {
      self.name = name
      self.kind = kind
      self.mediaType = mediaType
      self.bytes = bytes
      self.sha256 = sha256
      self.label = label
    }

    private enum CodingKeys: String, CodingKey {
      case name, kind
      case mediaType = "media_type"
      case bytes, sha256, label
    }
  }

  package struct Durations: Sendable, Hashable, Codable {
    /// From the first frame of the capture to the last one averaged.
    package var acquisitionMilliseconds: Double
    /// T_edge: from the last sub-page to the verdict.
    package var edgeMilliseconds: Double

    package init(acquisitionMilliseconds: Double, edgeMilliseconds: Double) {
      self.acquisitionMilliseconds = acquisitionMilliseconds
      self.edgeMilliseconds = edgeMilliseconds
    }

    private enum CodingKeys: String, CodingKey {
      case acquisitionMilliseconds = "acquisition_ms"
      case edgeMilliseconds = "edge_ms"
    }
  }

  package struct Versions: Sendable, Hashable, Codable {
    package var firmware: String
    /// SHA-256 of the effective configuration, 64 lower-case hexadecimal digits.
    package var configurationSHA256: String
    package var modelSHA256: String
    /// SHA-256 over network, manifest, thresholds, calibration and chain as one unit; nil in version 1.
    package var unitSHA256: String?

    package init(firmware: String, configurationSHA256: String, modelSHA256: String, unitSHA256: String? = nil) {
      self.unitSHA256 = unitSHA256
      self.firmware = firmware
      self.configurationSHA256 = configurationSHA256
      self.modelSHA256 = modelSHA256
    }

    private enum CodingKeys: String, CodingKey {
      case firmware
      case configurationSHA256 = "configuration_sha256"
      case modelSHA256 = "model_sha256"
      case unitSHA256 = "unit_sha256"
    }
  }

  /// What the board's supply did; only where something was amiss since the device started.
  package struct PowerState: Sendable, Hashable, Codable {
    /// While the capture was taken.
    package var underVoltage: Bool
    package var throttled: Bool
    /// How often each began since the device started.
    package var brownOuts: Int
    package var throttlings: Int

    package init(underVoltage: Bool, throttled: Bool, brownOuts: Int, throttlings: Int) {
      self.underVoltage = underVoltage
      self.throttled = throttled
      self.brownOuts = brownOuts
      self.throttlings = throttlings
    }

    private enum CodingKeys: String, CodingKey {
      case throttled, throttlings
      case underVoltage = "under_voltage"
      case brownOuts = "brown_outs"
    }
  }

  /// What the device thought of itself.
  package struct SentinelState: Sendable, Hashable, Codable {
    package enum State: String, Sendable, Hashable, Codable {
      case normal, uncertain
      /// The sensing is ill.
      case sensing
      /// Somebody attacks.
      case attack
    }

    package var state: State
    /// P_h and P_c, 0...1.
    package var healthProbability: Double
    package var cyberProbability: Double
    /// The margin that one must be above the other.
    package var delta: Double
    package var windowID: String

    package init(
      state: State, healthProbability: Double, cyberProbability: Double, delta: Double, windowID: String
    ) {
      self.state = state
      self.healthProbability = healthProbability
      self.cyberProbability = cyberProbability
      self.delta = delta
      self.windowID = windowID
    }

    private enum CodingKeys: String, CodingKey {
      case state
      case healthProbability = "p_health"
      case cyberProbability = "p_cyber"
      case delta
      case windowID = "window_id"
    }
  }

  /// Change against the patient's own earlier sessions: where, how much, against how many.
  package struct Change: Sendable, Hashable, Codable {
    package enum State: String, Sendable, Hashable, Codable {
      case notEnoughSessions = "not-enough-sessions"
      case withinVariation = "within-variation"
      case beyondVariation = "beyond-variation"
      case notComparable = "not-comparable"
    }

    /// A connected place, in columns and rows of the master image.
    package struct Place: Sendable, Hashable, Codable {
      package var column: Double
      package var row: Double
      package var pixels: Int
      package var celsius: Double

      package init(column: Double, row: Double, pixels: Int, celsius: Double) {
        self.column = column
        self.row = row
        self.pixels = pixels
        self.celsius = celsius
      }
    }

    package var state: State
    /// Earlier sessions it was compared with, 0 or more.
    package var sessions: Int
    /// Smallest change that this patient's own variation lets be seen, degC; nil without enough sessions.
    package var minimumDetectableCelsius: Double?
    /// Share of sessions without any change that would be called changed, 0...1.
    package var falseAlarmRate: Double?
    /// At most 8, the largest first.
    package var places: [Place]
    /// Why it is not comparable; nil otherwise.
    package var reason: String?

    package init(
      state: State, sessions: Int, minimumDetectableCelsius: Double? = nil, falseAlarmRate: Double? = nil,
      places: [Place] = [], reason: String? = nil
    ) {
      self.reason = reason
      self.state = state
      self.sessions = sessions
      self.minimumDetectableCelsius = minimumDetectableCelsius
      self.falseAlarmRate = falseAlarmRate
      self.places = places
    }

    private enum CodingKeys: String, CodingKey {
      case state, sessions
      case minimumDetectableCelsius = "minimum_detectable_celsius"
      case falseAlarmRate = "false_alarm_rate"
      case places, reason
    }
  }
}
