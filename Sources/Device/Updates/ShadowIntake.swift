import Forwarding
import Screening
import Storage
import Synchronization

/// A capture that is on disk, for whoever tries or counts models beside it.
struct KeptCapture: Sendable {
  /// The master image's file.
  var master: [UInt8]
  /// Of the models that decided.
  var unitSHA256s: [String]
  /// The screening model was asked, and gave a score.
  var hasScore: Bool
}

extension KeptCapture {
  init(_ capture: NewCapture, _ assessment: Assessment) {
    master = capture.images.first { $0.name == "master.png" }?.bytes ?? []
    unitSHA256s = [assessment.screeningUnitSHA256, assessment.qualityUnitSHA256].compactMap { $0 }
    hasScore = assessment.verdict.probability != nil
  }
}

/// The way from the session to the updates: bounded, and nobody waits. What finds no room is no trial; another one comes.
final class ShadowIntake: Sendable {
  /// Captures that wait to be tried, some tens of kilobytes each.
  static let mastersMaximum = 4
  private static let unitsMaximum = 64

  private struct State {
    var isWanted = false
    var captures: [KeptCapture] = []
    var counted: [[String]] = []
  }

  private let state = Mutex(State())

  /// The session's word: a capture is on disk.
  func put(_ capture: KeptCapture) {
    state.withLock { state in
      if state.counted.count < Self.unitsMaximum { state.counted.append(capture.unitSHA256s) }
      if state.isWanted, state.captures.count < Self.mastersMaximum { state.captures.append(capture) }
    }
  }

  /// Whether masters are kept at all; without a trial none is.
  func want(_ isWanted: Bool) {
    state.withLock { state in
      state.isWanted = isWanted
      if !isWanted { state.captures = [] }
    }
  }

  /// The oldest that waits.
  func first() -> KeptCapture? { state.withLock { $0.captures.first } }

  func removeFirst() {
    state.withLock { if !$0.captures.isEmpty { $0.captures.removeFirst() } }
  }

  /// What was counted since the last time.
  func takeCounts() -> [[String]] {
    state.withLock { state in
      defer { state.counted = [] }
      return state.counted
    }
  }
}
