import Foundation
import Testing

/// What a person types who is in a hurry: values that begin with a minus, a slip in a command, a path from here.
@Suite struct CommandLineTests {
  private static let eeprom = Workspace.repository + "/Hardware/sensors/melexis-example/eeprom.txt"

  /// The value is judged, and never taken for an option that does not exist.
  @Test(arguments: [
    (["camera", "decode", "--eeprom", "e", "--frame", "f", "--emissivity", "-1"], "--emissivity -1.0: expected"),
    (["camera", "decode", "--eeprom", "e", "--frame", "f", "--reflected", "-300"], "--reflected -300.0: expected"),
    (["camera", "view", "--low", "-5", "--high", "-10"], "--low -5.0 --high -10.0: expected"),
    (["camera", "view", "--frames", "-1"], "--frames -1: expected"),
    (["camera", "dump", "--output", ".", "--frames", "-1"], "--frames -1: expected"),
    (["assess", "--thermogram", "absent.npy", "--ambient", "-4"], "absent.npy"),
    (["tag", "decode", "--reader", "line", "--line-prefix", "-aaaaaaaaaaaaaaaaaa"], "at most 16"),
    (["tag", "decode", "--reader", "line", "--line-suffix", "-aaaaaaaaaaaaaaaaaa"], "at most 16"),
    (["capture", "--patient", "-X"], "--patient '-X': expected"),
    (["doctor", "--listen-milliseconds", "-1"], "not -1"),
    (["infer", "--model", "m", "--runs", "-1"], "runs"),
    (["receive", "--broker", "b", "--output", "o", "--until", "-1"], "--until"),
  ])
  func aValueMayBeginWithAMinus(arguments: [String], expected: String) async throws {
    let workspace = try Workspace()
    let result = try await Program.run(arguments, in: workspace.folder)
    #expect(result.status != 0 && result.errors.contains(expected), "\(arguments): \(result.errors)")
    #expect(!result.errors.contains("Missing value") && !result.errors.contains("Unknown option"), "\(result.errors)")
  }

  @Test(arguments: [
    (["chek"], "did you mean 'thermograph check'?"), (["outbox", "lst"], "did you mean 'thermograph outbox list'?"),
    (["xyzzyxyzzy"], "there are assess, audit, camera,"),
  ])
  func aSlipInACommandHasASuggestion(arguments: [String], expected: String) async throws {
    let workspace = try Workspace()
    let result = try await Program.run(arguments, in: workspace.folder)
    #expect(result.status == 64 && result.errors.contains(expected), "\(result.errors)")
  }

