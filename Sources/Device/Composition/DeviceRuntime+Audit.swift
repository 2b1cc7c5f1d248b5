import Audit
import Configuration
import Cryptography
import Forwarding
import Identification
import LinuxIO
import LocalFiles
import Logging
import Provenance
import ServiceLifecycle
import Storage
import Synchronization

// The audit log of the running device.
extension DeviceRuntime {
  var auditFiles: AuditFiles { AuditFiles(stateDirectory: settings.paths.stateDirectory) }

  /// Opens the log. One that cannot be used is told and keeps no picture from being taken.
  ///
  /// - Parameter board: where `status` looks; nil at a terminal.
  func openAudit(_ outbox: Outbox, _ common: CommonParts, board: StatusBoard?) throws -> AuditKeeper {
    let files = auditFiles
    var sealing: KeyRing?
    var made: String?
    let origin: Result<AuditOrigin, AuditKeyFault>
    do {
      let key = try AuditKey(files, makesOne: true)
      sealing = key.sealing
      made = key.isNew ? key.signer.keyIdentifier : nil
      var generator = SystemRandomNumberGenerator()
      origin = .success(
        AuditOrigin(
          site: settings.device.site, device: settings.device.id, log: RandomIdentifier(using: &generator),
          key: key.signer.publicKey))
    } catch { origin = .failure(AuditKeyFault("\(error)")) }
    let isTold = Mutex(false)
    let keeper = try AuditKeeper(
      files, keys: sealing, origin: origin, outbox: outbox, time: common.time,
      sendsEntries: settings.pictures.sendView,
      tell: { [logger] problem in
        board?.note(.audit, problem.map { "nothing from afar is done: \($0)" })
        guard let problem else { return logger.notice("the audit log is written again") }
        logger.error("the audit log cannot be written; nothing from afar is done", metadata: ["reason": "\(problem)"])
        let isFirst = isTold.withLock { told in
          defer { told = true }
          return !told
        }
        if isFirst { Task { await Self.alert(problem, outbox, common.time, logger) } }
      })
    if let made {
      logger.warning(
        "this device was enrolled without an audit key and has made one; keep its public half: thermograph audit key",
        metadata: ["key": "\(made)"])
      keeper.post(.keys(.auditKeyMade(made)))
    }
    return keeper
  }

  private static func alert(_ problem: String, _ outbox: Outbox, _ time: SystemClock, _ logger: Logger) async {
    let now = time.now()
    do {
      let message = AlertMessage(
        code: "audit-log", severity: .critical,
        detail: "the audit log cannot be written; captures go on, nothing from afar is done: \(problem)", at: now)
      try await outbox.enqueue(.alert(message.encoded(), created: now))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "audit-log", "reason": "\(error)"])
    }
  }

  /// The first entry of a run.
  func auditStart(_ program: AuditEvent.Program, _ digests: OpenSSLDigests) -> AuditEvent {
    .start(
      program, firmware: Self.firmware, configurationSHA256: configurationSHA256(digests),
      rosterSHA256: rosterState(settings, digests)?.sha256)
  }

  /// What the roster's file is now; nil where none is named or it cannot be read, which others tell.
  private func rosterState(_ settings: Settings, _ digests: OpenSSLDigests) -> (sha256: String, rows: Int)? {
    guard let path = settings.patients.rosterFile else { return nil }
    do throws(FileError) {
      let bytes = try BoundedFile.read(path, maximumBytes: RosterReader.largestByteCount)
      return (Hexadecimal.text(of: digests.sha256(bytes)), RosterReader.rows(bytes).rows.count)
    } catch { return nil }
  }

  /// Files that were read again, and a roster that is another one.
  func auditReloads(_ audit: any AuditTrail, _ digests: OpenSSLDigests) {
    let known = Mutex(rosterState(settings, digests)?.sha256)
    live.onChange(of: [], always: true) { [self] settings in
      audit.post(.configuration(.reloaded, version: nil, sha256: nil))
      let state = rosterState(settings, digests)
      let isChanged = known.withLock { known in
        defer { known = state?.sha256 }
        return known != state?.sha256
      }
      if isChanged { audit.post(.roster(.file, rows: state?.rows ?? 0, sha256: state?.sha256)) }
    }
  }
}

/// Keeps the audit log until everybody who writes to it has ended.
struct AuditService: Service {
  static let lookPeriod = Duration.seconds(60)

  let keeper: AuditKeeper

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do { try await Task.sleep(for: Self.lookPeriod) } catch { return }
        await keeper.look()
      }
    }
    await keeper.end()
  }
}
