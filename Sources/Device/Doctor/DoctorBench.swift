import Configuration
import DeviceSimulation
import Identification
import LinuxIO
import LocalFiles
import Storage
import Thermography
import Threads

/// What doctor has opened while it looks at parts that belong together: the camera is found once, not four times.
final class DoctorBench {
  let doctor: Doctor
  private var simulation: Simulation?
  private var camera: Result<ThermalCamera, DeviceStartError>?

  init(doctor: Doctor) {
    self.doctor = doctor
  }

  private var settings: Settings { doctor.settings }

  func close() async {
    await simulation?.unplug()
  }

  func finding(_ part: DoctorPart) async -> DoctorFinding {
    switch part {
    case .configuration: doctor.configurationFinding()
    case .devices: doctor.options.simulate ? .skip(part, "simulated") : doctor.devicesFinding()
    case .keys: doctor.keysFinding()
    case .bus: doctor.options.simulate ? .skip(part, "simulated") : doctor.busFinding()
    case .camera: cameraFinding()
    case .eeprom: eepromFinding()
    case .frame: frameFinding()
    case .reader: await readerFinding()
    case .tag: await tagFinding()
    case .lines: doctor.options.simulate ? .skip(part, "simulated") : doctor.linesFinding()
    case .model: doctor.modelFinding()
    case .outbox: doctor.outboxFinding()
    case .baselines: await doctor.baselinesFinding()
    case .audit: doctor.auditFinding()
    case .space: doctor.spaceFinding()
    case .clock: doctor.clockFinding()
    case .name: doctor.nameFinding()
    case .tls: await doctor.tlsFinding()
    case .receipt: await doctor.receiptFinding()
    case .supply:
      doctor.options.simulate ? .skip(part, "simulated") : Self.supplyFinding(BoardGauges())
    case .sentinel: .skip(part, "the service does not run, so that nothing is counted")
    }
  }

  // MARK: - Camera

  private func openedCamera() -> Result<ThermalCamera, DeviceStartError> {
    if let camera { return camera }
    let result: Result<ThermalCamera, DeviceStartError>
    do {
      let bus: any I2CBus = try doctor.options.simulate ? openedSimulation().bus() : doctor.device.openBus()
      let archive = try ReadOnlySensorArchive(path: settings.paths.stateDirectory + "/" + StateFiles.sensors)
      result = .success(try doctor.device.startCamera(on: bus, archive: archive))
    } catch {
      result = .failure(DeviceStartError("\(error)"))
    }
    camera = result
    return result
  }

  private func cameraFinding() -> DoctorFinding {
    switch openedCamera() {
    case .success(let camera):
      let address = "0x" + String(settings.camera.sensor.address, radix: 16)
      return .pass(.camera, "MLX90640 \(camera.eeprom?.serialNumber ?? "") at \(address) on \(settings.camera.bus)")
    case .failure(let error):
      return .fail(
        .camera, error.description, remedy: "check plug, wiring and camera.address: \(doctor.busScan)")
    }
  }

  private func eepromFinding() -> DoctorFinding {
    guard case .success(let camera) = openedCamera() else { return .skip(.eeprom, "no camera") }
    let defects = camera.defects.all.count
    let pixels = "\(defects) defective \(defects == 1 ? "pixel" : "pixels")"
    switch camera.calibrationSource {
    case .backup(_, let differing):
      return .warn(
        .eeprom, "differs from its backup in \(differing) words, the backup is used; \(pixels)",
        remedy: "have the sensor examined or replaced")
    case .liveFirstSeen:
      return camera.defects.isDegraded
        ? .warn(
          .eeprom, "plausible, \(pixels), no backup yet",
          remedy: "mask.png of each capture says which pixels were not measured")
        : .pass(.eeprom, "plausible, \(pixels); the service keeps a backup at its first start")
    default:
      return camera.defects.isDegraded
        ? .warn(
          .eeprom, "same as its backup, \(pixels)",
          remedy: "mask.png of each capture says which pixels were not measured")
        : .pass(.eeprom, "same as its backup, \(pixels)")
    }
  }

  private func frameFinding() -> DoctorFinding {
    guard case .success(var camera) = openedCamera() else { return .skip(.frame, "no camera") }
    defer { self.camera = .success(camera) }
    let thermogram: Thermogram?
    do throws(SensorError) {
      thermogram = try camera.capture(Self.examination(settings))
    } catch {
      return .fail(.frame, "\(error)", remedy: "check cable length, supply and bus speed")
    }
    guard let thermogram else { return .fail(.frame, "no whole picture came", remedy: "check supply and bus speed") }
    return Self.judge(thermogram, noiseMaximum: settings.gates.noiseMaximumCelsius)
  }

  /// One picture, whatever moves in it. At the slow rates of fewer frames, so that nobody waits for more than some 8 s.
  static func examination(_ settings: Settings) -> CaptureRequest {
    CaptureRequest(
      frames: settings.camera.sensor.refreshRate.subPagesPerSecond >= 4 ? 8 : 2, emissivity: settings.camera.emissivity,
      motionLimitCelsius: 100, maximumRestarts: 0)
  }

