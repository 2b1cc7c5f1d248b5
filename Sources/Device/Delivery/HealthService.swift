import Forwarding
import LocalFiles
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Tells how the device is, at intervals: a health message, the Prometheus file, and an alert when the certificate
/// comes to its end.
struct HealthService: Service {
  /// The Prometheus file follows at least this often.
  private static let fileSeconds = 15

  let monitor: DeliveryMonitor
  let outbox: Outbox
  let time: any TimeSource
  let logger: Logger
  let firmware: String
  let intervalSeconds: Int
  /// Where node_exporter's textfile collector reads; nil for no file.
  let prometheusFile: String?
  let certificatePath: String?
  let clockFloor: ClockFloor
  let receiptTrouble: ReceiptTrouble?
  /// nil where no model runs that knows its training's inputs.
  var drift: InputDriftCounter?
  /// What the device thinks of itself; nil where nothing is counted.
  var sentinel: (@Sendable () -> HealthMessage.Sentinel)?

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var certificate = certificatePath.map { CertificateAlerts(path: $0) }
      var receipts = receiptTrouble.map { ReceiptAlerts($0) }
      var nextMessage = time.now().monotonicNanoseconds
      while !Task.isCancelled {
        let now = time.now()
        let isDue = now.monotonicNanoseconds >= nextMessage
        if isDue { nextMessage = now.monotonicNanoseconds + UInt64(intervalSeconds) * 1_000_000_000 }
        await look(at: now, sendsMessage: isDue)
        await checkCertificate(at: now, &certificate)
        await tell(receipts?.due(at: now))
        do {
          try await Task.sleep(for: .seconds(min(Self.fileSeconds, intervalSeconds)))
        } catch {
          return
        }
      }
    }
  }

  private func look(at now: Timestamp, sendsMessage: Bool) async {
    do {
      try clockFloor.note(now)
      let snapshot = try await monitor.snapshot()
      if let prometheusFile {
        try BoundedFile.replace(prometheusFile, with: Array(snapshot.prometheusText.utf8))
      }
      if sendsMessage {
        var message = HealthMessage(snapshot, firmware: firmware, inputs: drift?.now)
        message.sentinel = sentinel?()
        try await outbox.enqueue(.health(message.encoded(), created: now))
      }
    } catch OutboxError.refused(let refusal) {
      // Health gives way first; that the outbox is full is told by its own alerts.
      logger.debug("no room for a health message", metadata: ["reason": "\(refusal)"])
    } catch {
      logger.error("the device's health could not be told", metadata: ["reason": "\(error)"])
    }
  }

  private func tell(_ alert: AlertMessage?) async {
    guard let alert else { return }
    logger.warning("receipts", metadata: ["reason": "\(alert.detail)"])
    do {
      try await outbox.enqueue(.alert(alert.encoded(), created: time.now()))
    } catch {
      logger.error("an alert could not be stored", metadata: ["alert": "\(alert.code)", "reason": "\(error)"])
    }
  }

  private func checkCertificate(at now: Timestamp, _ certificate: inout CertificateAlerts?) async {
    do {
      guard let alert = try certificate?.due(at: now) else { return }
      logger.warning("certificate", metadata: ["reason": "\(alert.detail)"])
      try await outbox.enqueue(.alert(alert.encoded(), created: now))
    } catch {
      logger.error("the certificate cannot be watched", metadata: ["reason": "\(error)"])
    }
  }
}
