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
    /// The sensor settles for so long. Its own warming looks like a drift for four times as long: 0.1 degC a minute still
    /// leaves half a degree to go.
    var settlingSeconds = 0
  }

  let acquisition: Acquisition
  let commands: Mailbox<CameraRequest>
  let events: DeviceEvents
  let time: any TimeSource
  let clock: any SensorClock
  let logger: Logger
  /// Where `status` looks; nil at a terminal, which looks itself.
  let board: StatusBoard?
  /// Where failures, noise and ambient are counted; nil where nobody counts.
  var counters: CounterBoard?
  /// Where the time between sub-pages is kept; nil where nobody asks.
  var performance: PerformanceBoard?
  /// Called at each turn of the loop, lost camera or not, for the watchdog.
  let progress: @Sendable () -> Void

  /// Runs until `stop` is raised. `camera` has been started.
  func run(_ camera: consuming some CameraSource, until stop: StopFlag) throws {
    var work = Work(camera: camera)
    defer { work.examined(nil) }
    board?.cameraStarted(work.camera)
    while !stop.isRaised {
      progress()
      while let request = commands.take() { take(request, &work) }
      let step: CameraStep
      do {
        step = try work.camera.step()
      } catch {
        countFailures(&work, least: 1)
        lose(&work, because: error)
        try recover(&work.camera, from: error)
        continue
      }
      deliver(step, &work)
    }
  }

  /// What the loop is about.
  private struct Work<Camera: CameraSource> {
    var camera: Camera
    var drift = TemperatureDrift()
    var capture: CaptureUnderWay?
    var examination: (@Sendable (Thermogram?) -> Void)?
    var watch = Watch()
    var isLost = false
    var failuresCounted: UInt64 = 0
    /// Since when the camera runs, for the sentinel; monotonic nanoseconds.
    var startedNanoseconds: UInt64?

    init(camera: consuming Camera) { self.camera = camera }

    mutating func examined(_ thermogram: Thermogram?) {
      examination?(thermogram)
      examination = nil
    }

    mutating func cancel() {
      examined(nil)
      camera.cancel()
      capture = nil
    }
  }

  private func take(_ request: CameraRequest, _ work: inout Work<some CameraSource>) {
    switch request {
    case .capture(let captureID, let frames):
      work.examined(nil)
      work.camera.begin(
        CaptureRequest(
          frames: frames, emissivity: acquisition.emissivity, reflectedCelsius: acquisition.reflectedCelsius,
          motionLimitCelsius: acquisition.motionLimitCelsius))
      work.capture = CaptureUnderWay(captureID: captureID, began: time.now(), framesWanted: frames)
    case .examine(let request, let answer):
      work.examined(nil)
      guard work.capture == nil, !work.isLost else { return answer(nil) }
      work.camera.begin(request)
      work.examination = answer
    case .cancel: work.cancel()
    case .watch(let period): work.watch = Watch(periodMilliseconds: period)
    }
  }

  private func lose(_ work: inout Work<some CameraSource>, because error: SensorError) {
    guard !work.isLost else { return }
    work.isLost = true
    performance?.cameraLost()
    work.cancel()
    work.drift.forget()
    events.send(.cameraLost(reason: "\(error)"))
    board?.cameraLost("\(error)")
  }

  /// - Parameter least: a step that fails is a failure, whatever the driver counted.
  private func countFailures(_ work: inout Work<some CameraSource>, least: UInt64 = 0) {
    guard let counters else { return }
    let failures = work.camera.busFailures
    // Another sensor counts anew.
    let new = failures >= work.failuresCounted ? failures - work.failuresCounted : failures
    work.failuresCounted = failures
    let counted = Int(clamping: max(new, least))
    if counted > 0 { counters.count(.busErrors, counted) }
  }

  /// Noise and ambient of a camera that still warms up are missing: a sensor that warms is no drifting one.
  private func countMeasurement(_ step: CameraStep, _ work: inout Work<some CameraSource>) {
    guard let counters else { return }
    let now = time.now().monotonicNanoseconds
    let started = work.startedNanoseconds ?? now
    work.startedNanoseconds = started
    guard now - min(started, now) >= UInt64(4 * max(0, acquisition.settlingSeconds)) * 1_000_000_000 else { return }
    counters.measured(movementCelsius: step.motionCelsius, ambientCelsius: step.ambientCelsius)
  }

  /// Tells everybody what a step of the camera brought.
  private func deliver(_ step: CameraStep, _ work: inout Work<some CameraSource>) {
    board?.cameraDelivered(step, subPagesPerSecond: work.camera.subPagesPerSecond)
    countFailures(&work)
    countMeasurement(step, &work)
    if let performance {
      let rate = work.camera.subPagesPerSecond
      performance.subPage(
        at: time.now().monotonicNanoseconds, periodNanoseconds: rate > 0 ? UInt64(1e9 / rate) : 0,
        missed: work.camera.missedSubPages)
    }
    if work.isLost {
      work.isLost = false
      work.startedNanoseconds = nil
      events.send(.cameraReturned)
    }
    let now = time.now()
    work.drift.add(step.ambientCelsius, at: now)
    for event in work.camera.takeEvents() { events.send(.camera(event)) }
    if work.watch.isDue(at: now) {
      events.send(
        .live(
          LivePicture(
            image: work.camera.live, ambientCelsius: step.ambientCelsius, motionCelsius: step.motionCelsius,
            settling: step.settling, at: now)))
    }
    if step.captureComplete, work.examination != nil {
      work.examined(work.camera.takeThermogram())
    } else if let capture = work.capture {
      follow(capture, step, &work, now)
    }
  }

  /// Tells how far the capture has come, and hands it over at its end.
  private func follow(
    _ capture: CaptureUnderWay, _ step: CameraStep, _ work: inout Work<some CameraSource>, _ now: Timestamp
  ) {
    if let frames = step.framesAveraged, frames != capture.framesReported {
      work.capture?.framesReported = frames
      // Some eight reports a capture: enough for a progress display, and no flood in the log.
      if frames.isMultiple(of: max(1, capture.framesWanted / 8)) {
        events.send(.averaging(captureID: capture.captureID, framesAveraged: frames, of: capture.framesWanted))
      }
    }
    guard step.captureComplete, let thermogram = work.camera.takeThermogram() else { return }
    work.capture = nil
    events.send(
      .thermogram(
        CapturedThermogram(
          captureID: capture.captureID, thermogram: thermogram, cameraModel: work.camera.modelName,
          cameraSerial: work.camera.serialNumber,
          ambientDriftCelsiusPerMinute: work.drift.celsiusPerMinute, began: capture.began, ended: now)))
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
