import Forwarding
import LinuxIO
import LocalFiles
import Logging
import Provenance
import Sentinel
import ServiceLifecycle
import Threads

/// Makes a step of the counters every ten seconds and judges the window, on a thread of its own that lets all others go first.
struct SentinelService: Service {
  /// Of the field; the model was trained on it.
  static let stepMilliseconds = 10_000
  /// Alerts that wait for the outbox; there are at most a handful an hour.
  private static let mostWaiting = 64

  let watch: SentinelWatch
  let counters: CounterBoard
  /// nil where nobody judges.
  let network: Handover<SentinelNetwork>?
  /// nil: the model's.
  let deltaPerMille: Int?
  /// nil where the technician does not allow it.
  let lockDown: LockDown?
  /// Before `/proc` and `/sys`; empty in the field.
  let systemRoot: String
  /// Of the case; nil where there is none.
  let caseContact: GPIOPinAddress?
  let file: WindowFile
  let time: any TimeSource
  let logger: Logger
  let tell: @Sendable (AlertMessage) async -> Void

  func run() async throws {
    let wake: WakeSignal
    do throws(SystemCallError) { wake = try WakeSignal() } catch {
      // A device that does not watch itself still captures.
      logger.error("the sentinel does not run", metadata: ["reason": "\(error)"])
      try await gracefulShutdown()
      return
    }
    let (alerts, post) = AsyncStream.makeStream(
      of: AlertMessage.self, bufferingPolicy: .bufferingNewest(Self.mostWaiting))
    let telling = Task { for await alert in alerts { await tell(alert) } }
    do {
      try await ThreadService(
        name: "sentinel",
        loop: { stop in
          loop(until: stop, wake) { alert in
            if case .dropped = post.yield(alert) { logger.error("an alert was dropped: the outbox does not take it") }
          }
        }, wake: { wake.signal() }
      ).run()
    } catch {
      post.finish()
      throw error
    }
    post.finish()
    await telling.value
  }

  private func loop(until stop: StopFlag, _ wake: WakeSignal, post: @escaping (AlertMessage) -> Void) {
    NamedThread.stepBack()
    let gauges = BoardGauges(root: systemRoot)
    for problem in gauges.problems { logger.warning("a gauge cannot be used", metadata: ["reason": "\(problem)"]) }
    let sampler = StepSampler(counters: counters, gauges: gauges, contact: openContact(), logger: logger)
    let start = file.load(at: time.now())
    let judge = network?.take().map {
      SentinelJudge($0, deltaPerMille: deltaPerMille, evidence: start.evidence)
    }
    let body = SentinelLoop(
      start, watch: watch, sampler: sampler, gauges: gauges, judge: judge, lockDown: lockDown, file: file,
      logger: logger, post: post)
    let step = UInt64(watch.stepMilliseconds) * 1_000_000
    var due = time.now().monotonicNanoseconds
    // What was counted while the device started is no step.
    _ = sampler.step(at: due)
    due += step
    while !stop.isRaised {
      let now = time.now()
      let nanoseconds = now.monotonicNanoseconds
      guard nanoseconds >= due else {
        body.look(at: now)
        wake.wait(milliseconds: min(Int((due - nanoseconds) / 1_000_000) + 1, 1000))
        continue
      }
      // The thread was kept waiting: what was counted meanwhile is in this step, and those before are missing.
      let late = (nanoseconds - due) / step
      due += (late + 1) * step
      body.step(at: now, late: Int(clamping: late))
    }
    body.save(at: time.now())
  }

  private func openContact() -> ContactPin? {
    guard let caseContact else { return nil }
    do {
      return try ContactPin(caseContact)
    } catch {
      logger.warning("the case's contact is not available; nobody hears it opened", metadata: ["reason": "\(error)"])
      return nil
    }
  }
}