  static func judge(_ thermogram: Thermogram, noiseMaximum: Double) -> DoctorFinding {
    let measured = thermogram.states.indices.filter { thermogram.states[$0] == .measured }
    let celsius = measured.map { Double(thermogram.celsius[$0]) }
    let noise =
      measured.reduce(0.0) { $0 + Double(thermogram.standardErrorCelsius[$1]) } / Double(max(1, measured.count))
    let range = "\(tenths(celsius.min() ?? 0)) to \(tenths(celsius.max() ?? 0)) degC"
    let what =
      "\(range), standard error \((noise * 1000).rounded() / 1000) degC over \(thermogram.framesAveraged) frames, "
      + "sensor \(tenths(thermogram.ambientCelsius)) degC, supply \((thermogram.supplyVolts * 100).rounded() / 100) V"
    let pixels = thermogram.geometry.pixelCount
    if measured.count < pixels / 2 {
      return .fail(
        .frame, "only \(measured.count) of \(pixels) pixels are measured; \(what)", remedy: "replace the sensor")
    }
    if !(3.0...3.6).contains(thermogram.supplyVolts) {
      return .warn(.frame, what, remedy: "the sensor needs 3.0 to 3.6 V; check the supply and the cable")
    }
    if noise > noiseMaximum {
      return .warn(
        .frame, what, remedy: "more than gates.noise_maximum_celsius \(noiseMaximum): lower camera.refresh_rate_hz")
    }
    return .pass(.frame, what)
  }

  // MARK: - Reader

  private func openedSimulation() throws -> Simulation {
    if let simulation { return simulation }
    let made = try Simulation(
      settings: settings, readerPath: settings.paths.runtimeDirectory + "/doctor-reader", logger: doctor.logger)
    simulation = made
    return made
  }

  private func readerProbe() async throws -> (probe: ReaderProbe, kind: ReaderKind) {
    let path = try doctor.options.simulate ? await openedSimulation().plugInReader() : settings.reader.device
    let kind: ReaderKind =
      doctor.options.simulate ? .rdm6300 : settings.reader.kind
    return (ReaderProbe(path: path, listenMilliseconds: doctor.options.listenMilliseconds), kind)
  }

  private func readerFinding() async -> DoctorFinding {
    do {
      let (probe, kind) = try await readerProbe()
      let place = "\(kind.rawValue) at \(settings.reader.effectiveBaud) baud on \(probe.path)"
      guard kind == .pn532HSU else {
        _ = try SerialPort(path: probe.path, baud: settings.reader.effectiveBaud)
        return .pass(.reader, "\(place): the port opens; this kind speaks only when a tag comes")
      }
      guard try probe.hears(kind, baud: settings.reader.effectiveBaud) else {
        return .fail(
          .reader, "\(place): no answer", remedy: "check TX and RX, the supply and the reader's HSU switches")
      }
      return .pass(.reader, "\(place): the chip answers")
    } catch {
      return .fail(.reader, "\(error)", remedy: "check reader.device, the plug and the group dialout")
    }
  }

  private func tagFinding() async -> DoctorFinding {
    guard doctor.options.asksForTag else { return .skip(.tag, "not asked for (--no-tag)") }
    do {
      let (probe, kind) = try await readerProbe()
      let baud = settings.reader.effectiveBaud
      doctor.prompt("hold a tag to the reader and take it away again, over and over")
      let taps = simulation.map { simulation in Task { await simulation.tapAgainAndAgain() } }
      defer { taps?.cancel() }
      if try await Self.onThread({ try probe.hears(kind, baud: baud) }) {
        return .pass(.tag, "a tag was read: \(kind.rawValue) at \(baud) baud")
      }
      doctor.prompt("nothing at \(baud) baud; trying every protocol and speed, keep holding the tag to the reader")
      guard let found = try await Self.onThread({ try probe.run() }) else {
        return .warn(
          .tag, "nothing was understood at any speed",
          remedy:
            "was a tag held to the reader? are TX and RX crossed over? is the login console switched off on that port?")
      }
      return .fail(
        .tag, "the reader speaks \(found.kind.rawValue) at \(found.baud) baud, not \(kind.rawValue) at \(baud)",
        remedy: "[reader] kind = \"\(found.kind.rawValue)\", baud = \(found.baud)")
    } catch {
      return .fail(.tag, "\(error)", remedy: "see the part reader")
    }
  }

  /// Listening blocks for seconds, which a thread of the concurrency pool must not.
  private static func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      do throws(SystemCallError) {
        _ = try NamedThread("doctor") { continuation.resume(with: Result { try body() }) }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }
}

/// The service's backups of sensors, read and never written: doctor may run as root, and the service must own its files.
private struct ReadOnlySensorArchive: SensorArchive {
  private let folder: SensorFolder?

  init(path: String) throws(FileError) {
    folder = try BoundedFile.exists(path) ? SensorFolder(path: path) : nil
  }

  func eeprom(serialNumber: String) throws(SensorArchiveError) -> EEPROMImage? {
    try folder?.eeprom(serialNumber: serialNumber)
  }
  func allEEPROMs() throws(SensorArchiveError) -> [EEPROMImage] { try folder?.allEEPROMs() ?? [] }
  func keep(_ eeprom: EEPROMImage) throws(SensorArchiveError) {}
  func flatField(serialNumber: String) throws(SensorArchiveError) -> FlatField? {
    try folder?.flatField(serialNumber: serialNumber)
  }
}
