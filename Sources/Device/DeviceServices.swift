import Identification
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Keeps the outbox open and in order until everybody behind it has ended.
struct OutboxService: Service {
  /// How often delivered captures past their retention are freed and the ballast is taken again.
  private static let maintenancePeriod = Duration.seconds(60)

  let outbox: Outbox
  let logger: Logger
  /// The database was exchanged for a mended one: delivery looks at it from the beginning.
  let recovered: @Sendable () -> Void
  /// Everything the outbox tells, for the session.
  let noticed: @Sendable (OutboxNotice) -> Void

  func run() async throws {
    if let report = outbox.recoveryAtStart {
      logger.error("the outbox was damaged and mended", metadata: ["report": "\(report)"])
    }
    let listener = Task {
      for await notice in outbox.notices {
        logger.warning("outbox", metadata: ["notice": "\(notice)"])
        if case .recovered = notice { recovered() }
        noticed(notice)
      }
    }
    defer { listener.cancel() }
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do {
          try await Task.sleep(for: Self.maintenancePeriod)
          try await outbox.maintain()
        } catch is CancellationError {
          return
        } catch {
          logger.error("the outbox could not be tidied", metadata: ["reason": "\(error)"])
        }
      }
    }
    await outbox.close()
  }
}

/// Passes what the tag reader says to the session.
struct ReaderService: Service {
  let settings: TagReader.Settings
  let events: DeviceEvents
  let time: any TimeSource

  func run() async throws {
    let reader = try TagReader(settings, clock: time)
    defer { reader.stop() }
    var isLost = false
    for await event in reader.events.cancelOnGracefulShutdown() {
      switch event {
      case .connected:
        if isLost { events.send(.readerReturned) }
        isLost = false
      case .disconnected(let error, _):
        if !isLost { events.send(.readerLost(reason: "\(error)")) }
        isLost = true
      case .presentation(.presented(let reading)): events.send(.presented(reading))
      case .presentation(.removed): events.send(.removed)
      case .presentation(.ambiguous): events.send(.ambiguousTags)
      case .presentation(.refused): events.send(.unreadableTag)
      case .reading, .reject: break
      }
    }
  }
}

/// Says that the device is up, last of all services; tells systemd, too.
struct ReadinessService: Service {
  let logger: Logger
  let notifier: ServiceNotifier?

  func run() async throws {
    logger.notice("ready")
    notify(.ready, "ready for a tag")
    try await gracefulShutdown()
    notify(.stopping, "stopping")
  }

  private func notify(_ state: ServiceNotifier.State, _ status: String) {
    do {
      try notifier?.notify(state, status: status)
    } catch {
      logger.error("systemd could not be told", metadata: ["reason": "\(error)"])
    }
  }
}
