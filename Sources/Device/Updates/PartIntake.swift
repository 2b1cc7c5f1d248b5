import Forwarding
import Logging
import Remote
import Synchronization

/// Parts of models that came on `dn/model/...` and wait for the next look: bounded, and never believed before all of them
/// are together. What finds no room is asked for again.
package final class PartIntake: Sendable {
  struct Part: Sendable, Equatable {
    /// Of the whole file, lower-case hexadecimal digits.
    var fileSHA256: String
    /// From 0.
    var index: Int
    var count: Int
    var bytes: [UInt8]
  }

  /// As many as are asked for at a time, 64 KiB each.
  private static let most = 16

  private let base: String
  private let logger: Logger
  private let state = Mutex(State())

  private struct State {
    var wanted: String?
    var asked: Set<Int> = []
    /// One of each index, the newest: nobody crowds out the others by sending one of them again and again.
    var parts: [Int: Part] = [:]
    /// Indices that have come since they were asked for.
    var come: Set<Int> = []
    var isTold = false
  }

  /// - Parameter base: of the topics, e.g. `tg/v1/site/device/dn/model`.
  package init(base: String, logger: Logger) {
    self.base = base
    self.logger = logger
  }

  /// - Parameters:
  ///   - fileSHA256: the file whose parts are taken; nil: none are.
  ///   - asked: indices that are taken of it.
  func want(_ fileSHA256: String?, _ asked: Set<Int>) {
    state.withLock { state in
      if state.wanted != fileSHA256 { state.parts = [:] }
      if state.wanted != fileSHA256 || state.asked != asked { state.come = [] }
      (state.wanted, state.asked) = (fileSHA256, asked)
    }
  }

  /// Any thread may call.
  ///
  /// - Returns: true when the part was asked for and comes for the first time.
  @discardableResult
  package func take(_ message: IncomingMessage) -> Bool {
    let (isTaken, isAwaited) = state.withLock { state in
      guard let part = Self.part(message, base: base), part.fileSHA256 == state.wanted,
        state.asked.contains(part.index), part.bytes.count <= UpdateRules.partBytes,
        state.parts.count < Self.most || state.parts[part.index] != nil
      else {
        defer { state.isTold = true }
        return (state.isTold, false)
      }
      state.parts[part.index] = part
      return (true, state.come.insert(part.index).inserted)
    }
    if !isTaken {
      logger.warning(
        "a part of a model came that is not wanted now; more of this kind are not told",
        metadata: ["topic": "\(message.topic.suffix(100))"])
    }
    return isAwaited
  }

  func takeAll() -> [Part] {
    state.withLock { state in
      defer { state.parts = [:] }
      return state.parts.values.sorted { $0.index < $1.index }
    }
  }

  /// What a topic `.../{sha256}/{i}-of-{n}` says, i from 1; nil for any other.
  static func part(_ message: IncomingMessage, base: String) -> Part? {
    guard message.topic.hasPrefix(base + "/") else { return nil }
    let levels = message.topic.dropFirst(base.count + 1).split(separator: "/", omittingEmptySubsequences: false)
    guard levels.count == 2, levels[0].utf8.count == 64 else { return nil }
    let words = levels[1].split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 3, words[1] == "of", let index = Int(words[0]), let count = Int(words[2]),
      index >= 1, index <= count, "\(index)-of-\(count)" == levels[1]
    else { return nil }
    return Part(fileSHA256: String(levels[0]), index: index - 1, count: count, bytes: message.payload)
  }
}
