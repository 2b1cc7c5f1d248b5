import FarSide
import Glibc
import LinuxIO
import LocalFiles

/// Tells systemd when the worker is ready, that it lives, and that it stops.
struct Supervision: Sendable {
  private let worker: IngestWorker
  private let notifier: ServiceNotifier?

  init(_ worker: IngestWorker) {
    self.worker = worker
    var environment: [String: String] = [:]
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
      environment[name] = getenv(name).map { String(cString: $0) }
    }
    notifier = ServiceNotifier(environment: environment, processID: getpid())
  }

  /// Until it is cancelled. READY=1 once at least one broker listens to us; the watchdog is fed only while every part moves.
  func run() async {
    guard let notifier else { return }
    let period = min(5_000_000, (notifier.watchdogMicroseconds ?? 15_000_000) / 3)
    var isReady = false
    while !Task.isCancelled {
      if !isReady, worker.isReady {
        isReady = true
        notify(.ready, "receiving")
      }
      if worker.isAlive { notify(.watchdog, nil) }
      try? await Task.sleep(for: .microseconds(isReady ? Int64(period) : 100_000))
    }
  }

  func noteStop() { notify(.stopping, "storing what is here") }

  private func notify(_ state: ServiceNotifier.State, _ status: String?) {
    do throws(SystemCallError) {
      try notifier?.notify(state, status: status)
    } catch {
      say("systemd could not be told: \(error)")
    }
  }
}
