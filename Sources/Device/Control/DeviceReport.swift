import Forwarding

/// How the device stands: what `thermograph status` shows, and its `--json`. No patient datum but the pseudonym.
package struct DeviceReport: Sendable, Equatable, Codable {
  package static let schema = "thermograph.device-report.v1"

  package enum Mode: String, Sendable, Codable {
    case running
    /// The configuration is not usable: nothing but status and diagnostics.
    case safe
  }

  package enum Health: String, Sendable, Codable {
    case starting, good, lost
  }

  package struct Clock: Sendable, Equatable, Codable {
    /// RFC 3339.
    package var now: String
    /// `kernel`, `timesyncd` or `none`: who vouches for it.
    package var source: String

    package init(now: String, source: String) {
      self.now = now
      self.source = source
    }
  }

  package struct Camera: Sendable, Equatable, Codable {
    package var health = Health.starting
    /// Why it is lost.
    package var reason: String?
    package var bus = ""
    package var serial = ""
    package var subPagesPerSecond = 0.0
    /// Sub-pages since the start.
    package var subPages = 0
    package var ambientCelsius: Double?
    package var supplyVolts: Double?
    package var isSettling = false
    /// `live`, `first seen` or `backup`: where the calibration comes from.
    package var calibration = ""
    /// Pixels that are interpolated.
    package var defectivePixels = 0

    package init() {}

    private enum CodingKeys: String, CodingKey {
      case health, reason, bus, serial, calibration
      case subPagesPerSecond = "sub_pages_per_second"
      case subPages = "sub_pages"
      case ambientCelsius = "ambient_celsius"
      case supplyVolts = "supply_volts"
      case isSettling = "settling"
      case defectivePixels = "defective_pixels"
    }
  }

  package struct Reader: Sendable, Equatable, Codable {
    package var health = Health.starting
    package var reason: String?
    package var kind = ""
    package var device = ""
    package var baud = 0
    /// Tags that were accepted since the start.
    package var presentations = 0

    package init() {}
  }

  package struct Model: Sendable, Equatable, Codable {
    package var id: String
    package var sha256: String

    package init(id: String, sha256: String) {
      self.id = id
      self.sha256 = sha256
    }
  }

  package struct Session: Sendable, Equatable, Codable {
    package var state: String
    package var sentence: String
    package var patientRef: String?
    package var view: String?
    package var storageIsFull: Bool

    package init(
      state: String, sentence: String = "", patientRef: String? = nil, view: String? = nil, storageIsFull: Bool = false
    ) {
      self.state = state
      self.sentence = sentence
      self.patientRef = patientRef
      self.view = view
      self.storageIsFull = storageIsFull
    }

    private enum CodingKeys: String, CodingKey {
      case state, sentence, view
      case patientRef = "patient_ref"
      case storageIsFull = "storage_full"
    }
  }

  package struct Outbox: Sendable, Equatable, Codable {
    /// Undelivered messages and their bytes by class.
    package var waiting: [String: Int] = [:]
    package var waitingBytes = 0
    package var quarantined = 0
    package var storedBytes = 0
    package var quotaBytes = 0
    /// Age of the oldest undelivered message; nil when nothing waits.
    package var oldestSeconds: Int?

    package init() {}

    private enum CodingKeys: String, CodingKey {
      case waiting, quarantined
      case waitingBytes = "waiting_bytes"
      case storedBytes = "stored_bytes"
      case quotaBytes = "quota_bytes"
      case oldestSeconds = "oldest_seconds"
    }
  }

  package struct Line: Sendable, Equatable, Codable {
    /// `unconfigured`, `connected`, or what it is doing instead.
    package var state = "unconfigured"
    package var broker: String?
    /// e.g. `TLSv1.3`; `none` for plain MQTT.
    package var protection = "none"
    /// In this state, or until the next attempt.
    package var seconds: Int?
    package var lastFailure: String?
    package var certificateDays: Int?
    /// No receiver's signature is asked for; nil while nothing is delivered by receipt.
    package var acceptsUnsignedReceipts: Bool?
    /// Messages on `dn/receipt` that were not believed, and words on what had not left the device, since the start.
    package var receiptsRefused: Int?
    package var receiptsUnfounded: Int?

    package init() {}

    private enum CodingKeys: String, CodingKey {
      case state, broker, protection, seconds
      case acceptsUnsignedReceipts = "accepts_unsigned_receipts"
      case receiptsRefused = "receipts_refused"
      case receiptsUnfounded = "receipts_unfounded"
      case lastFailure = "last_failure"
      case certificateDays = "certificate_days"
    }
  }

  package struct Configuration: Sendable, Equatable, Codable {
    package var path = ""
    package var sha256 = ""
    /// Changes in the files that take effect only after a restart.
    package var needRestart: [String] = []
    /// In safe mode: the mistakes.
    package var faults: [String] = []
    /// nil when nothing ever came from afar.
    package var remote: RemoteConfiguration?

    package init() {}

    private enum CodingKeys: String, CodingKey {
      case path, sha256, faults, remote
      case needRestart = "need_restart"
    }
  }

  /// What others have set on this device.
  package struct RemoteConfiguration: Sendable, Equatable, Codable {
    /// In force; nil: nothing from afar is.
    package var version: Int64?
    /// In force before; `thermograph config rollback` goes back to it.
    package var previous: Int64?
    /// The highest version that was ever taken.
    package var highest: Int64
    /// The version that came last, and what became of it: `waiting`, `trying`, `done`, `rolled-back`, `refused`.
    package var newest: Int64?
    package var state: String?
    /// While it is tried: the line must carry its reply within so many minutes.
    package var confirmMinutes: Int?

    package init(highest: Int64) { self.highest = highest }

    /// For a person: how it stands.
    package var sentence: String {
      var text = version.map { "version \($0) in force" } ?? "nothing in force"
      if let newest, let state {
        switch state {
        case "waiting": text += "; version \(newest) waits until nobody is before the device"
        case "trying":
          text += ", tried: taken back unless the line carries its reply within \(confirmMinutes ?? 0) minutes"
        case "done": break
        default: text += "; version \(newest) was \(state == "rolled-back" ? "taken back" : state)"
        }
      }
      return text
    }

    private enum CodingKeys: String, CodingKey {
      case version, previous, highest, newest, state
      case confirmMinutes = "confirm_minutes"
    }
  }

  /// How long the audit log is.
  package struct AuditLog: Sendable, Equatable, Codable {
    package var entries: UInt64
    package var bytes: Int
    /// Entries that a receiver has seen, and signed that it has; nil: none.
    package var cosignedEntries: UInt64?

    package init(entries: UInt64, bytes: Int, cosignedEntries: UInt64?) {
      self.entries = entries
      self.bytes = bytes
      self.cosignedEntries = cosignedEntries
    }

    private enum CodingKeys: String, CodingKey {
      case entries, bytes
      case cosignedEntries = "cosigned_entries"
    }
  }

  package struct Beat: Sendable, Equatable, Codable {
    package var part: String
    package var secondsAgo: Double

    package init(part: String, secondsAgo: Double) {
      self.part = part
      self.secondsAgo = secondsAgo
    }

    private enum CodingKeys: String, CodingKey {
      case part
      case secondsAgo = "seconds_ago"
    }
  }

  package var schema = DeviceReport.schema
  package var mode = Mode.running
  package var device = ""
  package var site = ""
  package var firmware = ""
  package var processID: Int32 = 0
  package var uptimeSeconds = 0
  package var clock = Clock(now: "", source: "none")
  package var configuration = Configuration()
  package var camera = Camera()
  package var reader = Reader()
  /// Lines of the front panel that were not to be had; nil where no line is configured.
  package var panelProblems: [String]?
  /// Files that the configuration names and that cannot be used; nil where there is none.
  package var fileProblems: [String]?
  package var models: [Model] = []
  /// The update of a model that is under way, in words; nil: none is.
  package var update: String?
  /// What the device thinks of itself, without the steps; nil before anything is counted.
  package var sentinel: SentinelReport?
  package var performance: Performance?
  package var session: Session?
  package var outbox = Outbox()
  package var line = Line()
  package var beats: [Beat] = []
  /// T_total and its terms over the newest captures, by term; nil before the first receipt.
  package var times: [String: TimesDistribution.Figures]?
  /// Of each root that is installed; nil: none is.
  package var trust: [TrustReport]?
  /// nil: none is kept; a complaint says why.
  package var audit: AuditLog?
  /// Every part has started; nil in what an earlier release says.
  package var isReady: Bool?
  /// What is known of this release and the one before; nil where it could not be read, and in safe mode.
  package var release: ReleaseRecord?

  package init() {}

  private enum CodingKeys: String, CodingKey {
    case schema, mode, device, site, firmware, clock, configuration, camera, reader, models, update, session, outbox,
      line, beats, trust, audit, sentinel, release, performance, times
    case isReady = "ready"
    case panelProblems = "panel_problems"
    case fileProblems = "file_problems"
    case processID = "process_id"
    case uptimeSeconds = "uptime_seconds"
  }

  /// What a person must see to, most urgent first; empty for a device in order.
  package var complaints: [String] {
    var complaints = configuration.faults
    if mode == .safe { return complaints }
    if camera.health == .lost { complaints.append("camera lost: \(camera.reason ?? "")") }
    if reader.health == .lost { complaints.append("reader lost: \(reader.reason ?? "")") }
    if let sentinel { complaints += sentinel.complaints }
    complaints += (panelProblems ?? []).map { "front panel: \($0)" }
    complaints += fileProblems ?? []
    if session?.storageIsFull == true { complaints.append("the outbox is full; new captures are refused") }
    if outbox.quarantined > 0 {
      complaints.append("\(outbox.quarantined) messages are set aside: thermograph outbox list")
    }
    if let days = line.certificateDays, days <= 30 {
      complaints.append(days < 0 ? "the certificate has expired" : "the certificate expires in \(days) days")
    }
    if line.acceptsUnsignedReceipts == true {
      complaints.append(
        "receipts are taken without a receiver's signature; name the receivers' keys in delivery.receiver_keys_file")
    }
    if let count = line.receiptsUnfounded, count > 0 {
      complaints.append("receipts named \(count) messages that had not left this device: see the log")
    }
    if let count = line.receiptsRefused, count > 0 {
      complaints.append("\(count) receipts were not believed: see the log")
    }
    for root in trust ?? [] {
      if let reason = root.reason { complaints.append("\(root.root) root: \(reason)") }
    }
    if camera.calibration == "backup" { complaints.append("the camera's calibration is taken from its backup") }
    if clock.source == "none" { complaints.append("the clock is not synchronised") }
    if let remote = configuration.remote, ["waiting", "trying"].contains(remote.state) {
      complaints.append("configuration from afar: \(remote.sentence)")
    }
    if !configuration.needRestart.isEmpty {
      complaints.append("waits for a restart: " + configuration.needRestart.joined(separator: ", "))
    }
    return complaints
  }

  /// `nothing waits`, or `32 captures wait, the oldest for 3 days`.
  package static func backlog(captures: Int, oldestSeconds: Int?) -> String {
    guard captures > 0 else { return "nothing waits" }
    let count = captures == 1 ? "1 capture waits" : "\(captures) captures wait"
    guard let oldestSeconds else { return count }
    let age = inWords(seconds: oldestSeconds)
    return captures == 1 ? "\(count), for \(age)" : "\(count), the oldest for \(age)"
  }

  /// `3 days`, `2 hours`, `5 minutes`: the largest whole unit.
  static func inWords(seconds: Int) -> String {
    let (count, unit) =
      switch seconds {
      case ..<60: (max(seconds, 0), "second")
      case ..<3600: (seconds / 60, "minute")
      case ..<86_400: (seconds / 3600, "hour")
      default: (seconds / 86_400, "day")
      }
    return "\(count) \(unit)\(count == 1 ? "" : "s")"
  }

  package var canCapture: Bool {
    mode == .running && camera.health == .good && session?.storageIsFull != true
  }

  /// One line for `systemctl status`.
  package var summary: String {
    if mode == .safe { return "safe mode: \(configuration.faults.first ?? "the configuration is not usable")" }
    let doing: String =
      if camera.health == .lost {
        "no camera"
      } else {
        session.map { $0.state == "idle" ? "ready for a tag" : $0.state } ?? "ready for a tag"
      }
    let captures = outbox.waiting["capture", default: 0]
    let backlog = Self.backlog(captures: captures, oldestSeconds: outbox.oldestSeconds)
    let away = reader.health == .lost ? "; no reader" : ""
    return "\(doing)\(away); \(backlog); line \(line.state)"
  }
}
