import Provenance
import Trust

/// What a device knows of configurations from afar: which one is in force, which one is tried, and what was before. It is
/// the one file that decides; the texts lie beside it and are found by their SHA-256, so that no order of writes and no
/// power cut mixes two of them.
///
///     (none) --accept--> waiting --begin--> trying --confirm--> ended: active, the former one is previous
///                           |                  `--take back--> ended: active as before
///                           `--refuse, supersede--> ended
package struct ConfigurationRecord: Sendable, Equatable {
  package static let schema: ExactText = "thermograph.remote-configuration.v1"
  package static let bytesMaximum = 64 * 1024
  /// Starts of the program on a configuration that is not confirmed; the next one takes it back.
  static let mostRuns: Int64 = 1

  /// A text and what it was called.
  package struct Text: Sendable, Equatable {
    package let id: RandomIdentifier
    package let version: Int64
    /// 32 bytes.
    package let sha256: [UInt8]

    package init(id: RandomIdentifier, version: Int64, sha256: [UInt8]) {
      self.id = id
      self.version = version
      self.sha256 = sha256
    }
  }

  package enum Phase: Sendable, Equatable {
    /// Nobody must be before the device when it is applied.
    case waiting
    /// In force and not confirmed.
    /// - Parameter runs: starts of the program with it.
    case trying(runs: Int64)
    case ended(CommandReply.State)
  }

  /// The newest configuration that came.
  package struct Attempt: Sendable, Equatable {
    package let text: Text
    /// SHA-256 of the statement.
    package let digest: [UInt8]
    package let confirmMinutes: Int64
    package let expiresSeconds: Int64
    package let freshness: CommandReply.Freshness
    package var phase: Phase
    /// What is answered at the end, and whether it is in the outbox.
    package var reply: [UInt8]?
    package var isTold: Bool

    package var isOpen: Bool { if case .ended = phase { false } else { true } }
    package var isTrying: Bool { if case .trying = phase { true } else { false } }
  }

  /// Seconds since 1970: what was issued before is not taken, because what it followed is not known.
  package let beganSeconds: Int64
  /// The highest version that was ever taken, whatever became of it.
  package private(set) var highestVersion: Int64 = 0
  /// Confirmed; nil: nothing from afar is in force.
  package private(set) var active: Text?
  package private(set) var previous: Text?
  package var attempt: Attempt?

  package init(beganSeconds: Int64) { self.beganSeconds = beganSeconds }

  /// What stands between the main file and the drop-ins.
  package var inForce: Text? {
    if let attempt, attempt.isTrying { attempt.text } else { active }
  }

  /// Every text that is still needed.
  package var texts: [Text] {
    [active, previous, attempt.flatMap { $0.isOpen ? $0.text : nil }].compactMap { $0 }
  }

  // MARK: - What happens to it

  package mutating func accept(
    _ statement: ConfigurationStatement, digest: [UInt8], sha256: [UInt8], freshness: CommandReply.Freshness
  ) {
    highestVersion = max(highestVersion, statement.version)
    attempt = Attempt(
      text: Text(id: statement.id, version: statement.version, sha256: sha256), digest: digest,
      confirmMinutes: statement.confirmMinutes, expiresSeconds: statement.expiresSeconds, freshness: freshness,
      phase: .waiting, reply: nil, isTold: false)
  }

  /// - Parameter runs: 1 where the running program takes it over, 0 where the next start does.
  package mutating func begin(runs: Int64) { attempt?.phase = .trying(runs: runs) }

  /// The program starts.
  /// - Returns: true when the configuration that was tried has had its start, and must be taken back.
  package mutating func start() -> Bool {
    guard case .trying(let runs) = attempt?.phase else { return false }
    guard runs < Self.mostRuns else { return true }
    attempt?.phase = .trying(runs: runs + 1)
    return false
  }

  /// What was tried, or was brought to the device, is in force for good.
  package mutating func confirm(reply: [UInt8]) {
    guard let text = attempt?.text else { return }
    if active != text { previous = active }
    active = text
    end(.done, reply: reply)
  }

  /// The newest one comes to nothing.
  package mutating func end(_ state: CommandReply.State, reply: [UInt8]) {
    attempt?.phase = .ended(state)
    attempt?.reply = reply
    attempt?.isTold = false
  }

  /// A person at the device goes back to what was in force before. The two change places.
  package mutating func goBack() { (active, previous) = (previous, active) }

  /// Nothing from afar is in force any more.
  package mutating func clear() {
    if let active { previous = active }
    active = nil
  }
}

// MARK: - On disk

