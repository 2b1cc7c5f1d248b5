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
    /// Why the roster that is configured names nobody; the policy for unknown tags decides then.
    var rosterProblem: String?
  }
}

extension SessionService.Policy {
  /// Reads the roster that the settings name. Its faulty rows are named and left out. A roster that cannot be read at all
  /// keeps no picture from being taken: every tag is unknown then, `patients.unknown_tag` decides, and everybody is told.
  init(_ settings: Settings, logger: Logger) {
    self.init(
      rules: settings.sessionRules, limits: settings.gates, alerts: AlertTable(rules: settings.alerts),
      roster: nil)
    guard let path = settings.patients.rosterFile else { return }
    let (roster, faults) = Self.readRoster(path)
    for fault in faults { logger.warning("roster", metadata: ["fault": "\(fault)"]) }
    if roster.count == 0, let first = faults.first {
      rosterProblem = "the roster names nobody: \(first)"
      logger.error("roster", metadata: ["reason": "\(first)", "unknown_tag": "\(rules.unknownTags.rawValue)"])
    } else {
      logger.notice("roster", metadata: ["tags": "\(roster.count)", "faults": "\(faults.count)"])
    }
    self.roster = roster
  }

  /// The roster of the file, empty when it cannot be read, and what is wrong with it.
  private static func readRoster(_ path: String) -> (Roster, faults: [String]) {
    do throws(FileError) {
      let (roster, faults) = RosterReader.read(try BoundedFile.read(path, maximumBytes: RosterReader.largestByteCount))
      return (roster, faults.map { "\(path):\($0)" })
    } catch {
      return (Roster(), ["\(error)"])
    }
  }
}
