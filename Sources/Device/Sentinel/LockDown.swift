import Forwarding
import LocalFiles
import Logging
import Provenance
import Synchronization

/// The one level of lock-down: rate limits are halved and remote actions are refused until somebody releases the device.
/// Captures and delivery never ask for it. It survives restarts: it stands as long as its file is there, whatever is in it.
package final class LockDown: Sendable {
  private static let fileBytesMaximum = 64

  private struct State {
    /// RFC 3339; nil while the device is not locked down.
    var since: String?
    var follower: @Sendable (Bool) -> Void = { _ in }
  }

  private let path: String
  private let logger: Logger
  private let state: Mutex<State>
  /// Told of each change, for the audit.
  private let changed: @Sendable (_ isLockedDown: Bool, _ why: String) -> Void

  /// - Parameter isAllowed: the technician's configuration; without it the device is never locked down, and a file that is
  ///   there is removed.
  package init(
    path: String, isAllowed: Bool, logger: Logger,
    changed: @escaping @Sendable (_ isLockedDown: Bool, _ why: String) -> Void = { _, _ in }
  ) {
    self.path = path
    self.logger = logger
    self.changed = changed
    var since: String?
    var wasRemoved = false
    do throws(FileError) {
      if isAllowed, let bytes = try BoundedFile.readIfThere(path, maximumBytes: Self.fileBytesMaximum) {
        let text = String(decoding: bytes.prefix { $0 >= UInt8(ascii: " ") && $0 < 127 }, as: UTF8.self)
        since = text.isEmpty ? "an unknown time" : text
      } else if !isAllowed, try BoundedFile.status(path) != nil {
        try BoundedFile.remove(path)
        wasRemoved = true
      }
    } catch {
      // A file that is there and cannot be read still says what it says.
      if isAllowed { since = "an unknown time" }
      if !error.isMissing { logger.error("the lock-down's file", metadata: ["reason": "\(error)"]) }
    }
    state = Mutex(State(since: since))
    if wasRemoved { changed(false, "the configuration no longer allows it") }
    if let since { logger.warning("the device is locked down", metadata: ["since": "\(since)"]) }
  }

  /// RFC 3339; nil while remote actions are taken.
  package var since: String? { state.withLock { $0.since } }
  package var isLockedDown: Bool { since != nil }

  /// Why a remote action is refused; nil when it is not.
  package var refusal: String? {
    since.map {
      "the device is locked down since \($0): no remote action is taken until a technician ('thermograph sentinel release') "
        + "or a signed command (sentinel-release) releases it"
    }
  }

  /// Tells `follower` how it stands, now and at each change.
  package func follow(_ follower: @escaping @Sendable (_ isLockedDown: Bool) -> Void) {
    let isLockedDown = state.withLock { state in
      state.follower = follower
      return state.since != nil
    }
    follower(isLockedDown)
  }

  private func tellFollower() {
    let (follower, isLockedDown) = state.withLock { ($0.follower, $0.since != nil) }
    follower(isLockedDown)
  }

  package func enter(_ why: String, at now: Timestamp) {
    let isNew = state.withLock { state in
      guard state.since == nil else { return false }
      state.since = now.rfc3339
      return true
    }
    guard isNew else { return }
    logger.warning("the device is locked down", metadata: ["reason": "\(why)"])
    do throws(FileError) {
      try BoundedFile.replace(path, with: Array((now.rfc3339 + "\n").utf8), mode: 0o600)
    } catch {
      logger.error("the lock-down could not be written down; a restart would end it", metadata: ["reason": "\(error)"])
    }
    tellFollower()
    changed(true, why)
  }

  /// - Throws: what kept the file; then the device stays locked down.
  /// - Returns: false when it was not locked down.
  package func release(_ who: String) throws(FileError) -> Bool {
    guard isLockedDown else { return false }
    try BoundedFile.remove(path)
    let was = state.withLock { state in
      defer { state.since = nil }
      return state.since != nil
    }
    guard was else { return false }
    logger.notice("the device is released from its lock-down", metadata: ["by": "\(who)"])
    tellFollower()
    changed(false, who)
    return true
  }
}
