import Audit
import Configuration
import Forwarding
import LinuxIO
import Logging
import Provenance
import Screening
import Sentinel
import ServiceLifecycle
import Storage

// What watches over the device's own counters.
extension DeviceRuntime {
  func sentinelService(
    _ watch: SentinelWatch, _ counters: CounterBoard, _ lockDown: LockDown, _ outbox: Outbox, _ common: CommonParts,
    isSimulated: Bool
  ) -> SentinelService {
    SentinelService(
      watch: watch, counters: counters, network: sentinelNetwork(watch, common.digests),
      deltaPerMille: settings.sentinel.delta.map { Int(($0 * 1000).rounded()) },
      lockDown: settings.sentinel.locksDown ? lockDown : nil,
      systemRoot: isSimulated ? settings.simulation.systemDirectory ?? "" : "",
      caseContact: isSimulated ? nil : GPIOPinAddress(caseContactOf: settings.pins),
      file: WindowFile(
        path: settings.paths.stateDirectory + "/" + StateFiles.counters, stepMilliseconds: watch.stepMilliseconds,
        logger: logger),
      time: common.time, logger: logger,
      tell: { [logger] alert in
        do {
          try await outbox.enqueue(.alert(alert.encoded(), created: common.time.now()))
        } catch {
          logger.error("an alert could not be stored", metadata: ["code": "\(alert.code)", "reason": "\(error)"])
        }
      })
  }

  /// nil where none is configured, or it cannot be used: counting goes on, and the report says why nobody judges.
  private func sentinelNetwork(_ watch: SentinelWatch, _ digests: OpenSSLDigests) -> Handover<SentinelNetwork>? {
    guard let name = settings.sentinel.model else { return nil }
    let path = settings.paths.modelsDirectory + "/" + name
    do {
      let folder = try ModelFolder(path: path, digests: digests)
      let network = try SentinelNetwork(manifest: folder.manifest, modelFile: folder.modelFile)
      watch.change { $0.model = "\(folder.manifest.id) \(folder.manifest.version)" }
      return Handover(network)
    } catch {
      logger.error("nobody judges the device's counters", metadata: ["reason": "\(error)"])
      watch.change { [path] report in report.problem = "nobody judges the counters: \(path): \(error)" }
      return nil
    }
  }

  func lockDown(_ audit: any AuditTrail) -> LockDown {
    LockDown(
      path: settings.paths.stateDirectory + "/" + StateFiles.lockDown, isAllowed: settings.sentinel.locksDown,
      logger: logger, changed: { audit.post(.lockDown(isEntered: $0, reason: $1)) })
  }
}
