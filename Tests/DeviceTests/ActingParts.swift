import CloudLink
import Configuration
import ConfigurationFiles
import DeviceSimulation
import Foundation
import LinuxIO
import Logging
import Panel
import Provenance
import Screening
import Storage
import Synchronization
import Thermography

@testable import Device

/// What acts by the settings, put together as the running device does it, and every value in it by its place:
/// `policy.limits.offCentreMaximumColumns` -> `3.5`.
struct ActingParts {
  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  private(set) var values: [String: String] = [:]

  /// - Parameter keyFile: a key to seal with, wherever the settings say that it is.
  init(_ settings: Settings, keyFile: String) throws {
    let log = Log()
    let runtime = DeviceRuntime(
      live: LiveSettings(settings, folder: ConfigurationFolder(mainFile: "/nonexistent"), logger: log.logger),
      configurationText: "", credentialsDirectory: "/run/credentials", notifier: nil, logger: log.logger)
    let policy = SessionService.Policy(settings, logger: log.logger)
    add("policy", policy)
    let gates = Self.gates(by: policy.limits)
    for gate in gates { add("gate.\(gate.code.rawValue)", gate.limit) }
    add("severities", gates.map { "\($0.code): \($0.severity)" }.joined(separator: ", "))
    add("reader", TagReader.Settings(settings.reader, path: settings.reader.device))
    add("acquisition", CameraLoop.Acquisition(settings))
    let camera = ThermalCamera(settings.camera, bus: NoBus())
    add("camera.sensor", camera.sensor.settings)
    add("camera.settlingSeconds", Mirror(reflecting: camera).descendant("settlingSeconds") as Any)
    add("constants", CaptureRecorder.Constants(settings, configurationSHA256: ""))
    add("wiring", GPIOPins.Wiring(settings.pins))
    add("button", ButtonDebouncer(settings.pins.buttonTiming))
    for signal in PanelSignal.allCases { add("panel.\(signal.rawValue)", settings.panel[signal]?.text as Any) }
    var sealed = settings
    (sealed.outbox.keyFile, sealed.outbox.olderKeyFile) = (.file(keyFile), nil)
    let outbox = try OutboxConfiguration(sealed, secrets: runtime.secrets)
    add("outbox.path", outbox.path)
    add("outbox.retentionSeconds", outbox.retentionSeconds)
    add("outbox.quota", outbox.quota)
    let baselines = try BaselineConfiguration(sealed, secrets: runtime.secrets)
    add("change.enabled", baselines != nil)
    add("change.patientsMaximum", baselines?.patientsMaximum ?? settings.change.patientsMaximum)
    add("delivery", settings.broker.delivery)
    add("commands.keysPath", runtime.commandKeysPath ?? "none")
    add("configurations.keysPath", runtime.configurationKeysPath ?? "none")
    let receipts = runtime.receiptRules()
    add("receipts.rules", receipts.rules)
    add("receipts.trouble", receipts.trouble as Any)
    add("link", try runtime.linkSettings(host: settings.broker.host ?? "none"))
    add("log", Logger.Level(settings.log.level))
    add("scene", Mirror(reflecting: Simulation.scene(settings.simulation)).descendant("shape") as Any)
    add("sensorFaults", Simulation.faults(settings.simulation, from: 0))
    add("models", Self.complaint { _ = try runtime.loadScreeningNetwork(digests: OpenSSLDigests()) })
    add(
      "assessor",
      Self.complaint { _ = try runtime.loadAssessor(network: nil, limits: policy.limits, digests: OpenSSLDigests()) })
    add("language", log.lines)
    var simulated = settings
    simulated.paths.hardwareDirectory = ActingParts.repository + "/Hardware"
    do {
      let bus = Mirror(reflecting: try Simulation.bus(simulated))
      for name in ["noiseCelsiusAtOneHertz", "busHertz"] { add("simulated.\(name)", bus.descendant(name) as Any) }
    } catch {
      add("simulated.error", "\(error)")
    }
    // Whatever else a part reads: there is no second place that it could be lost on the way to.
    add("settings", settings)
  }

  /// The places that differ.
  func differing(from other: ActingParts) -> Set<String> {
    Set(values.keys).union(other.values.keys).filter { values[$0] != other.values[$0] }
  }

  /// Every gate of a picture in which all can be measured: in a good room by the sensor's own noise, and in a cold one
  /// by what the picture shows of it.
  private static func gates(by limits: GateLimits) -> [QualityGate] {
    var known = AcquisitionConditions()
    known.ambientCelsius = 22
    known.ambientDriftCelsiusPerMinute = 0
    known.settling = false
    known.motionCelsius = 0
    known.deadPixels = 0
    known.noiseCelsius = 0
    known.clockSynchronised = true
    known.acclimatisationMissingSeconds = 0
    var cold = known
    cold.ambientCelsius = -1
    cold.noiseCelsius = nil
    let subject = SubjectMeasurements(
      geometry: .mlx90640, celsius: TorsoScene().celsius(atMicroseconds: 0).map { Float($0) })
    return [known, cold].flatMap { QualityGate.evaluate(subject: subject, conditions: $0, limits: limits) }
  }

  private static func complaint(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "none"
    } catch {
      return "\(error)"
    }
  }

  private mutating func add(_ place: String, _ value: Any, depth: Int = 0) {
    let mirror = Mirror(reflecting: value)
    guard depth < 8, !mirror.children.isEmpty else {
      // Of two values at one place, as of a gate that is evaluated twice, both count.
      values[place] = (values[place].map { $0 + " | " } ?? "") + "\(value)"
      return
    }
    if mirror.displayStyle == .dictionary || mirror.displayStyle == .set {
      values[place] = mirror.children.map { "\($0.value)" }.sorted().joined(separator: ", ")
    } else if mirror.displayStyle == .optional, let child = mirror.children.first {
      add(place, child.value, depth: depth + 1)
    } else {
      for (index, child) in mirror.children.enumerated() {
        add("\(place).\(child.label ?? "\(index)")", child.value, depth: depth + 1)
      }
    }
  }
}

/// Nothing answers on it.
private struct NoBus: I2CBus {
  mutating func transaction(
    address: UInt8, write: UnsafeRawBufferPointer, read: UnsafeMutableRawBufferPointer
  ) throws(I2CError) {
    throw I2CError(kind: .unavailable, device: "none")
  }

  mutating func reopen() throws(I2CError) {}
}

/// What was logged.
private final class Log: Sendable {
  private let content = Mutex<[String]>([])

  var lines: String { content.withLock { $0.joined(separator: "\n") } }
  var logger: Logger {
    Logger(label: "test") { _ in Handler(add: { line in self.content.withLock { $0.append(line) } }) }
  }

  private struct Handler: LogHandler {
    let add: @Sendable (String) -> Void
    var logLevel = Logger.Level.trace
    var metadata = Logger.Metadata()

    init(add: @escaping @Sendable (String) -> Void) { self.add = add }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { add("\(event.message) \(event.metadata ?? [:])") }
  }
}
