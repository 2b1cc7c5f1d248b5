import ArgumentParser
import Configuration
import ConfigurationFiles
import Device
import Panel

struct PanelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "panel",
    abstract: "Shows what the lights and the buzzer say.",
    discussion: """
      The patterns are those of the configuration. Docs/lights.md is made of 'panel list --markdown'.

        thermograph panel list
        thermograph panel demo
        thermograph panel demo question own-tag --seconds 8
      """,
    subcommands: [List.self, Demo.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists every signal: what is seen, what it means, what to do.",
      discussion: """
        With --json one object a signal, a line each. --markdown prints the shipped table, as Docs/lights.md has it.

          thermograph panel list
          thermograph panel list --json
        """)

    @Option(name: .long, help: "The main configuration file; without one the shipped patterns.")
    var config: String?

    @Flag(name: .long, help: "Print one JSON object on each line.")
    var json = false

    @Flag(name: .long, help: "Print the shipped table as a page has it.")
    var markdown = false

    func run() throws {
      if markdown { return print(PanelTable.standard.markdown, terminator: "") }
      let table = try PanelCommand.table(config)
      for signal in PanelSignal.allCases {
        if json {
          try printJSON(Line(signal, table))
        } else {
          let guide = signal.guide
          print("\(signal.rawValue): \(guide.seen)\n    means: \(guide.means)\n    do:    \(guide.whatToDo)")
        }
      }
    }

    private struct Line: Encodable {
      let signal: String
      let seen: String
      let means: String
      let whatToDo: String
      let pattern: String

      init(_ signal: PanelSignal, _ table: PanelTable) {
        self.signal = signal.rawValue
        (seen, means, whatToDo) = (signal.guide.seen, signal.guide.means, signal.guide.whatToDo)
        pattern = table[signal]?.text ?? ""
      }

      private enum CodingKeys: String, CodingKey {
        case signal, seen, means, pattern
        case whatToDo = "what_to_do"
      }
    }
  }

  struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Plays the patterns on the device's own lights and buzzer, one after the other.",
      discussion: """
        The pins are those of the configuration; where it names none, the light is drawn on standard output. A running \
        service holds the pins: stop it first. Exit status 1: a pin cannot be used.

          thermograph panel demo
          thermograph panel demo question own-tag --seconds 8
          thermograph panel demo --simulate
        """)

    @Argument(help: "Signals as 'panel list' names them; all without one.")
    var signals: [String] = []

    @Option(name: .long, help: "The main configuration file; without one the shipped patterns, drawn.")
    var config: String?

    @Option(name: .long, parsing: .unconditional, help: "How long each is played, 1 to 60.")
    var seconds = 4

    @Flag(name: .long, help: "Draw the light on standard output in the place of the pins.")
    var simulate = false

    func validate() throws {
      guard (1...60).contains(seconds) else { throw ValidationError("--seconds \(seconds): expected 1 to 60") }
      _ = try chosen()
    }

    func run() async throws {
      let settings = try PanelCommand.settings(config)
      let demonstration = PanelDemonstration(
        settings: settings, isDrawn: simulate, seconds: seconds,
        write: { print($0, terminator: "") })
      do {
        try await demonstration.play(try chosen())
      } catch let error as PanelError {
        throw CommandFailure("\(error); is the service running? 'systemctl stop thermograph' frees the pins")
      }
    }

    private func chosen() throws -> [PanelSignal] {
      guard !signals.isEmpty else { return PanelSignal.allCases }
      return try signals.map { name in
        guard let signal = PanelSignal(rawValue: name) else {
          let names = PanelSignal.allCases.map(\.rawValue).joined(separator: ", ")
          throw ValidationError("'\(name)' is no signal; expected one of \(names)")
        }
        return signal
      }
    }
  }

  private static func table(_ config: String?) throws -> PanelTable { try settings(config).panel }

  private static func settings(_ config: String?) throws -> Settings {
    guard let config else { return Settings() }
    let reading = ConfigurationFolder(mainFile: config).read()
    guard reading.isUsable else {
      for fault in reading.faults { printToStandardError("\(fault)") }
      throw CheckCommand.notUsable
    }
    return reading.settings
  }
}
