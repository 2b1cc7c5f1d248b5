import FoundationEssentials
import LinuxIO
import Logging
import Provenance
import Remote

/// Runs trials in a process of this very program: a candidate that hangs, traps or eats memory ends there.
struct TrialProcess: Sendable {
  /// From its start to its answer, by the clock on the wall.
  static let milliseconds = 40_000

  let executable: String
  var arguments = ["model", "trial"]
  var milliseconds = TrialProcess.milliseconds
  let logger: Logger

  /// - Parameter isWanted: false ends it at once.
  func run(_ request: TrialRequest, isWanted: @escaping @Sendable () -> Bool) async -> UpdateTrial {
    do {
      // Without a backtrace: it would hold a picture's numbers, and takes seconds.
      let process = ChildProcess(
        executable: executable, arguments: arguments, environment: ["SWIFT_BACKTRACE=enable=no"])
      let outcome = try await process.run(
        input: CanonicalJSON.bytes(of: request), milliseconds: milliseconds, outputBytes: TrialAnswer.bytesMaximum,
        isWanted: isWanted)
      return Self.trial(outcome, isShadow: request.master != nil, seconds: milliseconds / 1000)
    } catch {
      logger.error("the trial's process cannot be run", metadata: ["reason": "\(error)"])
      return .failed(reason: "the trial could not be run on this device: \(error)")
    }
  }

  private static func trial(_ outcome: ChildProcess.Outcome, isShadow: Bool, seconds: Int) -> UpdateTrial {
    switch outcome.ending {
    case .abandoned: return .interrupted
    case .outOfTime: return .failed(reason: "did not come to an end within \(seconds) s; it hangs, or is far too slow")
    case .tooMuchOutput: return .failed(reason: "the trial's process said more than it may")
    case .signal(let number):
      return .failed(reason: "ended the trial's process by signal \(number) (a trap, or out of memory)")
    case .status(let status):
      do {
        let answer = try JSONDecoder().decode(TrialAnswer.self, from: Data(outcome.output))
        if let failure = answer.failure { return .failed(reason: failure) }
        guard status == 0, let figures = answer.figures else { break }
        return isShadow ? .shadow(agrees: answer.agrees ?? false, figures) : .golden(figures)
      } catch { break }
    }
    return .failed(reason: "the trial's process gave no answer")
  }
}
