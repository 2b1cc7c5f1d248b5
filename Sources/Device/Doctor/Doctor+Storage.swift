import Audit
import Configuration
import Forwarding
import LocalFiles
import Screening
import Storage

// Keys, models, outbox, space.

extension Doctor {
  func keysFinding() -> DoctorFinding {
    var faults: [String] = []
    for key in [settings.patients.siteKeyFile, settings.outbox.keyFile] {
      do { _ = try device.secrets.bytes(of: key) } catch { faults.append("\(error)") }
    }
    guard faults.isEmpty else {
      return .fail(
        .keys, faults.joined(separator: "; "),
        remedy:
          "restore the named files from your copy, with mode 0600; only on a new device: thermograph outbox key make")
    }
    let sources = [settings.patients.siteKeyFile, settings.outbox.keyFile].map { $0.isFile ? "file" : "credential" }
    return .pass(
      .keys, "site key (\(sources[0])) and outbox key (\(sources[1])) are whole, and nobody else can read them")
  }

  func modelFinding() -> DoctorFinding {
    let names = [settings.screening.model, settings.quality.model].compactMap { $0 }
    guard !names.isEmpty else {
      return .warn(.model, "no model is configured: captures carry no verdict", remedy: "[screening] model = ...")
    }
    var seen: [String] = []
    for name in names {
      let path = settings.paths.modelsDirectory + "/" + name
      do {
        let model = try ModelFolder(path: path, digests: digests)
        guard let result = try goldenRun(model.manifest, path: path) else {
          seen.append("\(name): hash right, golden files are not installed")
          continue
        }
        seen.append(
          "\(name) \(model.manifest.version): \(result.samples) golden samples equal to the last bit (\(result.kernels))"
        )
      } catch {
        return .fail(.model, "\(name): \(error)", remedy: "install the package or the model again")
      }
    }
    return .pass(.model, seen.joined(separator: "; "))
  }

  /// nil when the model's golden files are not here.
  private func goldenRun(_ manifest: ModelManifest, path: String) throws -> ModelVerification? {
    do {
      return try ModelVerification(manifest, digests: digests) { file, maximumBytes in
        try BoundedFile.read("\(path)/\(file)", maximumBytes: maximumBytes)
      }
    } catch let error as FileError where error.isMissing {
      return nil
    }
  }

  func outboxFinding() -> DoctorFinding {
    do {
      _ = try device.secrets.sealingKey(settings.outbox.keyFile)
    } catch {
      return .skip(.outbox, "without its key it cannot be read; see the part keys")
    }
    let configuration: OutboxConfiguration
    do {
      configuration = try OutboxConfiguration(settings, secrets: device.secrets)
    } catch {
      return .fail(
        .outbox, "\(error)", remedy: "restore the file, or take outbox.older_key_file out of the configuration")
    }
    return outboxFinding(configuration)
  }

  private func outboxFinding(_ configuration: OutboxConfiguration) -> DoctorFinding {
    do throws(OutboxError) {
      let tool = try OutboxTool(configuration, time: time)
      var total = VerificationReport()
      var next: Int64? = 0
      while let from = next {
        let part = try tool.verify(after: from, limit: 256)
        total.checked += part.checked
        total.unreadable += part.unreadable
        total.locked += part.locked
        next = part.next
      }
      let accounts = tool.accounts
      let waiting = DeliveryClass.allCases.reduce(0) { $0 + accounts.backlog($1).rows }
      let what = "\(total.checked) messages whole, \(waiting) waiting, \(accounts.total.bytes / 1000) kB"
      if !total.unreadable.isEmpty {
        return .fail(
          .outbox, "\(total.unreadable.count) messages are damaged and set aside; \(what)",
          remedy: "thermograph outbox list --state quarantined; examine the card")
      }
      if !total.locked.isEmpty {
        return .warn(
          .outbox, "\(total.locked.count) messages are sealed with another key; \(what)",
          remedy: "restore the former key and name it in outbox.older_key_file")
      }
      if let reason = configuration.quota.captureRefusalReason(in: accounts) {
        return .fail(
          .outbox, "full, captures are refused: \(reason); \(what)",
          remedy: "bring the line up, or carry it away: thermograph outbox export FOLDER --recipient CERTIFICATE")
      }
      return .pass(.outbox, what)
    } catch .noDatabase {
      return .pass(.outbox, "none yet; the service makes it at its first start")
    } catch {
      return .fail(.outbox, "\(error)", remedy: "the service repairs it at its next start; keep a copy of the card")
    }
  }

