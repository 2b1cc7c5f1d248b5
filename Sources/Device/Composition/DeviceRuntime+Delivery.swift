import Configuration
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

extension DeviceRuntime {
  /// Delivery and what watches it, in the order of dependence.
  func deliveryServices(
    outbox: Outbox, delivery: DeliveryService?, time: any TimeSource, clockFloor: ClockFloor
  ) -> [any Service] {
    var services: [any Service] = []
    if let delivery {
      services.append(delivery)
      services.append(NetworkWatchService(logger: logger, cameUp: { delivery.networkCameUp() }))
    }
    services.append(
      HealthService(
        monitor: DeliveryMonitor(outbox: outbox, delivery: delivery, time: time), outbox: outbox, time: time,
        logger: logger, firmware: Self.firmware, intervalSeconds: settings.health.intervalSeconds,
        prometheusFile: settings.health.prometheusFile, certificatePath: settings.broker.certificateFile,
        clockFloor: clockFloor))
    return services
  }
}

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
