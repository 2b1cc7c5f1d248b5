import Logging
import Provenance
import Thermography

/// Keeps the camera running on a thread of its own: sub-page after sub-page, captures and examinations when asked for.
struct CameraLoop: Sendable {
  /// What every capture is taken with.
  struct Acquisition: Sendable {
    var emissivity: Double
    var reflectedCelsius: Double?
    var motionLimitCelsius: Double
  }

  let acquisition: Acquisition
  let commands: Mailbox<CameraRequest>
  let events: DeviceEvents
  let time: any TimeSource
  let clock: any SensorClock
  let logger: Logger
  /// Where `status` looks; nil at a terminal, which looks itself.
  let board: StatusBoard?
  /// Called at each turn of the loop, lost camera or not, for the watchdog.
  let progress: @Sendable () -> Void

  /// Runs until `stop` is raised. `camera` has been started.
  func run(_ camera: consuming some CameraSource, until stop: StopFlag) throws {
    var camera = camera
    var drift = TemperatureDrift()
    var underWay: CaptureUnderWay?
    var examination: (@Sendable (Thermogram?) -> Void)?
    func examined(_ thermogram: Thermogram?) {
      examination?(thermogram)
      examination = nil
    }
    defer { examined(nil) }
    var watch = Watch()
    var isLost = false
    board?.cameraStarted(camera)
    while !stop.isRaised {
      progress()
      while let command = commands.take() {
        switch command {
        case .capture(let captureID, let frames):
          examined(nil)
          camera.begin(
            CaptureRequest(
              frames: frames, emissivity: acquisition.emissivity, reflectedCelsius: acquisition.reflectedCelsius,
              motionLimitCelsius: acquisition.motionLimitCelsius))
          underWay = CaptureUnderWay(captureID: captureID, began: time.now(), framesWanted: frames)
        case .examine(let request, let answer):
          examined(nil)
          guard underWay == nil, !isLost else {
            answer(nil)
            continue
          }
          camera.begin(request)
          examination = answer
        case .cancel:
          examined(nil)
          camera.cancel()
          underWay = nil
        case .watch(let period):
          watch = Watch(periodMilliseconds: period)
        }
      }
      let step: CameraStep
      do {
        step = try camera.step()
      } catch {
        if !isLost {
          isLost = true
          examined(nil)
          camera.cancel()
          underWay = nil
          drift.forget()
          events.send(.cameraLost(reason: "\(error)"))
          board?.cameraLost("\(error)")
        }
        try recover(&camera, from: error)
        continue
      }
      board?.cameraDelivered(step, subPagesPerSecond: camera.subPagesPerSecond)
      if isLost {
        isLost = false
        events.send(.cameraReturned)
      }
      let now = time.now()
      drift.add(step.ambientCelsius, at: now)
      for event in camera.takeEvents() { events.send(.camera(event)) }
      if watch.isDue(at: now) {
        events.send(
          .live(
            LivePicture(
              image: camera.live, ambientCelsius: step.ambientCelsius, motionCelsius: step.motionCelsius,
              settling: step.settling, at: now)))
      }
      if step.captureComplete, examination != nil {
        examined(camera.takeThermogram())
        continue
      }
      guard let capture = underWay else { continue }
      if let frames = step.framesAveraged, frames != capture.framesReported {
        underWay?.framesReported = frames
        // Some eight reports a capture: enough for a progress display, and no flood in the log.
        if frames.isMultiple(of: max(1, capture.framesWanted / 8)) {
          events.send(
            .averaging(captureID: capture.captureID, framesAveraged: frames, of: capture.framesWanted))
        }
      }
      if step.captureComplete, let thermogram = camera.takeThermogram() {
        underWay = nil
        events.send(
          .thermogram(
            CapturedThermogram(
              captureID: capture.captureID, thermogram: thermogram,
              cameraSerial: camera.serialNumber,
              ambientDriftCelsiusPerMinute: drift.celsiusPerMinute, began: capture.began, ended: now)))
      }
    }
  }

  private struct CaptureUnderWay {
    var captureID: RandomIdentifier
    var began: Timestamp
    var framesWanted: Int
    var framesReported = -1
  }

  /// When the next live picture is due.
  private struct Watch {
    var periodMilliseconds: Int?
    private var next: UInt64 = 0

    init(periodMilliseconds: Int? = nil) {
      self.periodMilliseconds = periodMilliseconds
    }

    mutating func isDue(at now: Timestamp) -> Bool {
      guard let periodMilliseconds, now.monotonicNanoseconds >= next else { return false }
      next = now.monotonicNanoseconds + UInt64(max(periodMilliseconds, 0)) * 1_000_000
      return true
    }
  }

  /// Waits before the next try; the driver itself retries, backs off and opens the bus again.
  private func recover(_ camera: inout some CameraSource, from error: SensorError) throws {
    switch error {
    case .lost(let nextAttempt):
      // In slices, so that a stop is never kept waiting.
      clock.sleep(untilMicroseconds: min(nextAttempt, clock.nowMicroseconds + 250_000))
    case .otherSensor:
      logger.warning("another sensor was plugged in; reading its calibration")
      do {
        try camera.restart()
        board?.cameraStarted(camera)
      } catch {
        logger.error("camera", metadata: ["reason": "\(error)"])
        clock.sleep(untilMicroseconds: clock.nowMicroseconds + 250_000)
      }
    default:
      break
    }
  }
}
