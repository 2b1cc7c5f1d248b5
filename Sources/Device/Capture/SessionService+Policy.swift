import Configuration
import Forwarding
import Identification
import LocalFiles
import Logging
import Screening

extension SessionService {
  /// What a change of the configuration may change while the device runs. A session that is open goes on as it began.
  struct Policy: Sendable {
    var rules: SessionRules
    var limits: GateLimits
    var alerts: AlertTable
    /// nil: every tag is a patient's, and known.
    var roster: Roster?
  }
}

extension SessionService.Policy {
  /// Reads the roster that the settings name. Its faulty rows are named and left out; a roster that cannot be read at
  /// all is an error, because every patient would be a stranger.
  init(_ settings: Settings, logger: Logger) throws(FileError) {
    self.init(
      rules: settings.sessionRules, limits: settings.gates, alerts: AlertTable(rules: settings.alerts),
      roster: nil)
    guard let path = settings.patients.rosterFile else { return }
    let bytes = try BoundedFile.read(path, maximumBytes: RosterReader.largestByteCount)
    let (roster, faults) = RosterReader.read(bytes)
    for fault in faults { logger.warning("roster", metadata: ["fault": "\(path):\(fault)"]) }
    logger.notice("roster", metadata: ["tags": "\(roster.count)", "faults": "\(faults.count)"])
    self.roster = roster
  }
}
