import Provenance
import Trust

/// What is written down. The names are for ever: a log is read years later.
package enum AuditKind: String, Sendable, Hashable, CaseIterable {
  case start
  /// The run before ended without saying so: a power cut or a kill.
  case uncleanEnd = "unclean-end"
  case stop
  case clockStep = "clock-step"
  case enrolment
  case keys
  case rosterChange = "roster-change"
  case sessionStart = "session-start"
  case sessionEnd = "session-end"
  /// Somebody said that a capture belongs to another person, or to none.
  case correction
  /// The device could not keep what it should have kept.
  case storageRefusal = "storage-refusal"
  case commandAccepted = "command-accepted"
  case commandRefused = "command-refused"
  case configuration
  case update
  case stickImport = "import"
  /// What somebody did who was logged in on the device.
  case technician
  /// A reader's answer to a capture: taken, refused, shown to its patient. Never which answer it is.
  case result
  /// The device began or ceased to refuse what comes from afar, because its sentinel took it for attacked.
  case lockDown = "lock-down"
}

/// One line of the audit log.
///
/// Its text is JSON with the members in this order and no white space: `schema`, `index`, `kind`, `utc_ns`, `boot`,
/// `monotonic_ns`, `synchronised`, `what`. What is hashed are these bytes, so nothing has to be brought into one form.
package struct AuditEntry: Sendable, Equatable {
  package static let schema: ExactText = "thermograph.audit.v1"
  /// Of the text.
  package static let maximumBytes = 4 * 1024
  package static let limits = JSONLimits(bytes: maximumBytes, depth: 6, values: 256)

  /// Entries before it.
  package let index: UInt64
  package let kind: AuditKind
  package let time: Timestamp
  /// Pseudonyms, ids and codes; never a tag's number, a key or a name.
  package let what: JSONObject

  package init(index: UInt64, kind: AuditKind, time: Timestamp, what: JSONObject = [:]) {
    self.index = index
    self.kind = kind
    self.time = time
    self.what = what
  }

  /// - Throws: when the text would be longer than `maximumBytes`.
  package func encoded() throws(AuditFault) -> [UInt8] {
    guard let index = Int64(exactly: index), let monotonic = Int64(exactly: time.monotonicNanoseconds) else {
      throw AuditFault("entry \(index): a number beyond 2^63")
    }
    let bytes = JSONValue.object([
      "schema": .string(Self.schema), "index": .integer(index), "kind": .string(ExactText(kind.rawValue)),
      "utc_ns": .integer(time.utcNanoseconds), "boot": .string(ExactText(time.bootID)),
      "monotonic_ns": .integer(monotonic), "synchronised": .boolean(time.synchronised), "what": .object(what),
    ]).encoded()
    guard bytes.count <= Self.maximumBytes else {
      throw AuditFault("entry \(index): \(bytes.count) bytes; expected at most \(Self.maximumBytes)")
    }
    return bytes
  }

  /// Reads the text of an entry. Only what `encoded` writes is taken: two texts of one entry would be two logs.
  package init(reading bytes: [UInt8]) throws(AuditFault) {
    do {
      let tree: JSONValue
      do throws(JSONFault) { tree = try JSONValue(reading: bytes, within: Self.limits) } catch {
        throw ShapeFault("\(error)")
      }
      guard case .object(let object) = tree else { throw ShapeFault("\(tree.kind); expected an object") }
      guard try object.text("schema") == Self.schema else {
        throw ShapeFault("'schema' is '\(try object.text("schema"))'; expected '\(Self.schema)'")
      }
      index = UInt64(try object.integer("index", in: 0...Int64.max))
      let name = try object.text("kind").string
      guard let kind = AuditKind(rawValue: name) else { throw ShapeFault("'kind' is '\(name)', which is none") }
      self.kind = kind
      time = Timestamp(
        utcNanoseconds: try object.integer("utc_ns", in: Int64.min...Int64.max),
        bootID: try object.text("boot").string,
        monotonicNanoseconds: UInt64(try object.integer("monotonic_ns", in: 0...Int64.max)),
        synchronised: try object.boolean("synchronised"))
      what = try object.object("what")
    } catch { throw AuditFault("an entry is not readable: \(error)") }
    guard try encoded() == bytes else {
      throw AuditFault("entry \(index): not in the form in which entries are written")
    }
  }
}

/// Why the log is not as it should be.
package struct AuditFault: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