extension ConfigurationRecord {
  /// - Throws: what is wrong with the file.
  package init(reading bytes: [UInt8]) throws(ShapeFault) {
    let tree: JSONValue
    do throws(JSONFault) { tree = try JSONValue(reading: bytes, within: JSONLimits(bytes: Self.bytesMaximum)) } catch {
      throw ShapeFault("\(error)")
    }
    guard case .object(let object) = tree else { throw ShapeFault("\(tree.kind); expected an object") }
    guard try object.text("schema") == Self.schema else { throw ShapeFault("'schema' is another") }
    // A name of which a bit turned is no member less.
    if let other = object.members(beyond: ["schema", "began", "highest", "active", "previous", "attempt"]).first {
      throw ShapeFault("'\(other.name.string.prefix(40))' is no member of a record")
    }
    beganSeconds = try object.integer("began", in: 0...Int64.max)
    highestVersion = try object.integer("highest", in: 0...ConfigurationStatement.versions.upperBound)
    active = try object.optionalObject("active").map { value throws(ShapeFault) in try Text(value) }
    previous = try object.optionalObject("previous").map { value throws(ShapeFault) in try Text(value) }
    attempt = try object.optionalObject("attempt").map { value throws(ShapeFault) in try Attempt(value) }
  }

  package func encoded() -> [UInt8] {
    var members: [JSONObject.Member] = [
      .init("schema", .string(Self.schema)), .init("began", .integer(beganSeconds)),
      .init("highest", .integer(highestVersion)),
    ]
    if let active { members.append(.init("active", .object(JSONObject(active.members)))) }
    if let previous { members.append(.init("previous", .object(JSONObject(previous.members)))) }
    if let attempt { members.append(.init("attempt", .object(JSONObject(attempt.members)))) }
    return JSONValue.object(JSONObject(members)).encoded()
  }

  fileprivate static func hash(_ object: JSONObject, _ name: ExactText) throws(ShapeFault) -> [UInt8] {
    guard let bytes = Hexadecimal.bytes(of: try object.text(name).string), bytes.count == 32 else {
      throw ShapeFault("'\(name)' is no SHA-256")
    }
    return bytes
  }
}

extension ConfigurationRecord.Text {
  fileprivate init(_ object: JSONObject) throws(ShapeFault) {
    guard let id = RandomIdentifier(try object.text("id").string) else { throw ShapeFault("'id' is no UUID") }
    self.init(
      id: id, version: try object.integer("version", in: ConfigurationStatement.versions),
      sha256: try ConfigurationRecord.hash(object, "sha256"))
  }

  fileprivate var members: [JSONObject.Member] {
    [
      .init("id", .string("\(id)")), .init("version", .integer(version)),
      .init("sha256", .string(Hexadecimal.text(of: sha256))),
    ]
  }
}

extension ConfigurationRecord.Attempt {
  fileprivate init(_ object: JSONObject) throws(ShapeFault) {
    text = try ConfigurationRecord.Text(object)
    digest = try ConfigurationRecord.hash(object, "digest")
    confirmMinutes = try object.integer("minutes", in: ConfigurationStatement.confirmMinutes)
    expiresSeconds = try object.integer("expires", in: .min ... .max)
    guard let freshness = CommandReply.Freshness(rawValue: try object.text("freshness").string) else {
      throw ShapeFault("'freshness' is none")
    }
    self.freshness = freshness
    switch try object.text("phase").string {
    case "waiting": phase = .waiting
    case "on-trial": phase = .trying(runs: try object.integer("runs", in: 0...ConfigurationRecord.mostRuns))
    case let word:
      guard let state = CommandReply.State(rawValue: word) else { throw ShapeFault("'phase' is none") }
      phase = .ended(state)
    }
    reply = try object.optionalText("reply").map { Array($0.utf8) }
    isTold = try object.boolean("told")
  }

  fileprivate var members: [JSONObject.Member] {
    var members = text.members
    members += [
      .init("digest", .string(Hexadecimal.text(of: digest))), .init("minutes", .integer(confirmMinutes)),
      .init("expires", .integer(expiresSeconds)), .init("freshness", .string(freshness.rawValue)),
      .init("told", .boolean(isTold)),
    ]
    switch phase {
    case .waiting: members.append(.init("phase", .string("waiting")))
    case .trying(let runs): members += [.init("phase", .string("on-trial")), .init("runs", .integer(runs))]
    case .ended(let state): members.append(.init("phase", .string(state.rawValue)))
    }
    if let reply { members.append(.init("reply", .string(String(decoding: reply, as: UTF8.self)))) }
    return members
  }
}
