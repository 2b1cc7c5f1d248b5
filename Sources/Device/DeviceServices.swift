import Identification
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Keeps the outbox open until everybody behind it has ended.
struct OutboxService: Service {
  let outbox: Outbox

  func run() async throws {
    try await gracefulShutdown()
    await outbox.close()
  }
}

/// Passes what the tag reader says to the coordinator.
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
      case .presentation(.refused), .reading, .reject: break
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
