import ArgumentParser
import Device
import Glibc
import LocalFiles
import Provenance
import Sentinel

struct SentinelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sentinel",
    abstract: "Shows what the device counts of itself, and what it makes of that.",
    discussion: """
      Asks the service over its control socket; run it as root or as a member of the group thermograph. No counter names a \
      patient.

        thermograph sentinel show
        thermograph sentinel show --live
        thermograph sentinel record counters.jsonl
      """,
    subcommands: [Show.self, Record.self, Release.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows the window: each channel's numbers as small bars, the newest on the right.",
      discussion: """
        A dot is 0, a dash is missing; bars are logarithmic, so that a flood does not hide what is small. Exit status 0: \
        normal, or nobody judges; 1: an alert stands; 69: the service is not running.

          thermograph sentinel show
          thermograph sentinel show --live
          thermograph sentinel show --json | jq .state
        """)

    @OptionGroup var service: ServiceOptions

    @Flag(name: .long, help: "Go on with each step until interrupted.")
    var live = false

    @Flag(name: .long, help: "Print one JSON object on standard output; with --live one a line.")
    var json = false

    func run() throws {
      var state = SentinelReport.State.unjudged
      var window: [CounterRecording.Line] = []
      try SentinelCommand.followSteps(service, after: nil, follows: live) { report in
        state = report.state
        window = Array((window + report.steps).suffix(CounterWindow.steps))
        if json {
          print(try jsonText(report))
        } else {
          var whole = report
          whole.steps = window
          let screen = SentinelScreen.text(of: whole)
          // A terminal shows it in place; a file gets one below the other.
          print(live ? "\u{1B}[H\u{1B}[2J\(screen)" : screen, terminator: "")
        }
        // Each step at once, into a pipe too: somebody is watching.
        fflush(nil)
      }
      switch state {
      case .normal, .filling, .unjudged: break
      case .uncertain, .sensing, .attack: throw ExitCode.failure
      }
    }
  }

  struct Record: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes every step into a file, for study, until interrupted.",
      discussion: """
        The file begins with a line that names the channels; each further line is a step. It begins with the window that \
        the device has. A file that is there already is not touched.

          thermograph sentinel record counters.jsonl
          thermograph sentinel record counters.jsonl --steps 360
        """)

    @OptionGroup var service: ServiceOptions

    @Argument(help: "The file to make; its lines are JSON.")
    var file: String

    @Option(name: .long, help: "End after so many steps, 1 to 10000000.")
    var steps: Int?

    func validate() throws {
      guard (1...10_000_000).contains(steps ?? 1) else { throw ValidationError("--steps is 1 to 10000000") }
    }

    func run() throws {
      guard try !BoundedFile.exists(file, followingLink: false) else {
        throw ValidationError("\(file) is there already; name another")
      }
      var output: Output?
      var left = steps ?? Int.max
      var last: Int?
      while left > 0 {
        try SentinelCommand.followSteps(service, after: last, follows: true) { report in
          if output == nil {
            output = try Output(path: file)
            try output?.append(CounterRecording.Head(stepSeconds: report.stepSeconds, firmware: report.firmware))
          }
          for step in report.steps where left > 0 {
            try output?.append(step)
            last = step.step
            left -= 1
          }
          if left == 0 { throw Enough() }
        }
      }
    }
  }

  struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ends a lock-down: the device takes remote actions again.",
      discussion: """
        For the technician who has seen to the attack. Exit status 1: the device was not locked down.

          thermograph sentinel release
        """)

    @OptionGroup var service: ServiceOptions

    func run() throws {
      guard try service.answer(to: ControlRequest(.release)).released == true else { throw ExitCode.failure }
      print("released: remote actions are taken again")
    }
  }

  /// The recording.
  private final class Output {
    private let file: OpenFile

    init(path: String) throws(FileError) { file = try OpenFile(path, for: .appending(mode: 0o644)) }

    func append(_ line: some Encodable) throws { try file.write(Array(try jsonText(line).utf8) + [UInt8(ascii: "\n")]) }
  }

  /// Enough was heard.
  fileprivate struct Enough: Error {}

  /// Asks once, or follows until the service ends the conversation.
  fileprivate static func followSteps(
    _ service: ServiceOptions, after: Int?, follows: Bool, line: (SentinelReport) throws -> Void
  ) throws {
    var request = ControlRequest(.sentinel)
    request.follow = follows
    request.after = after
    var refusal: String?
    do {
      // Three steps of the slowest device without a word are one that is stuck.
      try service.ask(request, silenceSeconds: 35) { reply in
        guard let report = reply.sentinel else {
          refusal = reply.error ?? "the service did not answer the question"
          return false
        }
        try line(report)
        return follows
      }
    } catch is Enough {
      return
    }
    if let refusal {
      printToStandardError(refusal)
      throw ExitCode.failure
    }
  }
}
