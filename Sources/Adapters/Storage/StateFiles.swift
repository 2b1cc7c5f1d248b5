import LocalFiles
import Trust

/// Everything that the running device and its tools make in the state directory: the one list. Whoever makes a file there
/// takes its name from here, and the end of the device's life erases all of it.
package enum StateFiles {
  package static let outbox = "outbox.sqlite"
  /// The session that is under way.
  package static let session = "session.json"
  /// The last time that a time source vouched for.
  package static let trustedTime = "trusted-time"
  /// The sentinel's window of counters.
  package static let counters = "counters"
  /// There while the device is locked down.
  package static let lockDown = "lock-down"
  /// Which release runs, which one ran before, and which one is confirmed.
  package static let release = "release.json"
  /// A folder: what is kept about each sensor.
  package static let sensors = "sensors"
  /// A folder: the keys that are made on the device.
  package static let keys = "keys"
  /// A folder: what the comparison over time keeps, a file a patient.
  package static let baselines = "baselines"
  /// A folder: the record of updates, and what is on its way.
  package static let updates = "updates"
  static let updateBook = "state.json"
  static let updateLock = "lock"
  static let incoming = "incoming"
  /// A folder: models that came as updates.
  package static let models = "models"
  static let unitStore = "store"
  /// A folder: what is trusted of the vendor's and of the site's repository, a folder each.
  package static let trust = "trust"
  /// A folder: the audit log.
  package static let audit = "audit"
  /// A folder: what tools did, on its way into the audit log.
  static let auditNotes = "audit/notes"
  /// A folder: configurations from afar.
  package static let remoteConfiguration = "remote/config"
  /// Each may have a file beside it that was set aside.
  package static let maximumBaselinePatients = 3000

  /// What lies beside the database and begins with its name: SQLite's log, its index of the log and its journal, the
  /// reserve of numbers, the commit counter, the ballast, a damaged database that was set aside, and one that is being
  /// made from it.
  static let outboxSuffixes = [
    "", "-wal", "-shm", "-journal", ".numbers", CommitMark.suffix, ".ballast", OutboxRecovery.damagedSuffix,
    OutboxRecovery.damagedSuffix + "-wal", OutboxRecovery.partialSuffix, OutboxRecovery.partialSuffix + "-wal",
    OutboxRecovery.partialSuffix + "-shm", OutboxRecovery.partialSuffix + "-journal", OutboxRecovery.rebuiltSuffix,
  ]
  private static let folders =
    [keys, sensors, baselines, remoteConfiguration, auditNotes, audit]
    + TrustRoot.allCases.map { "\(trust)/\($0.rawValue)" } + [
      "\(updates)/\(incoming)", updates, "\(models)/\(unitStore)", models,
    ]
  static let maximumNames = 8192

  /// The paths of all of them, the keys first, whether they are there or not; of folders what lies in them.
  package static func all(in directory: String) throws(FileError) -> [String] {
    var paths: [String] = []
    for folder in folders {
      let path = directory + "/" + folder
      guard try BoundedFile.exists(path) else { continue }
      paths += try Folder.names(in: path, maximumNames: maximumNames).sorted().filter {
        !folders.contains("\(folder)/\($0)")
      }.map { path + "/" + $0 }
    }
    // What was being written when the program was killed.
    if try BoundedFile.exists(directory) {
      paths += try Folder.names(in: directory, maximumNames: maximumNames).sorted().filter(OpenFolder.isTemporary)
        .map { directory + "/" + $0 }
    }
    return paths + outboxSuffixes.map { directory + "/" + outbox + $0 }
      + [session, trustedTime, counters, lockDown, release].map { directory + "/" + $0 }
  }

  /// Folders of the list, which are empty once everything in them is erased.
  package static func allFolders(in directory: String) -> [String] {
    (folders + [String(remoteConfiguration.prefix { $0 != "/" }), trust]).map { directory + "/" + $0 }
  }
}
