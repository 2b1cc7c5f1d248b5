import Forwarding
import Provenance
import Storage

/// What the running service can say of the parts that it holds.
struct ServiceDoctor: Sendable {
  /// The parts that only the service can answer for while it runs.
  static let heldParts: Set<DoctorPart> = [.bus, .camera, .eeprom, .frame, .reader, .tag, .lines, .tls, .receipt]

  private static let receiptMilliseconds = 10_000

  let reporter: DeviceReporter
  let delivery: DeliveryService?

  func findings(_ parts: [DoctorPart]) async -> [DoctorFinding] {
    var report = await reporter.report()
    // Just started: a sub-page may take a second at the slowest rate.
    for _ in 0..<50 where report.camera.health == .starting {
      try? await Task.sleep(for: .milliseconds(100))
      report = await reporter.report()
    }
    var findings: [DoctorFinding] = []
    for part in parts { findings.append(await finding(part, report)) }
    return findings
  }

  private func finding(_ part: DoctorPart, _ report: DeviceReport) async -> DoctorFinding {
    let camera = report.camera
    switch part {
    case .bus, .camera, .eeprom, .frame:
      guard camera.health != .lost else {
        return .fail(
          part, "the service has lost the camera: \(camera.reason ?? "")", mend: "check the plug and the wiring")
      }
      guard camera.health == .good else { return .skip(part, "the service is still starting the camera") }
      return cameraFinding(part, camera)
    case .reader:
      let reader = report.reader
      let place = "\(reader.kind) at \(reader.baud) baud on \(reader.device)"
      return reader.health == .good
        ? .pass(part, "\(place); the service has it open")
        : .fail(
          part, "\(place): \(reader.reason ?? "not open yet")", mend: "check the plug, reader.device and the group")
    case .tag:
      return report.reader.presentations > 0
        ? .pass(part, "\(report.reader.presentations) tags were accepted since the start")
        : .skip(part, "no tag since the service started; hold one to the reader")
    case .lines: return .skip(part, "the service holds the lines")
    case .tls:
      guard let delivery else { return .skip(part, "no broker is configured") }
      return await delivery.protectionFinding()
    case .receipt:
      guard let delivery else { return .skip(part, "no broker is configured") }
      var generator = SystemRandomNumberGenerator()
      let probe = ProbeMessage(id: RandomIdentifier(using: &generator), at: reporter.parts.time.now())
      return await delivery.roundTrip(
        probe, digests: OpenSSLDigests(), timeoutMilliseconds: Self.receiptMilliseconds)
    default: return .skip(part, "not the service's to say")
    }
  }

  private func cameraFinding(_ part: DoctorPart, _ camera: DeviceReport.Camera) -> DoctorFinding {
    switch part {
    case .bus: return .pass(part, "\(camera.bus): \(camera.subPages) sub-pages since the start")
    case .camera: return .pass(part, "MLX90640 \(camera.serial), held by the service")
    case .eeprom:
      return camera.calibration == "backup"
        ? .warn(
          part, "the sensor's EEPROM is damaged; its backup is in use", mend: "have the sensor examined or replaced")
        : .pass(part, "calibration \(camera.calibration); \(camera.defectivePixels) pixels interpolated")
    default:
      let supply = camera.supplyVolts ?? 0
      let what =
        "\(camera.subPagesPerSecond) sub-pages/s, sensor \(tenths(camera.ambientCelsius ?? 0)) degC, supply "
        + "\(tenths(supply)) V\(camera.isSettling ? ", warming up" : "")"
      return (3.0...3.6).contains(supply)
        ? .pass(part, what) : .warn(part, what, mend: "the sensor needs 3.0 to 3.6 V; check the supply and the cable")
    }
  }
}

/// Rounded to one decimal.
func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