  /// The recorded day in the documentation was typed: every command and option in it is one of this program.
  @Test func theRecordedDayHasCommandsThatThereAre() async throws {
    let workspace = try Workspace()
    let page = try String(contentsOfFile: Workspace.repository + "/Docs/clinic-day.md", encoding: .utf8)
    let record = try #require(page.components(separatedBy: "<!-- recorded by make clinic-day -->").last)
    var helps: [String: String] = [:]
    let lines = record.split(separator: "\n").filter { $0.hasPrefix("$ thermograph ") }
    for line in lines {
      let words = line.split(separator: " ").dropFirst(2).map(String.init)
      // A command is one word or two; what follows may be a session, a folder or a receipt.
      let isGroup = ["session", "outbox", "patient", "roster"].contains(words[0])
      let command = Array(words.prefix(isGroup ? 2 : 1))
      let key = command.joined(separator: " ")
      if helps[key] == nil {
        let help = try await Program.run(command + ["--help"], in: workspace.folder)
        #expect(help.status == 0, "\(key): \(help.errors)")
        helps[key] = help.output
      }
      for option in words where option.hasPrefix("--") {
        #expect(helps[key]?.contains(option) == true, "\(line): no \(option)")
      }
    }
    #expect(lines.count >= 10)
    #expect(
      Set(helps.keys).isSuperset(of: ["capture", "status", "outbox export", "outbox import", "session reassign"]))
  }

  @Test func aDumpIntoAFolderThatIsNotThereSaysSoBeforeTheSensorIsAsked() async throws {
    let workspace = try Workspace()
    let result = try await Program.run(
      ["camera", "dump", "--simulate", Self.eeprom, "--output", workspace.folder + "/absent"], in: workspace.folder)
    #expect(result.status == 1 && result.errors.contains("mkdir -p \(workspace.folder)/absent"), "\(result.errors)")
    #expect(!result.errors.contains("sensor "))
    let stray = try await Program.run(["camera", "view", Self.eeprom], in: workspace.folder)
    #expect(stray.status == 64 && stray.errors.contains("say --simulate too"), "\(stray.errors)")
  }

  /// A folder `Models` that lies about is not what a device computes with.
  @Test func modelsOfTheWorkingFolderAreNotTaken() async throws {
    let workspace = try Workspace()
    try FileManager.default.createSymbolicLink(
      atPath: workspace.folder + "/Models", withDestinationPath: Workspace.repository + "/Models")
    let list = try await here(workspace, "model", "list")
    #expect(list.status == 1 && list.errors.contains("/usr/share/thermograph/models"), "\(list.output)\(list.errors)")
    let named = try await here(workspace, "model", "list", "--directory", "Models")
    #expect(named.status == 0 && named.output.contains("screening-fold"))
  }

  @Test func enrolmentFromHereNamesWholePaths() async throws {
    let workspace = try Workspace()
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    try workspace.configure(port: 1883, captures: 0)
    for (name, text) in [("certificate.pem", "garbage"), ("issuer.pem", "garbage")] {
      try text.write(toFile: stick + "/" + name, atomically: true, encoding: .utf8)
    }
    let refused = try await here(workspace, "enroll", "--config", "thermograph.toml", "--install", stick)
    #expect(refused.status == 1 && refused.errors.contains("\(stick)/certificate.pem"), "\(refused.errors)")
    #expect(refused.errors.contains("holds no certificate"))
    // The lines that the configuration needs are whole paths, which alone count there.
    let request = try await here(workspace, "enroll", "--config", "./thermograph.toml", "--request", stick)
    try #require(request.status == 0, "\(request.errors)")
    for arguments in [
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        workspace.folder + "/ca.key", "-out", stick + "/ca.pem", "-subj", "/CN=test authority", "-days", "30",
      ],
      [
        "x509", "-req", "-in", stick + "/request.csr", "-CA", stick + "/ca.pem", "-CAkey", workspace.folder + "/ca.key",
        "-CAcreateserial", "-days", "20", "-out", stick + "/certificate.pem",
      ],
    ] {
      let made = try await Program.run(arguments, executable: "/usr/bin/openssl", in: workspace.folder)
      try #require(made.status == 0, "\(made.errors)")
    }
    let unreadable = try await here(workspace, "enroll", "--config", "thermograph.toml", "--install", stick)
    #expect(unreadable.status == 1 && unreadable.errors.contains("\(stick)/issuer.pem is not installed"))
    try FileManager.default.removeItem(atPath: stick + "/issuer.pem")
    let installed = try await here(workspace, "enroll", "--config", "thermograph.toml", "--install", stick)
    #expect(installed.status == 0, "\(installed.errors)")
    #expect(installed.errors.contains("certificate_file = \"\(workspace.folder)/device.pem\""), "\(installed.errors)")
  }

  /// Both programs that receive take the same options for the way to a broker, and say the same of them.
  @Test(
    arguments: [
      (["--certificate", "c.pem"], "--certificate and --key belong together"),
      (["--password-file", "p"], "--password-file is not used without --user"),
      (["--broker", "a/b"], "--broker 'a/b': expected HOST:PORT"),
      (["--tls"], nil),
    ] as [([String], String?)])
  func theWayToABrokerIsSaidOnceForBothReceivers(arguments: [String], expected: String?) async throws {
    let workspace = try Workspace()
    let broker = arguments.contains("--broker") ? [] : ["--broker", "127.0.0.1:1"]
    let worker = URL(filePath: Program.thermograph).deletingLastPathComponent().path + "/thermograph-receiver"
    let programs = [
      (Program.thermograph, ["receive", "--output", workspace.received, "--signing-key", "/absent.pem"]),
      (worker, ["--database", "host=127.0.0.1 port=1", "--master-key-file", "/absent.key"]),
    ]
    for (program, own) in programs {
      let result = try await Program.run(own + broker + arguments, executable: program, in: workspace.folder)
      #expect(result.status != 0, "\(result.output)")
      if let expected {
        #expect(result.errors.contains(expected), "\(program): \(result.errors)")
      } else {
        // Understood: what is missing is found later.
        #expect(result.status != 64 && !result.errors.contains("Usage"), "\(program): \(result.errors)")
      }
    }
  }

  /// Runs the program with the workspace as its working folder.
  private func here(
    _ workspace: Workspace, _ arguments: String...
  ) async throws -> (status: Int32, output: String, errors: String) {
    try await Program.run(
      ["-c", "cd \"$0\" && exec \"$@\"", workspace.folder, Program.thermograph] + arguments, executable: "/bin/sh",
      in: workspace.folder)
  }

  /// What a person finds who asks a command how it is used, and what the manual page is made of.
  @Test func everyCommandHasAnExample() async throws {
    let workspace = try Workspace()
    let help = try await Program.run(["--experimental-dump-help"], in: workspace.folder)
    let root = try #require(try JSONSerialization.jsonObject(with: Data(help.output.utf8)) as? [String: Any])
    var leaves = 0
    func visit(_ command: [String: Any], _ path: String) {
      let below = (command["subcommands"] as? [[String: Any]] ?? []).filter { $0["commandName"] as? String != "help" }
      for subcommand in below { visit(subcommand, path + " \(subcommand["commandName"] as? String ?? "?")") }
      // What the service calls itself is shown to nobody.
      guard below.isEmpty, command["shouldDisplay"] as? Bool != false else { return }
      leaves += 1
      let text = command["discussion"] as? String ?? ""
      #expect(text.contains(path), "\(path) --help shows no example")
    }
    visit(try #require(root["command"] as? [String: Any]), "thermograph")
    #expect(leaves > 30)
  }

  @Test func thePanelsPatternsArePlayedAndListed() async throws {
    let workspace = try Workspace()
    let demo = try await Program.run(["panel", "demo", "question", "own-tag", "--seconds", "2"], in: workspace.folder)
    #expect(demo.status == 0 && demo.errors == "")
    // Three violet blinks of 150 ms with pauses, sampled ten times a second, and the first beeps.
    #expect(demo.output.contains("    VV.VV.VV....") && demo.output.contains("    zz"), "\(demo.output)")
    #expect(demo.output.contains("own-tag: four violet blinks"))
    let list = try await Program.run(["panel", "list", "--json"], in: workspace.folder)
    let signals = list.output.split(separator: "\n")
    #expect(list.status == 0 && signals.count == 30)
    let unknown = try await Program.run(["panel", "demo", "qestion"], in: workspace.folder)
    #expect(unknown.status == 64 && unknown.errors.contains("'qestion' is no signal"))
    let page = try await Program.run(["panel", "list", "--markdown"], in: workspace.folder)
    #expect(try String(contentsOfFile: Workspace.repository + "/Docs/lights.md", encoding: .utf8).contains(page.output))
  }
}
