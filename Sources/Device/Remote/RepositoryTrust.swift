import LocalFiles
import Logging
import Provenance
import Storage
import Synchronization
import Trust

/// What the running device trusts of one repository. It is verified again whenever it has changed on the disk, so that what
/// a technician imports counts at once.
package final class RepositoryTrust: Sendable {
  private let store: TrustStore
  private let clock: @Sendable () -> ExpiryClock
  private let logger: Logger
  private let state = Mutex(State())

  private struct State {
    var stamp: FileStatus?
    var known: Result<TrustedRepository?, MetadataFault>?
    var told: String?
  }

  package init(_ store: TrustStore, clock: @escaping @Sendable () -> ExpiryClock, logger: Logger) {
    self.store = store
    self.clock = clock
    self.logger = logger
  }

  package var root: TrustRoot { store.root }

  /// Whether what is trusted has expired, or cannot be shown not to have.
  package func freshness(of repository: TrustedRepository) -> Freshness { repository.freshness(clock()) }

  /// What is trusted now; nil: no such root is installed.
  ///
  /// - Throws: why what was kept is no longer believed.
  package func repository() throws(MetadataFault) -> TrustedRepository? {
    let result: Result<TrustedRepository?, MetadataFault> = state.withLock { state in
      do throws(MetadataFault) {
        let stamp = try store.stamp()
        if let known = state.known, stamp == state.stamp { return known }
        state.stamp = stamp
        state.known = .success(try store.load())
      } catch {
        state.known = .failure(error)
        if state.told != error.description {
          state.told = error.description
          logger.error(
            "the \(store.root.rawValue) root is not to be used", metadata: ["reason": "\(error)"])
        }
      }
      return state.known ?? .success(nil)
    }
    return try result.get()
  }

  /// Whose signatures count for `role`. What cannot be read is believed of nobody.
  package func keys(for role: KeyRole) -> SiteKeys {
    do throws(MetadataFault) {
      guard let repository = try repository() else { return .noRoot }
      return repository.siteKeys(for: role, clock())
    } catch { return .none("\(error)") }
  }

  /// Takes everything newer of `source`, all of it or nothing.
  ///
  /// - Returns: what is trusted now, and whether that is other than before.
  package func update(
    from source: some MetadataSource
  ) throws(MetadataFault) -> (repository: TrustedRepository, isNew: Bool) {
    try store.update(from: source, clock: clock())
  }
}

extension ClockFloor {
  /// The time by which metadata's expiry is judged.
  package func expiryClock(at now: Timestamp) -> ExpiryClock {
    let isProven = believes(now)
    return ExpiryClock(
      seconds: isProven ? max(now.utcNanoseconds / 1_000_000_000, seconds) : seconds, isProven: isProven)
  }
}
