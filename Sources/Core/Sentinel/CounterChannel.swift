/// What the device counts of itself, in the order of the sentinel's window. The order is part of the model and of the
/// recorder's file: a new channel goes to the end of both.
package enum CounterChannel: Int, Sendable, CaseIterable {
  /// Connections to the control socket, those that were refused included.
  case connections
  case refused
  /// Bytes of topics and payloads that the broker sent down.
  case bytesIn
  /// Mean of the step in ms, from handing a message over until the broker has it; missing where none was settled.
  case publishLatency
  case reconnects
  /// Messages on `dn/` that are no believed receipt.
  case commandsReceived
  case commandsMalformed
  /// Wrong signatures, of receipts too, and what is meant for another device.
  case commandsBadlySigned
  /// Known or expired commands, and retained messages, which a broker gives again and again.
  case commandsReplayed
  /// Tags that were refused, operators' included, and peers that may not control the service.
  case loginsFailed
  /// This program's processor time in percent of one core, at most 100.
  case processor
  /// Of the board, in centi-degC; what is below 0 counts as 0.
  case temperature
  /// How often the case was opened; missing without a contact.
  case caseOpened
  /// Failed readings of the camera.
  case busErrors
  /// The least movement between two sub-pages within the step, in centikelvin: of a picture at rest it is the noise, and of
  /// a camera that says the same again and again it is 0.
  case noise
  /// Of the camera's own sensor, in centi-degC; what is below 0 counts as 0.
  case ambient

  package static let count = allCases.count

  /// As the model's manifest and the recorder's file call it.
  package var name: String {
    switch self {
    case .connections: "network.connections"
    case .refused: "network.refused"
    case .bytesIn: "network.bytes_in"
    case .publishLatency: "network.publish_latency"
    case .reconnects: "network.reconnects"
    case .commandsReceived: "command.received"
    case .commandsMalformed: "command.malformed"
    case .commandsBadlySigned: "command.bad_signature"
    case .commandsReplayed: "command.replayed"
    case .loginsFailed: "login.failed"
    case .processor: "device.cpu"
    case .temperature: "device.temperature"
    case .caseOpened: "device.case_opened"
    case .busErrors: "sensor.bus_errors"
    case .noise: "sensor.noise"
    case .ambient: "environment.ambient"
    }
  }

  package var group: CounterGroup {
    switch self {
    case .connections, .refused, .bytesIn, .publishLatency, .reconnects: .network
    case .commandsReceived, .commandsMalformed, .commandsBadlySigned, .commandsReplayed, .loginsFailed: .commands
    case .processor, .temperature, .caseOpened: .device
    case .busErrors, .noise, .ambient: .sensing
    }
  }
}

/// Channels that are left out together when it is asked which of them spoke.
package enum CounterGroup: String, Sendable, CaseIterable, Codable {
  case network
  /// Commands, and logins with them.
  case commands
  case device
  /// The camera and its surroundings.
  case sensing

  /// For a person.
  package var sentence: String {
    switch self {
    case .network: "network and control socket"
    case .commands: "commands and logins"
    case .device: "processor, temperature and case"
    case .sensing: "camera and surroundings"
    }
  }
}

/// One step of all channels: each 0...`maximum`, or missing.
package struct CounterStep: Sendable, Hashable {
  package static let missing: Int32 = -1
  /// Larger counts are taken as it.
  package static let maximum: Int32 = 1 << 24

  /// Lanes in the order of `CounterChannel`.
  private var lanes: SIMD16<Int32>

  /// Every channel missing.
  package init() { lanes = SIMD16(repeating: Self.missing) }

  /// nil: missing. What is set is brought into 0...`maximum`.
  package subscript(channel: CounterChannel) -> Int? {
    get {
      let value = lanes[channel.rawValue]
      return value == Self.missing ? nil : Int(value)
    }
    set {
      lanes[channel.rawValue] = newValue.map { Int32(min(max($0, 0), Int(Self.maximum))) } ?? Self.missing
    }
  }

  /// The lane as a file holds it; nil when it is no value of a channel.
  init?(stored: [Int32]) {
    guard stored.count == CounterChannel.count,
      stored.allSatisfy({ $0 == Self.missing || (0...Self.maximum).contains($0) })
    else { return nil }
    lanes = SIMD16(stored)
  }

  var stored: [Int32] { (0..<CounterChannel.count).map { lanes[$0] } }
}
