import Logging
import Provenance
import Thermography

/// Keeps the camera running on a thread of its own: sub-page after sub-page, captures when asked for.
struct CameraLoop: Sendable {
  /// What every capture is taken with.
  struct Acquisition: Sendable {
    var emissivity: Double
    var reflectedCelsius: Double?
    var motionLimitCelsius: Double
  }

  let acquisition: Acquisition
  let commands: Mailbox<CameraCommand>
  let events: DeviceEvents
  let time: any TimeSource
  let clock: any SensorClock
  let logger: Logger
  let board: StatusBoard
  /// Called at each turn of the loop, lost camera or not, for the watchdog.
  let progress: @Sendable () -> Void

  /// Runs until `stop` is raised. `camera` has been started.
  func run(_ camera: consuming ThermalCamera, until stop: StopFlag) throws {
    var camera = camera
    var drift = AmbientDrift()
    var began: Timestamp?
    var framesWanted = 0
    var framesReported = -1
    var isLost = false
    board.cameraStarted(camera)
    while !stop.isRaised {
      progress()
      while let command = commands.take() {
        switch command {
        case .capture(let frames):
          camera.begin(
            CaptureRequest(
              frames: frames, emissivity: acquisition.emissivity, reflectedCelsius: acquisition.reflectedCelsius,
              motionLimitCelsius: acquisition.motionLimitCelsius))
          began = time.now()
          framesWanted = frames
          framesReported = -1
        case .cancel:
          camera.cancel()
          began = nil
        }
      }
      let step: CameraStep
      do {
        step = try camera.step()
      } catch {
        if !isLost {
          isLost = true
          camera.cancel()
          began = nil
          drift.forget()
          events.send(.cameraLost(reason: "\(error)"))
          board.cameraLost("\(error)")
        }
        try recover(&camera, from: error)
        continue
      }
      board.cameraDelivered(step, subPagesPerSecond: camera.sensor.refreshRate.subPagesPerSecond)
      if isLost {
        isLost = false
        events.send(.cameraReturned)
      }
      let now = time.now()
      drift.add(step.ambientCelsius, at: now)
      for event in camera.takeEvents() { events.send(.camera(event)) }
      guard let start = began else { continue }
      if let frames = step.framesAveraged, frames != framesReported {
        framesReported = frames
        // Some eight reports a capture: enough for a progress display, and no flood in the log.
        if frames.isMultiple(of: max(1, framesWanted / 8)) {
          events.send(.averaging(framesAveraged: frames, of: framesWanted))
        }
      }
      if step.captureComplete, let thermogram = camera.takeThermogram() {
        began = nil
        events.send(
          .thermogram(
            CapturedThermogram(
              thermogram: thermogram, cameraSerial: camera.eeprom?.serialNumber ?? "",
              ambientDriftCelsiusPerMinute: drift.celsiusPerMinute, began: start, ended: now)))
      }
    }
  }

  /// Waits before the next try; the driver itself retries, backs off and opens the bus again.
  private func recover(_ camera: inout ThermalCamera, from error: SensorError) throws {
    switch error {
    case .lost(let nextAttempt):
      // In slices, so that a stop is never kept waiting.
      clock.sleep(untilMicroseconds: min(nextAttempt, clock.nowMicroseconds + 250_000))
    case .otherSensor:
      logger.warning("another sensor was plugged in; reading its calibration")
      do {
        try camera.start()
        board.cameraStarted(camera)
      } catch {
        logger.error("camera", metadata: ["reason": "\(error)"])
        clock.sleep(untilMicroseconds: clock.nowMicroseconds + 250_000)
      }
    default:
      break
    }
  }
}

/// How fast the sensor's own temperature changes, from one reading a second over the last minute.
struct AmbientDrift {
  private static let windowSeconds = 60
  private var readings: [(second: UInt64, celsius: Double)] = []

  mutating func forget() { readings.removeAll(keepingCapacity: true) }

  mutating func add(_ celsius: Double, at instant: Timestamp) {
    let second = instant.monotonicNanoseconds / 1_000_000_000
    guard second != readings.last?.second else { return }
    if readings.count > Self.windowSeconds { readings.removeFirst() }
    readings.append((second, celsius))
  }

  /// degC a minute; nil until a minute has been seen.
  var celsiusPerMinute: Double? {
    guard let first = readings.first, let last = readings.last else { return nil }
    let seconds = last.second - first.second
    guard seconds >= UInt64(Self.windowSeconds) - 2 else { return nil }
    return (last.celsius - first.celsius) * 60 / Double(seconds)
  }
}
