import Configuration
import Cryptography
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
    var packageFault: String?
  }

  package init(_ store: TrustStore, clock: @escaping @Sendable () -> ExpiryClock, logger: Logger) {
    self.store = store
    self.clock = clock
    self.logger = logger
  }

  package var root: TrustRoot { store.root }
  package var isClockProven: Bool { clock().isProven }
  package var clockNow: ExpiryClock { clock() }

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
        let (repository, fault) = try store.loadBeside()
        state.known = .success(repository)
        state.packageFault = fault
        if let fault, state.told != fault {
          state.told = fault
          logger.error("the package's newer root is not taken up", metadata: ["reason": "\(fault)"])
        }
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

  /// Why a newer root of the package is not taken up; nil: there is none, or it is.
  package var packageFault: String? { state.withLock { $0.packageFault } }

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

/// Both repositories of a device, neither of which can do the other's work.
package struct DeviceTrust: Sendable {
  package let site: RepositoryTrust
  package let vendor: RepositoryTrust
  /// A site root was installed when the device started: from then on its list of keys is the only one.
  package let hasSiteRoot: Bool
  /// What comes on `dn/trust`; nil where no root is installed that it could be judged by.
  let intake: TrustIntake?

  var all: [RepositoryTrust] { [site, vendor] }

  /// Versions by root and role, for the birth; nil: no root is installed.
  var versions: [String: [String: Int64]]? {
    var versions: [String: [String: Int64]] = [:]
    for trust in all {
      do throws(MetadataFault) {
        guard let repository = try trust.repository() else { continue }
        let roles = repository.metadata.roles.prefix(Self.rolesTold).map { ($0.role, $0.version) }
        versions[trust.root.rawValue] = Dictionary(roles, uniquingKeysWith: max)
      } catch { versions[trust.root.rawValue] = [:] }
    }
    return versions.isEmpty ? nil : versions
  }

  /// The four of every repository, and those that it delegates to; a birth stays small.
  private static let rolesTold = 12

  package init(_ settings: Settings, time: any TimeSource, clockFloor: ClockFloor, logger: Logger) {
    site = RepositoryTrust(.site, settings, time: time, clockFloor: clockFloor, logger: logger)
    vendor = RepositoryTrust(.vendor, settings, time: time, clockFloor: clockFloor, logger: logger)
    hasSiteRoot = site.isInstalled
    intake = hasSiteRoot || vendor.isInstalled ? TrustIntake() : nil
  }
}

extension RepositoryTrust {
  /// What the state directory of a configuration holds, and for the vendor what the package brought.
  package convenience init(
    _ root: TrustRoot, _ settings: Settings, time: any TimeSource, clockFloor: ClockFloor? = nil,
    logger: Logger = Logger(label: "trust") { _ in SwiftLogNoOpLogHandler() }
  ) {
    let floor =
      clockFloor
      ?? ClockFloor(path: settings.paths.stateDirectory + "/" + StateFiles.trustedTime, logger: logger)
    self.init(
      TrustStore(
        root, stateDirectory: settings.paths.stateDirectory,
        packagedRoot: root == .vendor ? TrustStore.packagedVendorRoot : nil, verifier: OpenSSLVerifier()),
      clock: { floor.expiryClock(at: time.now()) }, logger: logger)
  }

  /// Whether there is a root of this kind, be it one that can no longer be read.
  package var isInstalled: Bool {
    do throws(MetadataFault) { return try repository() != nil } catch { return true }
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
