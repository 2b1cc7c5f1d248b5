import ArgumentParser
import ConfigurationFiles
import Device
import Glibc
import LinuxIO
import LocalFiles
import Provenance
import Synchronization
import Threads

struct UpdateHoldCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hold",
    abstract: "Waits until nobody is before the device, then runs a command while no session can open.",
    discussion: """
      For updates of the program. The hold is a connection to the service and no file: it ends with the command, or when \
      this program is killed. Meanwhile the light says that the device is in maintenance, and a tag is refused. No hold is \
      longer than an hour; the command then goes on, and sessions open again. Where no service runs, the command is run at \
      once. Exit status: the command's; 75: somebody was before the device for the whole time, and nothing was run; 77: this \
      user may not ask the service; 127 and 126: there is no such command, or it cannot be started.

        thermograph update hold -- apt-get install ./thermograph_0.2.0_arm64.deb
        thermograph update hold --timeout 60 --quiet 0 -- systemctl restart thermograph
      """)

  @OptionGroup var service: ServiceOptions

  @Option(name: .long, help: "How many seconds to wait for a free device, 0 to 86400.")
  var timeout = 3600

  @Option(name: .long, help: "For how many seconds nobody must have been before the device, 0 to 86400.")
  var quiet = HoldRules.quietSeconds

  @Argument(parsing: .postTerminator, help: "The command and its arguments, behind --.")
  var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("no command; write it behind --") }
    for (name, value) in [("timeout", timeout), ("quiet", quiet)] where !HoldRules.seconds.contains(value) {
      throw ValidationError("--\(name) is 0 to \(HoldRules.seconds.upperBound), not \(value)")
    }
  }

  func run() throws {
    let conversation = HoldConversation(path: service.path)
    switch try conversation.waitForTheDevice(waitSeconds: timeout, quietSeconds: quiet) {
    case .held: printToStandardError("held: no session opens until '\(command[0])' has ended")
    case .notRunning: printToStandardError("the service is not running: nothing is to be waited for")
    case .refused(let reason):
      printToStandardError("nothing was run: \(reason)")
      throw ExitCode(EX_TEMPFAIL)
    case .unknown: try waitForEarlierRelease()
    case .failed(.forbidden(let path)):
      printToStandardError("\(ControlClientError.forbidden(path: path))")
      throw ExitCode(EX_NOPERM)
    case .failed(let error):
      printToStandardError("nothing was run: \(error)")
      throw ExitCode(EX_TEMPFAIL)
    }
    throw ExitCode(try runCommand())
  }

  private func runCommand() throws -> Int32 {
    do throws(SystemCallError) {
      return switch try ForegroundProcess.run(command) {
      case .status(let status): status
      case .signal(let signal): 128 + signal
      }
    } catch {
      printToStandardError("\(error)")
      throw ExitCode(error.errorNumber == ENOENT ? 127 : 126)
    }
  }

  /// A service of a release before this one can be watched and not held.
  private func waitForEarlierRelease() throws {
    let begin = SystemClock.monotonicNanoseconds()
    var idleSince: UInt64?
    while true {
      let state = try service.answer(to: ControlRequest(.status)).status?.session?.state
      let now = SystemClock.monotonicNanoseconds()
      if state == nil || state == "idle" { idleSince = idleSince ?? now } else { idleSince = nil }
      if let idleSince, now - idleSince >= UInt64(quiet) * 1_000_000_000 { break }
      guard now - begin < UInt64(timeout) * 1_000_000_000 else {
        printToStandardError("nothing was run: the device was not free for \(quiet) s (\(state ?? "unknown"))")
        throw ExitCode(EX_TEMPFAIL)
      }
      sleep(1)
    }
    printToStandardError(
      "the running release cannot be held; nobody was before the device for \(quiet) s, so '\(command[0])' is run now")
  }
}

/// The connection that is the hold. It is open until this process ends.
private final class HoldConversation: Sendable {
  enum Verdict: Sendable {
    case held, notRunning, unknown
    case refused(String)
    case failed(ControlClientError)
  }

  /// Between two words of the service; it says one every 20 s.
  private static let silenceMilliseconds = 60_000

  private let path: String
  private let verdict = Mutex<Verdict?>(nil)
  private let told = Mutex<String?>(nil)

  init(path: String) { self.path = path }

  /// Returns when the device is held, or will not be.
  func waitForTheDevice(waitSeconds: Int, quietSeconds: Int) throws -> Verdict {
    let wake = try WakeSignal()
    let request = try ControlRequest(.hold, waitSeconds: waitSeconds, quietSeconds: quietSeconds).encoded()
    _ = try NamedThread("hold") { [self] in
      do throws(ControlClientError) {
        try ControlClient(path: path).ask(request, silenceMilliseconds: Self.silenceMilliseconds) { line in
          hear(line, wake)
          return true
        }
        decide(.refused("the service ended the conversation"), wake)
      } catch {
        if case .notRunning = error { decide(.notRunning, wake) } else { decide(.failed(error), wake) }
      }
    }
    while true {
      if let verdict = verdict.withLock({ $0 }) { return verdict }
      var waiting = pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)
      poll(&waiting, 1, 1000)
    }
  }

  private func hear(_ line: [UInt8], _ wake: WakeSignal) {
    let reply: ControlReply
    do { reply = try ControlReply(decoding: line) } catch { return decide(.refused("\(error)"), wake) }
    if let error = reply.error {
      // Every release answers a question that it does not know with what it knows.
      return decide(error.hasPrefix("no request;") ? .unknown : .refused(error), wake)
    }
    guard let hold = reply.hold else { return }
    switch hold.state {
    case .held: decide(.held, wake)
    case .refused: decide(.refused(hold.reason ?? "the device is not free"), wake)
    case .waiting: tell("waiting: \(hold.reason ?? "the device is not free")")
    case .over: tell("the hold is over: \(hold.reason ?? ""); sessions open again, and the command goes on")
    }
  }

  private func tell(_ text: String) {
    let isNew = told.withLock { last in
      defer { last = text }
      return last != text
    }
    if isNew { printToStandardError(text) }
  }

  /// The first word counts: that the service ends after it, as in an update it does, changes nothing.
  private func decide(_ word: Verdict, _ wake: WakeSignal) {
    verdict.withLock { $0 = $0 ?? word }
    wake.signal()
  }
}
