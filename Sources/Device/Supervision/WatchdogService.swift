import LinuxIO
import Logging
import ServiceLifecycle
import Synchronization

/// Where the parts of the device leave their beats, from any thread.
package final class Heartbeats: Sendable {
  private struct State {
    var liveness: Liveness
    /// Questions that were asked and not answered yet, by `LivePart.rawValue`.
    var asked: [Bool]
  }

  private let state: Mutex<State>
  private let now: @Sendable () -> UInt64

  /// - Parameter now: monotonic nanoseconds.
  package init(
    watching parts: [LivePart], now: @escaping @Sendable () -> UInt64 = { SystemClock.monotonicNanoseconds() }
  ) {
    self.now = now
    state = Mutex(
      State(
        liveness: Liveness(watching: parts, from: now()), asked: LivePart.allCases.map { _ in false }))
  }

  package func beat(_ part: LivePart) {
    let now = now()
    state.withLock { $0.liveness.beat(part, at: now) }
  }

  /// See `Liveness.feed(at:)`.
  package func feed() -> [LivePart] {
    let now = now()
    return state.withLock { $0.liveness.feed(at: now) }
  }

  /// Seconds since each watched part last moved.
  package var ages: [(part: LivePart, seconds: Double)] {
    let now = now()
    let liveness = state.withLock { $0.liveness }
    return LivePart.allCases.compactMap { part in
      liveness.age(of: part, at: now).map { (part, Double($0) / 1e9) }
    }
  }

  /// True once until the answer: a part that hangs is not asked again and again.
  fileprivate func mayAsk(_ part: LivePart) -> Bool {
    state.withLock { state in
      defer { state.asked[part.rawValue] = true }
      return !state.asked[part.rawValue]
    }
  }

  fileprivate func answered(_ part: LivePart) {
    let now = now()
    state.withLock { state in
      state.asked[part.rawValue] = false
      state.liveness.beat(part, at: now)
    }
  }
}

/// Feeds systemd's watchdog, but only after the camera's loop, the capture loop, the outbox and the network thread have
/// each moved. A loop that moves by itself beats; one that may rightly be idle is asked, and its answer is the beat.
package struct WatchdogService: Service {
  /// Asks a part to call back from the very thread or loop that is watched.
  package typealias Question = @Sendable (_ answer: @escaping @Sendable () -> Void) -> Void

  private let heartbeats: Heartbeats
  private let questions: [LivePart: Question]
  private let period: Duration
  private let feed: @Sendable () -> Void
  private let logger: Logger

  /// Without a watchdog the parts are watched all the same, for the log and for `status`.
  package static let periodWithoutWatchdog = Duration.seconds(20)

  /// - Parameters:
  ///   - period: from one feeding to the next: a third of what systemd waits for.
  ///   - feed: tells systemd.
  package init(
    heartbeats: Heartbeats, questions: [LivePart: Question], period: Duration, feed: @escaping @Sendable () -> Void,
    logger: Logger
  ) {
    self.heartbeats = heartbeats
    self.questions = questions
    self.period = period
    self.feed = feed
    self.logger = logger
  }

  package func run() async throws {
    await cancelWhenGracefulShutdown {
      var complained: [LivePart] = []
      ask()
      while !Task.isCancelled {
        try? await Task.sleep(for: period)
        if Task.isCancelled { return }
        let hanging = heartbeats.feed()
        if hanging.isEmpty {
          feed()
        } else if hanging != complained {
          logger.critical(
            "a part of the device hangs; the watchdog is not fed",
            metadata: ["parts": "\(hanging.map(\.name).joined(separator: " "))"])
        }
        complained = hanging
        ask()
      }
    }
  }

  private func ask() {
    for (part, question) in questions where heartbeats.mayAsk(part) {
      question { [heartbeats] in heartbeats.answered(part) }
    }
  }
}
