import ArgumentParser
import Identification
import LinuxIO

struct TagFindCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find",
    abstract: "Finds out which reader is on a serial port, and at which speed.",
    discussion: """
      Asks for a PN532, then listens at each usual speed. Readers other than the PN532 speak only when a tag comes: \
      take a tag to the reader and away again, over and over, until the answer is there. The running service must not \
      hold the port. Exit status 1 when nothing was understood.

        thermograph tag find --port /dev/serial0
        thermograph tag find --port /dev/ttyUSB0 --listen-milliseconds 5000 --json
      """)

  @Option(name: .long, help: "The serial port's device.")
  var port = "/dev/serial0"

  @Option(name: .long, parsing: .unconditional, help: "How long to listen at each speed, 100 to 60000.")
  var listenMilliseconds = 3000

  @Flag(name: .long, help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws {
    guard (100...60_000).contains(listenMilliseconds) else {
      throw ValidationError("--listen-milliseconds is 100 to 60000, not \(listenMilliseconds)")
    }
  }

  func run() throws {
    let probe = ReaderProbe(path: port, listenMilliseconds: listenMilliseconds)
    let found = try probe.run { kind, baud in
      printToStandardError("\(port): \(kind.map { "asking for a \($0.rawValue)" } ?? "listening") at \(baud) baud")
    }
    guard let found else {
      printToStandardError("\(port): nothing understood; was a tag held to the reader, and are TX and RX crossed over?")
      throw ExitCode.failure
    }
    print(
      json
        ? "{\"kind\":\"\(found.kind.rawValue)\",\"baud\":\(found.baud),\"frames\":\(found.frames),"
          + "\"rejected_bytes\":\(found.rejectedBytes)}"
        : "\(found.kind.rawValue) at \(found.baud) baud (\(found.frames) frames, \(found.rejectedBytes) bytes rejected)"
    )
  }
}
