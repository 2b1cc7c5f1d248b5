import LinuxIO
import Logging
import ServiceLifecycle

/// Says that the device is up, last of all services, and from then on how it is; tells systemd, too.
struct ReadinessService: Service {
  /// How often the status line is looked at; it is sent when it has changed.
  private static let statusPeriod = Duration.seconds(2)

  let logger: Logger
  let notifier: ServiceNotifier?
  /// Called when every service before this one has started, with monotonic nanoseconds.
  var ready: @Sendable (UInt64) -> Void = { _ in }
  /// Called as soon as a stop is asked for, before any service ends.
  let stopBegins: @Sendable () -> Void
  /// One line for `systemctl status`.
  let status: @Sendable () async -> String

  func run() async throws {
    ready(SystemClock.monotonicNanoseconds())
    logger.notice("ready")
    await withGracefulShutdownHandler {
      await cancelWhenGracefulShutdown {
        // Before anything is asked of a part: a slow disk must not delay it.
        var told = "ready for a tag"
        notify(.ready, told)
        while !Task.isCancelled {
          try? await Task.sleep(for: Self.statusPeriod)
          let present = await status()
          if present != told, !Task.isCancelled { notify(nil, present) }
          told = present
        }
      }
    } onGracefulShutdown: {
      stopBegins()
      notify(.stopping, "stopping")
    }
  }

  private func notify(_ state: ServiceNotifier.State?, _ status: String) {
    do {
      try notifier?.notify(state, status: status)
    } catch {
      logger.error("systemd could not be told", metadata: ["reason": "\(error)"])
    }
  }
}
