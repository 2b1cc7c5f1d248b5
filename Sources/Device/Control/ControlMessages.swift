import Forwarding
import FoundationEssentials
import Provenance

/// What a tool asks the running service: one line of JSON.
package struct ControlRequest: Sendable, Equatable, Codable {
  package enum Kind: String, Sendable, Codable, CaseIterable {
    case status
    case doctor
    case capture
    case reload
    case correct
    case sentinel
    case release
    case hold
    case confirm
  }

  package var request: Kind
  /// `doctor`: names of `DoctorPart`.
  package var parts: [String]?
  /// `doctor`: how long to wait for a receipt, 100...60_000; nil for 10 s.
  package var receiptMilliseconds: Int?
  /// `capture`: the patient's pseudonym or the id that the roster gives.
  package var patient: String?
  /// `correct`: what is to be put right.
  package var correction: CorrectionRequest?
  /// `sentinel`: go on with each step that comes.
  package var follow: Bool?
  /// `sentinel`: steps behind this one.
  package var after: Int?
  /// `hold`: how long to wait for a free device, and how long nobody must have been before it; 0...86_400 s.
  package var waitSeconds: Int?
  package var quietSeconds: Int?

  package init(
    _ request: Kind, parts: [String]? = nil, receiptMilliseconds: Int? = nil, patient: String? = nil,
    correction: CorrectionRequest? = nil, waitSeconds: Int? = nil, quietSeconds: Int? = nil
  ) {
    self.correction = correction
    self.waitSeconds = waitSeconds
    self.quietSeconds = quietSeconds
    self.request = request
    self.parts = parts
    self.receiptMilliseconds = receiptMilliseconds
    self.patient = patient
  }

  private enum CodingKeys: String, CodingKey {
    case request, parts, patient, correction, follow, after
    case waitSeconds = "wait_seconds"
    case quietSeconds = "quiet_seconds"
    case receiptMilliseconds = "receipt_milliseconds"
  }

  /// Reads one line. The listener has bounded its size.
  package init(decoding line: [UInt8]) throws(ControlRefusal) {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(line))
    } catch {
      let kinds = Kind.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw ControlRefusal("no request; expected one line of JSON such as {\"request\":\"status\"}, of \(kinds)")
    }
    let texts = (parts ?? []) + [patient ?? ""]
    guard (parts ?? []).count <= 64, texts.allSatisfy({ $0.utf8.count <= 128 }) else {
      throw ControlRefusal("the request's texts are longer than 128 bytes or more than 64")
    }
    guard (100...60_000).contains(receiptMilliseconds ?? 100) else {
      throw ControlRefusal("receipt_milliseconds is 100 to 60000")
    }
    guard [waitSeconds, quietSeconds].allSatisfy({ HoldRules.seconds.contains($0 ?? 0) }) else {
      throw ControlRefusal(
        "wait_seconds and quiet_seconds are \(HoldRules.seconds.lowerBound) to \(HoldRules.seconds.upperBound)")
    }
  }
}

/// Why a request was not carried out; for a person.
package struct ControlRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// One line of an answer. Exactly one member is set.
package struct ControlReply: Sendable, Codable {
  package var error: String?
  package var status: DeviceReport?
  package var findings: [DoctorFinding]?
  package var changes: ReloadReport?
  /// A correction that was made and holds.
  package var correction: CorrectionMessage?
  /// A capture under way, a line at each change; the last one says `isOver`.
  package var capture: CaptureProgress?
  /// A line for each step that comes, where they are followed.
  package var sentinel: SentinelReport?
  /// The lock-down was ended.
  package var released: Bool?
  /// A hold, a line at each change; it lasts as long as the connection.
  package var hold: HoldProgress?
  /// What `confirm` wrote down.
  package var release: ReleaseRecord?

  package init() {}

  package static func error(_ text: String) -> Self {
    var reply = Self()
    reply.error = text
    return reply
  }

  package init(decoding line: [UInt8]) throws(ControlRefusal) {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(line))
    } catch {
      throw ControlRefusal("the service's answer is not understood; is it of the same release as this tool?")
    }
  }

  /// One line, without its end.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }
}

/// How a capture that was asked for stands.
package struct CaptureProgress: Sendable, Equatable, Codable {
  package var state: String
  /// What the person before the device is being told.
  package var sentence: String
  package var framesAveraged: Int?
  package var framesWanted: Int?
  package var savedViews: [String]
  package var isOver: Bool
  /// Of a session that is over: every view is saved.
  package var isComplete: Bool?
  /// Why it is not complete.
  package var reason: String?

  package init(
    state: String, sentence: String, framesAveraged: Int? = nil, framesWanted: Int? = nil, savedViews: [String] = [],
    isOver: Bool = false
  ) {
    self.state = state
    self.sentence = sentence
    self.framesAveraged = framesAveraged
    self.framesWanted = framesWanted
    self.savedViews = savedViews
    self.isOver = isOver
  }

  private enum CodingKeys: String, CodingKey {
    case state, sentence, reason
    case isComplete = "complete"
    case framesAveraged = "frames_averaged"
    case framesWanted = "frames_wanted"
    case savedViews = "saved_views"
    case isOver = "over"
  }
}

/// What a reload did.
package struct ReloadReport: Sendable, Equatable, Codable {
  /// Changes that are in force now, and those that wait for a restart; one line each.
  package var applied: [String]
  package var needRestart: [String]
  /// Files that the configuration names and that cannot be used; nil where there is none.
  package var problems: [String]?

  package init(applied: [String] = [], needRestart: [String] = []) {
    self.applied = applied
    self.needRestart = needRestart
  }

  private enum CodingKeys: String, CodingKey {
    case applied, problems
    case needRestart = "need_restart"
  }

  /// One line for the log and the terminal.
  package var summary: String {
    if applied.isEmpty && needRestart.isEmpty { return "reloaded; nothing has changed" }
    let now = applied.isEmpty ? [] : ["in force: " + applied.joined(separator: ", ")]
    let later = needRestart.isEmpty ? [] : ["after a restart: " + needRestart.joined(separator: ", ")]
    return "reloaded; " + (now + later).joined(separator: "; ")
  }
}

extension ControlRequest {
  /// One line, without its end.
  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }
}
