import Provenance
import Trust

/// Why a command is not even considered. Whoever sent it gets no answer: nothing shows that it was somebody of ours.
package enum CommandRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  /// A broker keeps a retained message and gives it again and again.
  case retained
  case untrusted(EnvelopeFault)
  case malformed(ShapeFault)
  /// For another device or site.
  case misdirected

  package var description: String {
    switch self {
    case .retained: "command: a retained message; a command is published once and never retained"
    case .untrusted(let fault): "command: \(fault)"
    case .malformed(let fault): "command: \(fault)"
    case .misdirected: "command: meant for another device"
    }
  }
}

/// Believes what comes on `dn/command`, or not; after many wrong signatures it looks at nothing for a while.
package struct CommandReader: Sendable {
  /// Wrong signatures, then a pause.
  package static let mostUntrusted = 20
  package static let pauseNanoseconds: UInt64 = 600 * 1_000_000_000

  package enum Reading: Sendable, Equatable {
    /// - Parameter digest: SHA-256 of the statement: what the id stands for.
    case command(Command, digest: [UInt8])
    /// - Parameter isPause: with this one the pause begins; it is worth an alert.
    case refused(CommandRefusal, isPause: Bool)
    /// Within a pause.
    case ignored
  }

  private let keys: TrustedKeys
  private let site: String
  private let device: String
  private let verifier: any SignatureVerifier
  private let digests: any MessageDigests
  private var untrusted = 0
  private var pausedUntilNanoseconds: UInt64 = 0

  package init(
    _ keys: TrustedKeys, site: String, device: String, verifier: any SignatureVerifier, digests: any MessageDigests
  ) {
    self.keys = keys
    self.site = site
    self.device = device
    self.verifier = verifier
    self.digests = digests
  }

  /// - Parameter now: monotonic nanoseconds.
  package mutating func read(_ message: [UInt8], isRetained: Bool, now: UInt64) -> Reading {
    guard now >= pausedUntilNanoseconds else { return .ignored }
    guard !isRetained else { return .refused(.retained, isPause: false) }
    let payload: [UInt8]
    do throws(EnvelopeFault) {
      payload = try keys.open(
        try Envelope(reading: message, within: .statement), type: Command.payloadType, verifier: verifier
      ).payload
    } catch { return refuse(.untrusted(error), now) }
    untrusted = 0
    let command: Command
    do throws(ShapeFault) { command = try Command(reading: payload) } catch {
      return .refused(.malformed(error), isPause: false)
    }
    guard command.site == site, command.device == device else { return .refused(.misdirected, isPause: false) }
    return .command(command, digest: digests.sha256(payload))
  }

  private mutating func refuse(_ refusal: CommandRefusal, _ now: UInt64) -> Reading {
    untrusted += 1
    guard untrusted >= Self.mostUntrusted else { return .refused(refusal, isPause: false) }
    untrusted = 0
    pausedUntilNanoseconds = now.addingReportingOverflow(Self.pauseNanoseconds).partialValue
    return .refused(refusal, isPause: true)
  }
}
