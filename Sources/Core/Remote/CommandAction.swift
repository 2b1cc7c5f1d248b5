import Forwarding
import Provenance
import Trust

/// What a device does when it is told to, and nothing beyond: no shell, no path, no key, no gate.
package enum CommandAction: Sendable, Equatable {
  /// Publishes the birth message again.
  case status
  /// Looks at parts of the device; empty: all. The names are the doctor's to know.
  case doctor(parts: [String])
  /// These captures wait for delivery again.
  case resend([RandomIdentifier])
  /// Images are not sent for so long; records and alerts are. 0 ends a pause.
  case holdImages(seconds: Int)
  /// The log's level, for so long.
  case logLevel(String, minutes: Int)
  /// A session waits for this patient's own tag; nothing is captured before it.
  case captureRequest(patient: String)
  /// A light of its own, so that somebody who stands before several devices finds this one.
  case identify(seconds: Int)
  /// An orderly end while nobody is before the device; the system starts it again.
  case restart
  /// The director's word: this unit shall be tried, within a window of the day (UTC) if there is one.
  case updateInstall(UnitTarget, window: SyncWindow?)
  /// Back to the model before, never to anything else.
  case updateRollback(ModelSlot)
  /// Ends a lock-down.
  case sentinelRelease
  /// Takes over earlier sessions of patients, sealed by the site's key as on a stick.
  case patientRestore(sealed: [UInt8])

  package static let names = [
    "status", "doctor", "resend", "hold-images", "log-level", "capture-request", "identify", "restart",
    "update-install", "update-rollback", "sentinel-release", "patient-restore",
  ]
  /// Names that are reserved and not done yet; a device says so.
  package static let laterNames = ["audit-prove"]

  private static let mostParts = 32
  private static let patientBytesMaximum = 64
  /// What an envelope of 16 KiB has room for.
  package static let transferBytes: ClosedRange<Int> = 1...8700
  /// A command holds some 290 ids: its envelope has at most 16 KiB.
  package static let mostCaptures = 1000
  package static let holdSeconds: ClosedRange<Int64> = 0...86_400
  package static let identifySeconds: ClosedRange<Int64> = 1...30
  package static let logMinutes: ClosedRange<Int64> = 1...60
  private static let logLevels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]

  /// Whether it changes something. What changes nothing is done without a proof of its time.
  package var hasEffect: Bool {
    switch self {
    case .status, .doctor: false
    case .resend, .holdImages, .logLevel, .captureRequest, .identify, .restart, .updateInstall, .updateRollback,
      .sentinelRelease, .patientRestore:
      true
    }
  }

  /// Whether it is taken while the device is locked down: what changes nothing, and what ends the lock-down.
  package var isTakenInLockDown: Bool { !hasEffect || self == .sentinelRelease }

  /// - Throws: `ShapeFault` that names the argument, what it is and what it should be.
  init(_ name: ExactText, _ arguments: JSONObject) throws(ShapeFault) {
    func only(_ known: Set<ExactText>) throws(ShapeFault) {
      // An argument that we do not know might be the one that matters.
      if let other = arguments.members(beyond: known).first {
        throw ShapeFault("\(name) takes no argument '\(other.name.string.prefix(40))'")
      }
    }
    switch name.string {
    case "status":
      try only([])
      self = .status
    case "doctor":
      try only(["parts"])
      self = .doctor(
        parts: arguments["parts"] == nil
          ? [] : try arguments.texts("parts", maximum: Self.mostParts).map { String($0.string.prefix(64)) })
    case "resend":
      try only(["capture_ids"])
      var ids: [RandomIdentifier] = []
      for text in try arguments.texts("capture_ids", maximum: Self.mostCaptures) {
        guard let id = RandomIdentifier(text.string) else {
          throw ShapeFault("'capture_ids' holds something that is no UUID of 36 characters")
        }
        if !ids.contains(id) { ids.append(id) }
      }
      guard !ids.isEmpty else { throw ShapeFault("'capture_ids' is empty; expected 1...\(Self.mostCaptures)") }
      self = .resend(ids)
    case "hold-images":
      try only(["seconds"])
      self = .holdImages(seconds: Int(try arguments.integer("seconds", in: Self.holdSeconds)))
    case "log-level":
      try only(["level", "minutes"])
      let level = try arguments.text("level").string
      guard Self.logLevels.contains(level) else {
        throw ShapeFault("'level' is none; expected \(Self.logLevels.joined(separator: ", "))")
      }
      self = .logLevel(level, minutes: Int(try arguments.integer("minutes", in: Self.logMinutes)))
    case "capture-request":
      try only(["patient_ref"])
      let patient = try arguments.text("patient_ref").string
      guard (1...Self.patientBytesMaximum).contains(patient.utf8.count) else {
        throw ShapeFault("'patient_ref' has \(patient.utf8.count) bytes; expected 1...\(Self.patientBytesMaximum)")
      }
      self = .captureRequest(patient: patient)
    case "identify":
      try only(["seconds"])
      self = .identify(seconds: Int(try arguments.integer("seconds", in: Self.identifySeconds)))
    case "restart":
      try only([])
      self = .restart
    case "update-install":
      try only(["target", "version", "window"])
      let version = try arguments.integer("version", in: UnitTarget.versions)
      guard let target = UnitTarget(model: try arguments.text("target").string, version: version) else {
        throw ShapeFault("'target' is no model's id; expected 1 to 36 of a-z, 0-9 and hyphen")
      }
      var window: SyncWindow?
      if let text = try arguments.optionalText("window") {
        window = SyncWindow(text.string)
        guard window != nil else { throw ShapeFault("'window' is none; expected HH:MM-HH:MM in UTC") }
      }
      self = .updateInstall(target, window: window)
    case "update-rollback":
      try only(["kind"])
      guard let slot = ModelSlot(rawValue: try arguments.text("kind").string) else {
        throw ShapeFault("'kind' is none; expected \(ModelSlot.allCases.map(\.rawValue).joined(separator: " or "))")
      }
      self = .updateRollback(slot)
    case "sentinel-release":
      try only([])
      self = .sentinelRelease
    case "patient-restore":
      try only(["transfer"])
      guard let sealed = Base64Text.bytes(of: try arguments.text("transfer")), Self.transferBytes.contains(sealed.count)
      else {
        throw ShapeFault("'transfer' is no base64 of 1...\(Self.transferBytes.upperBound) bytes")
      }
      self = .patientRestore(sealed: sealed)
    case let name where Self.laterNames.contains(name): throw ShapeFault("\(name) is not done by this version")
    default: throw ShapeFault("there is no such command; expected one of \(Self.names.joined(separator: ", "))")
    }
  }
}