  /// Looks at every file and moves none: what is damaged is set aside by whoever uses it next.
  func baselinesFinding() async -> DoctorFinding {
    do {
      let configuration = try BaselineConfiguration(anyway: settings, secrets: device.secrets)
      guard try BoundedFile.exists(configuration.directory) else {
        return settings.change.isEnabled
          ? .pass(.baselines, "none yet; the service keeps them from the first capture on")
          : .skip(.baselines, "the comparison over time is switched off, and nothing is kept")
      }
      let found = try await BaselineStore(configuration).inspect()
      let what = "\(found.whole) of at most \(configuration.patientsMaximum) patients whole"
      if found.damaged + found.setAside > 0 {
        return .fail(
          .baselines,
          "\(what); \(found.damaged) damaged, \(found.setAside) set aside: the comparison of these patients begins anew",
          remedy:
            "thermograph patient import FILE brings them back from an export; examine the card; then remove "
            + "*\(BaselineStore.damagedSuffix) in \(configuration.directory)"
        )
      }
      if found.locked > 0 {
        return .warn(
          .baselines, "\(what); \(found.locked) under a key that is not loaded, or of a newer program",
          remedy: "restore the former key and name it in outbox.older_key_file, or install the newer program")
      }
      return found.whole >= configuration.patientsMaximum
        ? .warn(
          .baselines, "\(what): nobody else is compared",
          remedy: "raise change.patients_maximum, or remove some with thermograph patient forget")
        : .pass(.baselines, what)
    } catch {
      return .fail(.baselines, "\(error)", remedy: "thermograph patient list names each file; examine the card")
    }
  }

  /// Reads every entry and changes nothing.
  func auditFinding() -> DoctorFinding {
    let files = AuditFiles(stateDirectory: settings.paths.stateDirectory)
    do {
      guard try BoundedFile.exists(files.keyPath) else {
        return .pass(.audit, "no audit key yet; enrolment makes it, or the service at its first start")
      }
      let key = try AuditKey(files, makesOne: false)
      let log: AuditLog
      do throws(AuditLogError) { log = try AuditLog(reading: files.directory, keys: key.sealing) } catch {
        guard case .absent = error else { throw error }
        return .pass(.audit, "none yet; the service begins it at its first start")
      }
      var anchors: [AuditAnchor] = []
      if let bytes = try BoundedFile.readIfThere(
        files.cosignedPath, maximumBytes: Receipt.limits.envelopeBytes),
        let head = try Receipt(unverified: bytes).cosignature
      {
        anchors.append(AuditAnchor(head, source: "the newest cosignature", isWitnessed: true))
      }
      let findings = try log.examine(against: anchors)
      let what =
        "\(log.head.size) entries, \(anchors.first.map { "\($0.head.size)" } ?? "none") cosigned, \(log.byteCount / 1000) kB"
      if let first = findings.first {
        return .fail(
          .audit, "\(findings.count) findings: \(first)",
          remedy: "keep the card as it is; thermograph audit export FOLDER, and have it judged")
      }
      return log.hasRoomForRemote
        ? .pass(.audit, what)
        : .fail(
          .audit, "\(what): full, nothing from afar is done",
          remedy: "connect the device to its receiver, which cosigns")
    } catch {
      return .fail(
        .audit, "\(error)",
        remedy: "captures go on; keep a copy of \(files.directory), move it away, and restart: a new log begins")
    }
  }

  func spaceFinding() -> DoctorFinding {
    let path = settings.paths.stateDirectory
    do throws(FileError) {
      let free = try Folder.freeBytes(at: path)
      let floor = settings.outbox.quota.freeSpaceFloorBytes
      let what = "\(free / 1_000_000) MB free at \(path), the floor is \(floor / 1_000_000) MB"
      if free < floor {
        return .fail(
          .space, "\(what): captures are refused", remedy: "free space, or lower outbox.free_space_floor_bytes")
      }
      return free < floor * 2
        ? .warn(.space, what, remedy: "free space: below the floor captures are refused") : .pass(.space, what)
    } catch {
      return .fail(.space, "\(error)", remedy: "make the state directory: systemd-tmpfiles --create")
    }
  }
}
