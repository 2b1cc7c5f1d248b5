import Provenance
import Trust

/// What somebody far away tells one device, signed as a DSSE envelope: a command, a configuration.
package protocol DeviceStatement: Sendable, Equatable {
  static var payloadType: ExactText { get }
  /// `command`; how the log calls it.
  static var kind: String { get }
  var site: String { get }
  var device: String { get }

  /// - Throws: what is wrong with the part without which nobody could be answered.
  init(reading payload: [UInt8]) throws(ShapeFault)
}

extension DeviceStatement {
  /// The object in `payload`, if its schema is the one that is expected.
  static func object(in payload: [UInt8], schema expected: ExactText) throws(ShapeFault) -> JSONObject {
    let tree: JSONValue
    do throws(JSONFault) {
      tree = try JSONValue(
        reading: payload, within: JSONLimits(bytes: Envelope.Limits.statement.payloadBytes, depth: 6, values: 2048))
    } catch { throw ShapeFault("\(error)") }
    guard case .object(let object) = tree else { throw ShapeFault("\(tree.kind); expected an object") }
    guard try object.text("schema") == expected else { throw ShapeFault("'schema' is another; expected \(expected)") }
    return object
  }

  static func identifier(_ object: JSONObject) throws(ShapeFault) -> RandomIdentifier {
    guard let id = RandomIdentifier(try object.text("id").string) else {
      throw ShapeFault("'id' is no UUID of 36 characters")
    }
    return id
  }

  /// Seconds since 1970.
  static func time(_ object: JSONObject, _ name: ExactText) throws(ShapeFault) -> Int64 {
    guard let seconds = UTCTime.seconds(of: try object.text(name)) else {
      throw ShapeFault("'\(name)' is no time; expected YYYY-MM-DDTHH:MM:SSZ")
    }
    return seconds
  }
}

/// Why a statement is not even considered. Whoever sent it gets no answer: nothing shows that it was somebody of ours.
package enum StatementRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  /// A broker keeps a retained message and gives it again and again.
  case retained
  case untrusted(EnvelopeFault)
  case malformed(ShapeFault)
  /// For another device or site.
  case misdirected

  package var description: String {
    switch self {
    case .retained: "a retained message; what is for a device is published once and never retained"
    case .untrusted(let fault): "\(fault)"
    case .malformed(let fault): "\(fault)"
    case .misdirected: "meant for another device"
    }
  }

  /// One word, for whoever counts kinds.
  package var word: String {
    switch self {
    case .retained: "retained"
    case .untrusted: "untrusted"
    case .malformed: "malformed"
    case .misdirected: "misdirected"
    }
  }
}

/// Believes what comes on a topic for this device, or not; after many wrong signatures it looks at nothing for a while.
package struct StatementReader<Statement: DeviceStatement>: Sendable {
  package enum Reading: Sendable, Equatable {
    /// - Parameter digest: SHA-256 of the statement: what the id stands for.
    case statement(Statement, digest: [UInt8])
    /// - Parameter isPause: with this one the pause begins; it is worth an alert.
    case refused(StatementRefusal, isPause: Bool)
    /// Within a pause.
    case ignored
  }

  private var keys: TrustedKeys?
  private let site: String
  private let device: String
  private let verifier: any SignatureVerifier
  private let digests: any MessageDigests
  private var untrusted = 0
  private var pausedUntilNanoseconds: UInt64 = 0

  package init(
    _ keys: TrustedKeys?, site: String, device: String, verifier: any SignatureVerifier, digests: any MessageDigests
  ) {
    self.keys = keys
    self.site = site
    self.device = device
    self.verifier = verifier
    self.digests = digests
  }

  /// From now on these count; nobody's where there are none.
  package mutating func believe(_ keys: SiteKeys) {
    if case .keys(let keys) = keys { self.keys = keys } else { self.keys = nil }
  }

  /// - Parameter now: monotonic nanoseconds.
  package mutating func read(_ message: [UInt8], isRetained: Bool, now: UInt64) -> Reading {
    guard now >= pausedUntilNanoseconds else { return .ignored }
    guard !isRetained else { return .refused(.retained, isPause: false) }
    guard let keys else { return .ignored }
    let payload: [UInt8]
    do throws(EnvelopeFault) {
      payload = try keys.open(
        try Envelope(reading: message, within: .statement), type: Statement.payloadType, verifier: verifier
      ).payload
    } catch { return refuse(.untrusted(error), now) }
    untrusted = 0
    let statement: Statement
    do throws(ShapeFault) { statement = try Statement(reading: payload) } catch {
      return .refused(.malformed(error), isPause: false)
    }
    guard statement.site == site, statement.device == device else { return .refused(.misdirected, isPause: false) }
    return .statement(statement, digest: digests.sha256(payload))
  }

  private mutating func refuse(_ refusal: StatementRefusal, _ now: UInt64) -> Reading {
    untrusted += 1
    guard untrusted >= StatementReading.mostUntrusted else { return .refused(refusal, isPause: false) }
    untrusted = 0
    pausedUntilNanoseconds = now.addingReportingOverflow(StatementReading.pauseNanoseconds).partialValue
    return .refused(refusal, isPause: true)
  }
}

/// The limits of every `StatementReader`.
package enum StatementReading {
  /// Wrong signatures, then a pause.
  package static let mostUntrusted = 20
  package static let pauseNanoseconds: UInt64 = 600 * 1_000_000_000
}

package typealias CommandReader = StatementReader<Command>
