import Identification
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Keeps the outbox open and in order until everybody behind it has ended.
struct OutboxService: Service {
  /// How often delivered captures past their retention are freed and the ballast is taken again.
  private static let maintenancePeriod = Duration.seconds(60)

  /// Payloads opened in one look, to find decay before the clinic asks for them: all of 20,000 in about five hours.
  private static let verificationSlice = 64

  let outbox: Outbox
  let logger: Logger
  /// Messages under an older key are to be sealed anew.
  let reseals: Bool
  /// The database was exchanged for a repaired one: delivery looks at it from the beginning.
  let recovered: @Sendable () -> Void
  /// Everything the outbox tells, for the session.
  let noticed: @Sendable (OutboxNotice) -> Void

  func run() async throws {
    if let report = outbox.recoveryAtStart {
      logger.error("the outbox was damaged and repaired", metadata: ["report": "\(report)"])
    }
    do {
      let locked = try await outbox.countLocked()
      if locked > 0 {
        logger.error(
          "messages wait for the key they were sealed with; name its file in outbox.older_key_file",
          metadata: ["messages": "\(locked)"])
      }
    } catch {
      logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"])
    }
    let listener = Task {
      for await notice in outbox.notices {
        logger.warning("outbox", metadata: ["notice": "\(notice)"])
        switch notice {
        case .recovered, .mended: recovered()
        default: break
        }
        noticed(notice)
      }
    }
    defer { listener.cancel() }
    await cancelWhenGracefulShutdown {
      var verified: Int64 = 0
      var isResealing = reseals
      while !Task.isCancelled {
        do {
          try await Task.sleep(for: Self.maintenancePeriod)
          try await outbox.maintain()
          verified = try await verify(after: verified)
          if isResealing { isResealing = try await reseal() }
        } catch is CancellationError {
          return
        } catch {
          logger.error("the outbox could not be tidied", metadata: ["reason": "\(error)"])
        }
      }
    }
    await outbox.close()
  }

  /// Opens the next slice of payloads; returns where to go on.
  private func verify(after id: Int64) async throws -> Int64 {
    let report = try await outbox.verify(after: id, limit: Self.verificationSlice)
    if !report.unreadable.isEmpty || !report.hollow.isEmpty || !report.reindexed.isEmpty {
      logger.error(
        "messages were damaged on disk",
        metadata: [
          "set_aside": "\(report.unreadable.count)", "without_content": "\(report.hollow.count)",
          "repaired": "\(report.reindexed.count)",
        ])
      recovered()
    }
    return report.next ?? 0
  }

  /// Seals some messages anew; false when there is nothing left to do.
  private func reseal() async throws -> Bool {
    let left = try await outbox.reseal()
    guard left == 0 else { return true }
    logger.notice("every message lies under the present key; outbox.older_key_file may be erased")
    return false
  }
}

/// Passes what the tag reader says to the session.
struct ReaderService: Service {
  let settings: TagReader.Settings
  let events: DeviceEvents
  let time: any TimeSource
  /// Where `status` looks; nil at a terminal.
  let board: StatusBoard?

  func run() async throws {
    let reader = try TagReader(settings, clock: time)
    defer { reader.stop() }
    var isLost = false
    for await event in reader.events.cancelOnGracefulShutdown() {
      switch event {
      case .connected:
        board?.readerConnected()
        if isLost { events.send(.readerReturned) }
        isLost = false
      case .disconnected(let error, _):
        board?.readerLost("\(error)")
        if !isLost { events.send(.readerLost(reason: "\(error)")) }
        isLost = true
      case .presentation(.presented(let reading)):
        board?.tagPresented()
        events.send(.presented(reading))
      case .presentation(.removed): events.send(.removed)
      case .presentation(.ambiguous): events.send(.ambiguousTags)
      case .presentation(.refused): events.send(.unreadableTag)
      case .reading, .reject: break
      }
    }
  }
}

/// Says that the device is up, last of all services, and from then on how it is; tells systemd, too.
struct ReadinessService: Service {
  /// How often the status line is looked at; it is sent when it has changed.
  private static let statusPeriod = Duration.seconds(2)

  let logger: Logger
  let notifier: ServiceNotifier?
  /// Called as soon as a stop is asked for, before any service ends.
  let stopBegins: @Sendable () -> Void
  /// One line for `systemctl status`.
  let status: @Sendable () async -> String

  func run() async throws {
    logger.notice("ready")
    await withGracefulShutdownHandler {
      await cancelWhenGracefulShutdown {
        // Before anything is asked of a part: a slow disk must not delay it.
        var told = "ready for a tag"
        notify(.ready, told)
        while !Task.isCancelled {
          try? await Task.sleep(for: Self.statusPeriod)
          let present = await status()
          if present != told, !Task.isCancelled { notify(nil, present) }
          told = present
        }
      }
    } onGracefulShutdown: {
      stopBegins()
      notify(.stopping, "stopping")
    }
  }

  private func notify(_ state: ServiceNotifier.State?, _ status: String) {
    do {
      try notifier?.notify(state, status: status)
    } catch {
      logger.error("systemd could not be told", metadata: ["reason": "\(error)"])
    }
  }
}
