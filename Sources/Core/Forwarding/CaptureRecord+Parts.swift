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

    package init(
      camera: String, cameraSerial: String, lens: String, distanceCentimetres: Double, emissivity: Double,
      reflectedTemperatureCelsius: Double, refreshRateHz: Double, framesAveraged: Int,
      sensorTemperatureCelsius: Double, supplyVolts: Double, settling: Bool, interpolatedPixels: Int
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

    package init(firmware: String, configurationSHA256: String, modelSHA256: String) {
      self.firmware = firmware
      self.configurationSHA256 = configurationSHA256
      self.modelSHA256 = modelSHA256
    }

    private enum CodingKeys: String, CodingKey {
      case firmware
      case configurationSHA256 = "configuration_sha256"
      case modelSHA256 = "model_sha256"
    }
  }
}
