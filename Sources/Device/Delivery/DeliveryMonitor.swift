import Forwarding
import Provenance
import Storage

/// Where everything that shows delivery to somebody takes its numbers from: health messages, the control socket's
/// `status`, the Prometheus file.
package struct DeliveryMonitor: Sendable {
  private let outbox: Outbox
  private let delivery: DeliveryService?
  private let time: any TimeSource

  /// - Parameter delivery: nil when no broker is configured.
  init(outbox: Outbox, delivery: DeliveryService?, time: any TimeSource) {
    self.outbox = outbox
    self.delivery = delivery
    self.time = time
  }

  /// The present numbers. Waits for a commit under way at most. Throws when the outbox is closed or cannot be read.
  package func snapshot() async throws(OutboxError) -> DeliverySnapshot {
    let line = await delivery?.figures() ?? .unconfigured
    return DeliverySnapshot(at: time.now(), outbox: try await outbox.figures(), line: line)
  }
}
