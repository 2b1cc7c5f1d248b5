import ConfigurationFiles
import Forwarding
import LinuxIO
import Provenance
import Storage

/// Puts the device's report together.
struct DeviceReporter: Sendable {
  let parts: DeviceRuntime.Supervised
  let live: LiveSettings
  private let startedNanoseconds = SystemClock.monotonicNanoseconds()

  init(parts: DeviceRuntime.Supervised, live: LiveSettings) {
    self.parts = parts
    self.live = live
  }

  func report() async -> DeviceReport {
    var report = DeviceReport()
    let now = parts.common.time.now()
    let device = live.settings.device
    (report.device, report.site) = (device.id, device.site)
    report.firmware = DeviceRuntime.firmware
    report.processID = DeviceRuntime.processID
    report.uptimeSeconds = Int((SystemClock.monotonicNanoseconds() - startedNanoseconds) / 1_000_000_000)
    report.clock = .init(now: now.rfc3339, source: parts.common.time.synchronisationSource.rawValue)
    report.configuration.path = live.mainFile
    report.configuration.sha256 = parts.identity.configurationSHA256
    report.configuration.needRestart = live.needRestart
    do {
      report.configuration.remote = try RemoteConfigurationFolder(
        stateDirectory: live.settings.paths.stateDirectory
      ).standing()
    } catch {
      report.configuration.faults.append("what came from afar cannot be looked at: \(error)")
    }
    report.camera = parts.board.camera
    report.reader = parts.board.reader
    report.panelProblems = parts.board.panelProblems
    let fileProblems = parts.board.fileProblems
    report.fileProblems = fileProblems.isEmpty ? nil : fileProblems
    report.session = Self.session(parts.session.snapshot)
    report.models = parts.board.models ?? parts.identity.models.map { .init(id: $0.id, sha256: $0.sha256) }
    report.update = parts.board.update
    var sentinel = parts.sentinel.report
    sentinel.lockedDownAt = parts.lockDown.since
    report.sentinel = sentinel
    report.isReady = parts.board.isReady
    report.release = parts.releases.record
    report.performance = parts.performance.report(
      memoryKilobytes: PerformanceBoard.memoryKilobytes("VmRSS"),
      peakKilobytes: PerformanceBoard.memoryKilobytes("VmHWM"))
    report.beats = parts.heartbeats.ages.map {
      .init(part: $0.part.name, secondsAgo: ($0.seconds * 10).rounded() / 10)
    }
    if let trust = parts.trust {
      let reports = trust.all.map { TrustReport($0) }.filter { $0.state != .absent }
      report.trust = reports.isEmpty ? nil : reports
    }
    if let standing = await parts.keeper?.standing {
      report.audit = .init(
        entries: standing.entries, bytes: standing.bytes, cosignedEntries: standing.cosignedEntries)
    }
    await addDelivery(to: &report)
    return report
  }

  private static func session(_ snapshot: SessionSnapshot) -> DeviceReport.Session {
    .init(
      state: snapshot.state.rawValue, sentence: snapshot.sentence, patientRef: snapshot.patientRef,
      view: snapshot.view?.rawValue, storageIsFull: snapshot.storageIsFull)
  }

  private func addDelivery(to report: inout DeviceReport) async {
    do throws(OutboxError) {
      let monitor = DeliveryMonitor(outbox: parts.outbox, delivery: parts.delivery, time: parts.common.time)
      let snapshot = try await monitor.snapshot()
      for figures in snapshot.classes {
        report.outbox.waiting[figures.deliveryClass.name] = figures.depth.rows
        report.outbox.waitingBytes += figures.depth.bytes
        report.outbox.quarantined += figures.quarantined.rows
        if let oldest = figures.oldestSeconds {
          report.outbox.oldestSeconds = max(report.outbox.oldestSeconds ?? 0, oldest)
        }
      }
      report.outbox.storedBytes = snapshot.usedBytes
      report.outbox.quotaBytes = snapshot.outbox.quotaBytes
      report.times = snapshot.outbox.times.table
      report.line.state = snapshot.line.state.rawValue
      report.line.broker = snapshot.line.broker
      report.line.protection = snapshot.line.protection
      report.line.seconds = snapshot.line.seconds
      report.line.lastFailure = snapshot.line.lastFailure.map { "\($0)" }
      report.line.certificateDays = snapshot.line.certificateDays
      if snapshot.line.state != .unconfigured {
        report.line.acceptsUnsignedReceipts = snapshot.line.acceptsUnsignedReceipts
        report.line.receiptsRefused = snapshot.line.counters.receiptsRefused
        report.line.receiptsUnfounded = snapshot.line.counters.receiptsUnfounded
      }
    } catch {
      report.configuration.faults.append("the outbox does not answer: \(error)")
    }
  }
}
