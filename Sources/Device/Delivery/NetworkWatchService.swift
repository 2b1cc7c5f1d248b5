import LinuxIO
import Logging
import ServiceLifecycle

/// Has delivery try at once when a way out of this machine appears.
struct NetworkWatchService: Service {
  let logger: Logger
  let cameUp: @Sendable () -> Void

  func run() async throws {
    let watch: NetworkWatch
    do {
      watch = try NetworkWatch(cameUp)
    } catch {
      // Delivery then goes by its own pauses.
      logger.warning("network changes are not heard of", metadata: ["reason": "\(error)"])
      try await gracefulShutdown()
      return
    }
    defer { watch.stop() }
    try await gracefulShutdown()
  }
}
