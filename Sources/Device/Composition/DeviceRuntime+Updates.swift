import Configuration
import Forwarding
import LinuxIO
import Logging
import Provenance
import Remote
import Screening
import Storage
import Trust

// Which models decide, and how updates take their place.
extension DeviceRuntime {
  var updateStore: UpdateStore { UpdateStore(stateDirectory: settings.paths.stateDirectory) }

  /// What decides, for who only looks. Who may not read the record has the installed models, and is told.
  var readableBook: UpdateBook {
    get throws(UpdateStoreError) {
      do throws(UpdateStoreError) { return try updateStore.read() } catch {
        guard case .file(let fault) = error, fault.isForbidden else { throw error }
        logger.warning("the installed models are used: what came as an update cannot be seen by this user")
        return UpdateBook()
      }
    }
  }

  /// The path of the model that the configuration names for a slot; nil: none.
  private func installedModel(_ slot: ModelSlot) -> String? {
    let name = slot == .screening ? settings.screening.model : settings.quality.model
    return name.map { settings.paths.modelsDirectory + "/" + $0 }
  }

  /// The model of a slot: the record's unit, or the one that the configuration names. nil: the configuration names none,
  /// and what a technician does not want no update brings.
  func modelFolder(_ slot: ModelSlot, _ book: UpdateBook, _ digests: OpenSSLDigests) throws -> ModelFolder? {
    guard let path = installedModel(slot) else { return nil }
    guard let unit = book[slot].active.unit else { return try ModelFolder(path: path, digests: digests) }
    let files = try ModelFiles(unit: try updateStore.bytes(of: unit), path: updateStore.path(of: unit))
    let folder = try ModelFolder(files, digests: digests)
    guard folder.unitSHA256 == unit.unitSHA256 else {
      throw ModelFolderError(path: folder.path, reason: "holds another manifest than the record says")
    }
    return folder
  }

  /// The record at a start, before any model is loaded. A unit that cannot be used has given way to the one before it.
  func usableBook(_ digests: OpenSSLDigests, _ board: StatusBoard) -> UpdateBook {
    do {
      var book = try updateStore.apply(.started)
      for slot in ModelSlot.allCases {
        while let unit = book[slot].active.unit, let reason = fault(of: slot, book, digests) {
          logger.error(
            "a model that came as an update cannot be used; the one before it takes its place",
            metadata: ["model": "\(unit.model)", "version": "\(unit.version)", "reason": "\(reason)"])
          book = try updateStore.apply(.unusable(slot, reason: reason))
        }
      }
      return book
    } catch {
      board.note(.updates, "the installed models decide: \(error)")
      logger.error(
        "the record of updates cannot be used; the installed models decide", metadata: ["reason": "\(error)"])
      return UpdateBook()
    }
  }

  private func fault(of slot: ModelSlot, _ book: UpdateBook, _ digests: OpenSSLDigests) -> String? {
    do {
      let folder = try modelFolder(slot, book, digests)
      if slot == .screening { _ = try folder?.networkForPatients() } else { _ = try folder?.qualityNetwork() }
      return nil
    } catch { return "\(error)" }
  }

  // MARK: - Service

  /// - Parameter book: what the device started with.
  func updateService(_ parts: Supervised, _ book: UpdateBook, _ intake: ShadowIntake, _ partIntake: PartIntake?)
    -> UpdateService
  {
    let (time, outbox, session) = (parts.common.time, parts.outbox, parts.session)
    let vendor = parts.trust?.vendor
    let trials = TrialProcess(executable: "/proc/self/exe", logger: logger)
    return UpdateService(
      parts: .init(
        store: updateStore,
        trial: { await trials.run($0, isWanted: $1) },
        installed: { installedModel($0) },
        quietSeconds: {
          let snapshot = session.snapshot
          guard snapshot.state == .idle else { return nil }
          let now = time.now().monotonicNanoseconds
          return Int64(
            clamping: (max(now, snapshot.since.monotonicNanoseconds) - snapshot.since.monotonicNanoseconds)
              / 1_000_000_000)
        },
        load: { await load($0, parts) },
        tell: { message in
          try await outbox.enqueue(.reply(try message.encoded(), created: time.now()))
        },
        audit: parts.audit,
        incoming: partIntake,
        isLineFree: {
          do throws(OutboxError) { return try await outbox.accounts().backlog(.capture).rows == 0 } catch {
            logger.error("the outbox does not answer; no parts are asked for", metadata: ["reason": "\(error)"])
            return false
          }
        },
        // The other half is for what the device sends.
        bytesPerDay: settings.broker.delivery.bytesPerDay.map { $0 / 2 },
        examine: { try UpdateImporter(settings).unit(of: $0, as: $1) },
        isNamed: { Self.isNamed($0, $1, by: vendor) },
        show: { parts.board.update = $0 }),
      intake: intake,
      loaded: Dictionary(uniqueKeysWithValues: ModelSlot.allCases.map { ($0, book[$0].active) }),
      time: time, logger: logger)
  }

  /// Whether the vendor still names a file. Metadata that is not there, or not to be used, says nothing against it.
  private static func isNamed(_ target: UnitTarget, _ fileSHA256: String, by vendor: RepositoryTrust?) -> Bool {
    do {
      guard let trusted = try vendor?.repository(), trusted.metadata.roles.contains(where: { $0.role == "targets" })
      else { return true }
      return try trusted.description(of: ExactText(target.path))?.sha256 == fileSHA256
    } catch { return true }
  }

  /// Builds the models of the record beside the session and hands them over.
  private func load(_ book: UpdateBook, _ parts: Supervised) async -> UpdateService.Loading {
    let (loading, models) = handOver(book, parts)
    if let models { await parts.delivery?.modelsChanged(models) }
    return loading
  }

  /// The part of it that waits for nobody.
  private func handOver(
    _ book: UpdateBook, _ parts: Supervised
  ) -> (UpdateService.Loading, models: [StatusMessage.Model]?) {
    let digests = parts.common.digests
    for slot in ModelSlot.allCases {
      if let reason = fault(of: slot, book, digests) { return (.unusable(slot, reason: reason), nil) }
    }
    do {
      let network = try loadScreeningNetwork(book, digests: digests)
      let models = network.map { [StatusMessage.Model(id: $0.manifest.id, sha256: $0.manifest.model.sha256)] } ?? []
      // The session has its own limits and sentences, and gives them to what it takes.
      let assessor = try loadAssessor(network: network, book, limits: GateLimits(), digests: digests)
      guard parts.common.events.send(.models(Handover(assessor))) else { return (.later, nil) }
      parts.board.note(.model, nil)
      parts.board.note(.quality, nil)
      parts.board.models = models.map { .init(id: $0.id, sha256: $0.sha256) }
      return (.done, models)
    } catch {
      logger.error("models cannot be loaded", metadata: ["reason": "\(error)"])
      return (.later, nil)
    }
  }
}
