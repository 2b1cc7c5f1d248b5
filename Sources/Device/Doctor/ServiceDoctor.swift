import Configuration
import Forwarding
import Provenance
import Storage
import Thermography

/// What the running service can say of the parts that it holds.
struct ServiceDoctor: Sendable {
  /// The parts that only the service can answer for while it runs.
  static let heldParts: Set<DoctorPart> = [
    .bus, .camera, .eeprom, .frame, .reader, .tag, .lines, .tls, .receipt, .supply, .sentinel,
  ]

  /// Unless the question says another.
  static let receiptMilliseconds = 10_000

  let reporter: DeviceReporter
  let camera: Mailbox<CameraRequest>
  let delivery: DeliveryService?
  let receiptMilliseconds: Int

  /// How long a picture may take; the slowest needs 8 s.
  private static let pictureTimeout = Duration.seconds(12)

  func findings(_ parts: [DoctorPart]) async -> [DoctorFinding] {
    var report = await reporter.report()
    // Just started: a sub-page may take a second at the slowest rate.
    for _ in 0..<50 where report.camera.health == .starting {
      try? await Task.sleep(for: .milliseconds(100))
      report = await reporter.report()
    }
    // And a first handshake, where the line is asked about.
    if parts.contains(.tls) || parts.contains(.receipt) {
      for _ in 0..<50 where await delivery?.isStillConnecting == true {
        try? await Task.sleep(for: .milliseconds(100))
      }
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
        // The service holds the bus open; whether anybody answers on it is the camera's part.
        guard part != .bus else { return .pass(part, "\(camera.bus) is open in the service") }
        return .fail(
          part, "the service has lost the camera: \(camera.reason ?? "")",
          remedy: "check plug, wiring and supply; the service takes it up again by itself")
      }
      guard camera.health == .good else { return .skip(part, "the service is still starting the camera") }
      return part == .frame ? await frameFinding() : cameraFinding(part, camera)
    case .reader:
      let reader = report.reader
      let place = "\(reader.kind) at \(reader.baud) baud on \(reader.device)"
      return reader.health == .good
        ? .pass(part, "\(place); the service has it open")
        : .fail(
          part, "\(place): \(reader.reason ?? "not open yet")",
          remedy: "check the plug, reader.device and the group dialout")
    case .tag:
      return report.reader.presentations > 0
        ? .pass(part, "tags accepted since the start: \(report.reader.presentations)")
        : .skip(part, "no tag since the service started; hold one to the reader")
    case .lines: return Doctor.linesFinding(problems: report.panelProblems)
    case .tls:
      guard let delivery else { return .skip(part, "no broker is configured") }
      return await delivery.protectionFinding()
    case .receipt:
      guard let delivery else { return .skip(part, "no broker is configured") }
      var generator = SystemRandomNumberGenerator()
      let probe = ProbeMessage(id: RandomIdentifier(using: &generator), at: reporter.parts.common.time.now())
      return await delivery.roundTrip(
        probe, digests: OpenSSLDigests(), timeoutMilliseconds: receiptMilliseconds)
    case .supply: return SentinelReport.supplyFinding(report.sentinel?.power)
    case .sentinel: return (report.sentinel ?? SentinelReport(stepSeconds: 10)).finding
    default: return .skip(part, "the service does not look at this part")
    }
  }

  private func cameraFinding(_ part: DoctorPart, _ camera: DeviceReport.Camera) -> DoctorFinding {
    switch part {
    case .bus: return .pass(part, "\(camera.bus) carried \(camera.subPages) sub-pages since the start")
    case .camera: return .pass(part, "MLX90640 \(camera.serial), held by the service")
    default:
      let pixels = "\(camera.defectivePixels) \(camera.defectivePixels == 1 ? "pixel" : "pixels") interpolated"
      return switch camera.calibration {
      case "backup":
        .warn(
          part, "the sensor's EEPROM is damaged; its backup is in use; \(pixels)",
          remedy: "have the sensor examined or replaced")
      case "first seen": .pass(part, "plausible, backed up at this start; \(pixels)")
      default: .pass(part, "same as its backup; \(pixels)")
      }
    }
  }

  /// A picture by the camera's own thread, between captures.
  private func frameFinding() async -> DoctorFinding {
    let settings = reporter.live.settings
    let request = DoctorBench.examination(settings)
    let (answers, continuation) = AsyncStream.makeStream(
      of: Thermogram?.self, bufferingPolicy: .bufferingOldest(1))
    let asked = camera.put(
      .examine(
        request,
        answer: {
          continuation.yield($0)
          continuation.finish()
        }))
    guard asked else {
      return .fail(.frame, "the camera's thread does not answer", remedy: "systemctl restart thermograph")
    }
    let alarm = Task {
      try? await Task.sleep(for: Self.pictureTimeout)
      continuation.finish()
    }
    defer { alarm.cancel() }
    for await answer in answers {
      guard let answer else { return .skip(.frame, "a capture is under way, or the camera was lost; ask again") }
      return DoctorBench.judge(answer, noiseMaximum: settings.gates.noiseMaximumCelsius)
    }
    return .fail(.frame, "no whole picture came in time", remedy: "check cable length, supply and bus speed")
  }
}

/// Rounded to one decimal.
func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
