/// The parts of the device that `doctor` looks at, in the order in which a fault of one explains those behind it.
package enum DoctorPart: String, Sendable, Codable, CaseIterable {
  case configuration, devices, keys, bus, camera, eeprom, frame, reader, tag, lines, model, outbox, baselines, audit,
    space
  case clock, name, tls
  case receipt
  case supply, sentinel

  /// Parts of which a fault shows as a fault of this one too.
  package var causes: [DoctorPart] {
    switch self {
    case .bus, .reader: [.devices]
    case .camera: [.devices, .bus]
    case .eeprom, .frame: [.devices, .bus, .camera]
    case .tag: [.devices, .reader]
    case .outbox, .baselines: [.keys]
    case .tls: [.name]
    case .receipt: [.name, .tls]
    default: []
    }
  }

  /// What is looked at; one line for `--list`.
  package var summary: String {
    switch self {
    case .configuration: "every mistake and note in the configuration files"
    case .devices: "kernel devices, their modes and groups, kernel drivers and consoles in the way"
    case .keys: "key files and credentials: there, whole, readable by nobody else"
    case .bus: "the I2C bus and its speed"
    case .camera: "the sensor answers, and which one it is"
    case .eeprom: "the sensor's calibration: plausible, backed up, defective pixels"
    case .frame: "one averaged picture: temperatures, supply, noise"
    case .reader: "the reader's serial port, protocol and speed"
    case .tag: "a tag that is held to the reader"
    case .lines: "button, light and buzzer"
    case .model: "the models' hashes and a golden run on this engine"
    case .outbox: "the outbox: integrity and what waits"
    case .baselines: "the earlier sessions that the comparison over time keeps"
    case .audit: "the audit log: its key, and every entry against what a receiver has cosigned"
    case .space: "free space below the state directory"
    case .clock: "the time, and whether it is synchronised"
    case .name: "the broker's name"
    case .tls: "the TLS handshake and the certificates' dates"
    case .receipt: "a message to the broker and the receiver's receipt"
    case .supply: "under-voltage and throttling of the board"
    case .sentinel: "what the running service makes of its own counters"
    }
  }
}

/// What was found of one part.
package struct DoctorFinding: Sendable, Equatable, Codable {
  package enum Outcome: String, Sendable, Codable {
    case pass, warn, fail
    /// Not looked at, and why.
    case skip
  }

  package var part: DoctorPart
  package var outcome: Outcome
  /// One line: what was seen.
  package var what: String
  /// What to do about it; nil when nothing is to be done.
  package var remedy: String?

  package static func pass(_ part: DoctorPart, _ what: String) -> Self {
    Self(part: part, outcome: .pass, what: what, remedy: nil)
  }

  package static func warn(_ part: DoctorPart, _ what: String, remedy: String) -> Self {
    Self(part: part, outcome: .warn, what: what, remedy: remedy)
  }

  package static func fail(_ part: DoctorPart, _ what: String, remedy: String) -> Self {
    Self(part: part, outcome: .fail, what: what, remedy: remedy)
  }

  package static func skip(_ part: DoctorPart, _ why: String) -> Self {
    Self(part: part, outcome: .skip, what: why, remedy: nil)
  }

  /// A failure that a part before it explains is not a second thing to repair.
  ///
  /// - Parameter failed: the parts that were looked at before and failed.
  package func explained(by failed: [DoctorPart]) -> Self {
    guard outcome == .fail, let cause = part.causes.first(where: failed.contains) else { return self }
    return .skip(part, "follows from \(cause.rawValue): \(what)")
  }

  /// `pass  camera         MLX90640 ...`, and the remedy below it.
  package var text: String {
    let name = part.rawValue + String(repeating: " ", count: max(1, 15 - part.rawValue.count))
    let line = "\(outcome.rawValue)  \(name)\(what)"
    return remedy.map { line + "\n      " + String(repeating: " ", count: 15) + "-> \($0)" } ?? line
  }
}
