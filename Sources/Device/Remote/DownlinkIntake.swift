import Forwarding
import Logging
import Provenance
import Synchronization
import Trust

/// What came on one topic for this device and waits for its turn.
package struct DownlinkIntake: Sendable {
  /// More are dropped, and the far side offers them again at the next birth.
  private static let most = 64

  /// Who may say it.
  let keys: TrustedKeys
  let messages: AsyncStream<IncomingMessage>
  private let arrivals: AsyncStream<IncomingMessage>.Continuation
  private let kind: String
  private let logger: Logger

  /// - Parameter kind: `commands`, for the log.
  package init(_ kind: String, keys: TrustedKeys, logger: Logger) {
    self.kind = kind
    self.keys = keys
    self.logger = logger
    (messages, arrivals) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.most))
  }

  /// Any thread may call.
  package func take(_ message: IncomingMessage) {
    if case .dropped = arrivals.yield(message) {
      logger.warning("too many \(kind) wait; one is dropped, and may come again at the next birth")
    }
  }
}

/// The word that a birth message names, so that whoever answers it shows that he speaks of the present. New at each start,
/// and whenever it is not known any more what it let in.
package final class StartChallenge: Sendable {
  private let text = Mutex("")

  package init() {}

  /// Empty before the first was made: no statement names that.
  var value: String { text.withLock { $0 } }

  /// Makes another one.
  func renew(using generator: inout any RandomNumberGenerator & Sendable) -> String {
    let new = Hexadecimal.text(of: (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
    text.withLock { $0 = new }
    return new
  }

  /// Makes one where there is none yet.
  func made(using generator: inout any RandomNumberGenerator & Sendable) -> String {
    value.isEmpty ? renew(using: &generator) : value
  }
}
