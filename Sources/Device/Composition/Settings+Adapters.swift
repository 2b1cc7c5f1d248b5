import CloudLink
import Configuration
import LinuxIO
import Logging
import Thermography

// The settings hold the types of Core that act. Adapters are beyond their reach; here their values become theirs.

extension TopicTemplate {
  /// The template of the configuration; nil for the house's own topics.
  init?(_ topics: Settings.Broker.Topics) {
    switch topics {
    case .house: return nil
    case .azureIoTHub: self = .azureIoTHub
    }
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

extension GPIOPinAddress {
  /// The contact of the case; nil where there is none.
  init?(caseContactOf lines: Settings.Pins) {
    switch lines.caseContact {
    case nil: return nil
    case .name(let name):
      self.init(chip: lines.chip, line: .named(name), isActiveLow: lines.caseContactActiveLow)
    case .offset(let offset):
      self.init(chip: lines.chip, line: .offset(UInt32(offset)), isActiveLow: lines.caseContactActiveLow)
    }
  }
}

extension TagReader.Settings {
  /// - Parameter path: of the serial device.
  package init(_ reader: Settings.Reader, path: String) {
    self.init(
      path: path, kind: reader.kind, baud: reader.baud, policy: reader.policy, linePattern: reader.linePattern,
      pn532: reader.pn532)
  }
}

extension CameraLoop.Acquisition {
  init(_ settings: Settings) {
    self.init(
      emissivity: settings.camera.emissivity, reflectedCelsius: settings.camera.reflectedTemperatureCelsius,
      motionLimitCelsius: settings.gates.motionMaximumCelsius, settlingSeconds: settings.camera.settlingSeconds)
  }
}

extension ThermalCamera {
  init(_ camera: Settings.Camera, bus: any I2CBus) {
    self.init(
      bus: bus, clock: SystemSensorClock(), settings: camera.sensor, settlingSeconds: Double(camera.settlingSeconds))
  }
}

extension Logger.Level {
  package init(_ level: Settings.Log.Level) {
    switch level {
    case .trace: self = .trace
    case .debug: self = .debug
    case .info: self = .info
    case .notice: self = .notice
    case .warning: self = .warning
    case .error: self = .error
    case .critical: self = .critical
    }
  }
}

extension SecretReference {
  /// Credentials are files of systemd's with other owner and mode.
  package var isFile: Bool {
    if case .file = self { true } else { false }
  }
}
