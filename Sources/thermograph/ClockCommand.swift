import ArgumentParser
import Audit
import ConfigurationFiles
import Device
import Glibc
import LinuxIO
import Logging
import Provenance
import Storage

struct ClockCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clock",
    abstract: "Shows whether the clock is synchronised, and sets the time that the device trusts.",
    discussion: """
      While the clock is before its floor, the device judges no certificate, sends nothing and waits. The floor is the later of this release's date and \
      the trusted time, which advances with the time that passes and never goes back by itself. After a spoofed or broken \
      time source it may stand too late: set the clock right, then 'clock trust', then restart the service.

        thermograph clock show
        sudo timedatectl set-time '2026-11-30 10:00:00' && sudo thermograph clock trust
        sudo systemctl restart thermograph
      """,
    subcommands: [Show.self, Trust.self], defaultSubcommand: Show.self)

  static var logger: Logger { Logger(label: "clock") { _ in LineLogHandler(level: LogLevel(.warning), journal: nil) } }

  static func text(_ seconds: Int64) -> String {
    let (nanoseconds, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return Timestamp(
      utcNanoseconds: overflows ? .max : nanoseconds, bootID: "", monotonicNanoseconds: 0, synchronised: true
    ).rfc3339
  }

  struct Options: ParsableArguments {
    @Option(name: .long, help: "The main configuration file; it says where the state directory is.")
    var config = ConfigurationFolder.installedMainFile

    var trustedTimePath: String {
      ConfigurationFolder(mainFile: config).read().settings.paths.stateDirectory + "/" + StateFiles.trustedTime
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the clock, whether it is synchronised, and the floor.",
      discussion: """
          thermograph clock show
        """)

    @OptionGroup var options: Options

    func run() throws {
      let now = try SystemClock().now()
      let floor = ClockFloor(path: options.trustedTimePath, logger: ClockCommand.logger)
      print("clock  \(now.rfc3339)\(now.synchronised ? "" : "  (not synchronised)")")
      print("floor  \(ClockCommand.text(floor.seconds))")
      if now.utcNanoseconds / 1_000_000_000 < floor.seconds {
        print("The clock is before the floor: nothing is sent until it is set.")
      }
    }
  }

  struct Trust: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Takes the clock as it stands for the trusted time, also when that is earlier than before.",
      discussion: """
          thermograph clock trust
        """)

    @OptionGroup var options: Options

    func run() throws {
      let path = options.trustedTimePath
      let before = ClockFloor(path: path, logger: ClockCommand.logger).seconds
      let now = try SystemClock().now()
      leaveNote(
        .technician(.trustClock, user: getuid(), detail: now.rfc3339),
        ConfigurationFolder(mainFile: options.config).read().settings)
      try ClockFloor.trust(now.utcNanoseconds / 1_000_000_000, path: path)
      let floor = ClockFloor(path: path, logger: ClockCommand.logger).seconds
      print("floor  \(ClockCommand.text(floor))  (was \(ClockCommand.text(before)))")
      print("It holds from the service's next start: sudo systemctl restart thermograph")
    }
  }
}
