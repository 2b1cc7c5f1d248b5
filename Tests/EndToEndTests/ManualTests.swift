import Foundation
import TestSupport
import Testing

/// The manual page against the program: what it says of exit statuses is what a shell sees.
@Suite(.serialized) struct ManualTests {
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// The page as the package has it, without roff's escapes.
  private func manual() async throws -> String {
    let help = try await Program.run(["--experimental-dump-help"], in: workspace.folder)
    let path = workspace.folder + "/help.json"
    try Data(help.output.utf8).write(to: URL(fileURLWithPath: path))
    let page = try await Program.run(
      ["-c", "\(Workspace.repository)/Scripts/debian/manual 0.0.0 <\(path)"], executable: "/bin/sh",
      in: workspace.folder, environment: ["SOURCE_DATE_EPOCH": "0"])
    try #require(page.status == 0, "\(page.errors)")
    return page.output.replacingOccurrences(of: "\\-", with: "-").replacingOccurrences(of: "\\&", with: "")
  }

  /// Number to text, of the section of the same name.
  private func statuses(_ manual: String) throws -> [Int32: String] {
    let section = try #require(manual.components(separatedBy: ".SH EXIT STATUS\n").last)
    var found: [Int32: String] = [:]
    for item in section.components(separatedBy: ".TP\n").dropFirst() {
      let lines = item.split(separator: "\n", maxSplits: 1)
      found[try #require(Int32(lines[0]))] = String(lines[1])
    }
    return found
  }

  private func status(_ arguments: [String]) async throws -> Int32 {
    try await Program.run(arguments, in: workspace.folder).status
  }

  @Test func theStatusesOfThePageAreThoseOfTheProgram() async throws {
    let configuration = try workspace.configure(port: 1883, captures: 0)
    let broken = workspace.folder + "/broken.toml"
    try "schema = 1\n[device]\nidd = \"x\"\n".write(toFile: broken, atomically: true, encoding: .utf8)
    let seen: [Int32: [[String]]] = [
      0: [
        ["--version"], ["check", "--no-files", "--config", configuration], ["doctor", "--list"], ["panel", "list"],
      ],
      1: [
        ["outbox", "list", "--config", configuration], ["roster", "check", workspace.folder + "/absent.csv"],
        ["doctor", "--after-update", "--timeout", "0", "--config", configuration],
      ],
      64: [["doctor", "--part", "none"], ["statsu"], ["update", "hold"], ["check", "--unknown"]],
      69: [["status", "--config", configuration], ["reload", "--config", configuration]],
      78: [["check", "--config", broken], ["run", "--simulate", "--config", workspace.folder + "/absent.toml"]],
    ]
    let named = try statuses(try await manual())
    #expect(Set(named.keys) == Set(seen.keys))
    for (expected, commands) in seen {
      for command in commands {
        let found = try await status(command)
        #expect(found == expected, "\(command)")
      }
    }
  }

  /// No command ends with a status that neither the page's list nor the command's own text names.
  @Test func everyStatusInTheCodeIsOnThePage() async throws {
    let page = try await manual()
    let named = try statuses(page)
    let names: [String: Int32] = [
      "EX_TEMPFAIL": 75, "EX_NOPERM": 77, "EX_UNAVAILABLE": 69, "EX_CONFIG": 78, "EX_USAGE": 64,
    ]
    var used: Set<Int32> = []
    for folder in ["Sources/thermograph", "Sources/Device/Supervision"] {
      for file in try FileManager.default.subpathsOfDirectory(atPath: Workspace.repository + "/" + folder) {
        let text = try String(contentsOfFile: Workspace.repository + "/\(folder)/\(file)", encoding: .utf8)
        for match in text.matches(
          of: /(?:ExitCode|exit)\((?:error.errorNumber == ENOENT \? )?([A-Z_]+|[0-9]+)(?: : ([0-9]+))?\)/)
        {
          for word in [match.1, match.2].compactMap({ $0 }) {
            if let number = Int32(word) ?? names[String(word)] { used.insert(number) }
          }
        }
      }
    }
    #expect(used.isSuperset(of: [64, 69, 75, 77, 78, 126, 127]), "the search finds them: \(used)")
    for number in used where named[number] == nil {
      #expect(
        page.contains("\(number):") || page.contains("status \(number)") || page.contains("\(number) and"), "\(number)")
    }
  }

  /// What systemd sees of the service itself.
  @Test func theServicesOwnStatusesAreOnThePage() async throws {
    let help = try await Program.run(["run", "--help"], in: workspace.folder)
    let text = help.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " ")
    #expect(text.contains("Exit status 0: it was told to stop; 75: a part held the stop up, which was cut short; 78:"))
  }

  /// An option that does not exist is 64 for every command that there is.
  @Test func everyCommandAnswersAMistakeWith64() async throws {
    let help = try await Program.run(["--experimental-dump-help"], in: workspace.folder)
    let root = try #require(try JSONSerialization.jsonObject(with: Data(help.output.utf8)) as? [String: Any])
    var paths: [[String]] = []
    func collect(_ command: [String: Any], _ path: [String]) {
      let subcommands = (command["subcommands"] as? [[String: Any]] ?? []).filter {
        $0["commandName"] as? String != "help"
      }
      if subcommands.isEmpty, !path.isEmpty { paths.append(path) }
      for each in subcommands { collect(each, path + [each["commandName"] as? String ?? ""]) }
    }
    collect(try #require(root["command"] as? [String: Any]), [])
    #expect(paths.count > 40)
    for path in paths {
      #expect(try await status(path + ["--no-such-option"]) == 64, "\(path)")
    }
  }

  /// What the documentation says of statuses for whole commands.
  @Test func theServicePageSaysTheSame() throws {
    let page = try String(contentsOfFile: Workspace.repository + "/Docs/service.md", encoding: .utf8)
    for words in ["0: it can capture; 1: it cannot; 69: the service is not running", "after 1.8 s with status 75"] {
      #expect(page.contains(words), "\(words)")
    }
  }
}
