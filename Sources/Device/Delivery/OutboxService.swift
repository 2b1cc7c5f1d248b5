import Logging
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
  /// After each round of tidying.
  let tidied: @Sendable () -> Void

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
          tidied()
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
