import Forwarding
import Logging
import Provenance
import Synchronization
import Trust

/// What came on one topic for this device and waits for its turn.
package struct DownlinkIntake: Sendable {
  /// More are dropped, and the far side offers them again at the next birth.
  private static let most = 64

  /// Whose word counts where no site root is installed.
  private let configuredKeys: TrustedKeys?
  private let siteKeys: @Sendable () -> SiteKeys
  let messages: AsyncStream<IncomingMessage>
  private let arrivals: AsyncStream<IncomingMessage>.Continuation
  private let kind: String
  private let logger: Logger

  /// - Parameters:
  ///   - kind: `commands`, for the log.
  ///   - keys: of the configuration's file; they count only as long as no site root is installed.
  ///   - siteKeys: asked before each message, because the site may list others while the device runs.
  package init(
    _ kind: String, keys: TrustedKeys?, siteKeys: @escaping @Sendable () -> SiteKeys = { .noRoot }, logger: Logger
  ) {
    self.kind = kind
    configuredKeys = keys
    self.siteKeys = siteKeys
    self.logger = logger
    (messages, arrivals) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.most))
  }

  /// Who may say it now: by the site's list where its root is installed, else by the configuration's file.
  package var keys: SiteKeys {
    switch siteKeys() {
    case .noRoot: configuredKeys.map { .keys($0) } ?? .none("the configuration names no keys")
    case let listed: listed
    }
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
