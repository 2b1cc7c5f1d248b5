import Foundation
import TestSupport
import Testing

/// Files that the configuration names and that are not there or not whole: told by `check`, and no reason not to start.
@Suite(.serialized) struct NamedFilesTests {
  private func object(_ line: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
  }

  @Test func checkNamesEveryFileThatCannotBeUsed() async throws {
    let workspace = try Workspace()
    let garbage = workspace.folder + "/ca.pem"
    try "no certificate\n".write(toFile: garbage, atomically: true, encoding: .utf8)
    let path = try workspace.configure(
      port: 1883, captures: 0,
      more: [
        "screening": "model = \"absent\"",
        "patients": "roster_file = \"\(workspace.folder)/roster.csv\"",
        "session": "acclimatisation_seconds = 0\nlanguage = \"tlh\"",
        "broker": "host = \"127.0.0.1\"\nca_file = \"\(garbage)\"",
      ])
    try FileManager.default.removeItem(atPath: workspace.folder + "/state/keys/site.key")
    let found = try await Program.run(["check", "--config", path], in: workspace.folder)
    #expect(found.status == 1, "the text is right: \(found.errors)")
    for word in [
      "screening.model: ", "absent/manifest.json", "patients.roster_file: ", "session.language: ", "broker.ca_file: ",
      "ca.pem", "patients.site_key_file: ", "the configuration is usable; 5 faults in the files that it names",
    ] {
      #expect(found.errors.contains(word), "\(word): \(found.errors)")
    }
    let without = try await Program.run(["check", "--config", path, "--no-files"], in: workspace.folder)
    #expect(without.status == 0, "\(without.errors)")
    let json = try await Program.run(["check", "--config", path, "--json"], in: workspace.folder)
    #expect(json.status == 1)
    #expect(json.output.split(separator: "\n").count == 1, "one object a line, as every other command")
    let report = try object(json.output)
    #expect(report["usable"] as? Bool == true && (report["file_faults"] as? [[String: Any]])?.count == 5)
  }

  /// Neither is asked for at the start, so that nobody would miss it for weeks.
  @Test func aMisspeltFileOfKeysIsToldByEveryoneWhoIsAsked() async throws {
    let workspace = try Workspace()
    let absent = workspace.folder + "/absent"
    let path = try workspace.configure(
      port: 1883, captures: 0,
      more: [
        "delivery": "receiver_keys_file = \"\(absent)-receivers.pem\"",
        "remote": "command_keys_file = \"\(absent)-commands.pem\"",
      ])
    let check = try await Program.run(["check", "--config", path], in: workspace.folder)
    #expect(check.status == 1, "\(check.errors)")
    for word in [
      "delivery.receiver_keys_file: the key is unreadable: \(absent)-receivers.pem: ",
      "remote.command_keys_file: the key is unreadable: \(absent)-commands.pem: ", "until then no command is taken",
      "until then no receipt is believed", "; 2 faults in the files that it names",
    ] {
      #expect(check.errors.contains(word), "\(word): \(check.errors)")
    }
    let doctor = try await Program.run(["doctor", "--config", path, "--part", "configuration"], in: workspace.folder)
    #expect(doctor.status == 1, "\(doctor.output)")
    #expect(doctor.output.contains("a file that it names is not: ") && doctor.output.contains("absent-commands.pem"))
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "ready", seconds: 60)
    let status = try await Program.run(["status", "--config", path], in: workspace.folder)
    #expect(status.output.contains("! no command is taken: remote.command_keys_file: "), "\(status.output)")
    #expect(status.output.contains("! no receipt is believed, and nothing is freed: "), "\(status.output)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    // A device that takes no commands needs no keys for them.
    let off = try workspace.configure(
      port: 1883, captures: 0,
      more: ["remote": "commands = false\ncommand_keys_file = \"\(absent)-commands.pem\""])
    let quiet = try await Program.run(["check", "--config", off], in: workspace.folder)
    #expect(quiet.status == 0, "\(quiet.errors)")
    // Doctor names a language that is missing, as check does.
    try workspace.configure(port: 1883, captures: 0, more: ["session": "language = \"tlh\""])
    let language = try await Program.run(
      ["doctor", "--config", path, "--part", "configuration"], in: workspace.folder)
    #expect(language.status == 1 && language.output.contains("session.language"), "\(language.output)")
  }

  @Test func ignoredDropInsAreNamedAndContradictionsAreFaults() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    let dropIns = workspace.folder + "/conf.d"
    try FileManager.default.createDirectory(atPath: dropIns, withIntermediateDirectories: true)
    for name in ["10-a.toml.bak", "20-B.TOML", ".30-c.toml"] {
      try "broken".write(toFile: dropIns + "/" + name, atomically: true, encoding: .utf8)
    }
    let noted = try await Program.run(["check", "--config", path], in: workspace.folder)
    #expect(noted.status == 0, "\(noted.errors)")
    for name in ["10-a.toml.bak", "20-B.TOML", ".30-c.toml"] {
      #expect(noted.errors.contains("\(dropIns)/\(name): is not read"), "\(noted.errors)")
    }
    for (table, word) in [
      (
        "[lines]\nbutton = \"GPIO5\"\nled = \"GPIO6\"\nbuzzer = \"GPIO5\"\n",
        "lines.button and lines.buzzer are the same pin"
      ),
      ("[panel]\nquestion = \"R400 -400 *\"\n", "have the same rhythm of light and dark"),
      (
        "[session]\nacclimatisation_minimum_seconds = 900\nacclimatisation_maximum_seconds = 600\n",
        "acclimatisation_minimum_seconds 900 is above"
      ),
    ] {
      try table.write(toFile: dropIns + "/50-d.toml", atomically: true, encoding: .utf8)
      let refused = try await Program.run(["check", "--config", path], in: workspace.folder)
      #expect(refused.status == 78 && refused.errors.contains(word), "\(word): \(refused.errors)")
    }
  }

  /// A capture is never blocked by them: the verdict is withheld, the line waits, unknown_tag decides.
  @Test func theServiceStartsWithoutThemAndTells() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(
      port: 1883, captures: 1,
      more: [
        "screening": "model = \"absent\"",
        "patients": "roster_file = \"\(workspace.folder)/roster.csv\"",
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
        "broker": "host = \"127.0.0.1\"\nca_file = \"\(workspace.folder)/absent.pem\"",
      ])
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "capture saved", seconds: 120)
    let status = try await Program.run(["status", "--config", path], in: workspace.folder)
    #expect(status.output.contains("! the roster names nobody"), "\(status.output)")
    #expect(status.output.contains("! no verdicts: ") && status.output.contains("absent/manifest.json"))
    // The authority's file holds the line: nothing is sent, and the reason stands there.
    let line = try #require(status.output.split(separator: "\n").first { $0.hasPrefix("line ") })
    #expect(line.contains("waiting") && line.contains("absent.pem"), "\(status.output)")
    let reload = try await Program.run(["reload", "--config", path], in: workspace.folder)
    #expect(reload.status == 0 && reload.errors.contains("the roster names nobody"), "\(reload.errors)")
    let doctor = try await Program.run(
      ["doctor", "--config", path, "--part", "configuration", "--part", "model"], in: workspace.folder)
    #expect(doctor.output.contains("a file that it names is not") && doctor.output.contains("roster.csv"))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    let listed = try await Program.run(["session", "list", "--config", path, "--json"], in: workspace.folder)
    let session = try object(try #require(listed.output.split(separator: "\n").first))
    #expect(session["complete"] as? Bool == true && (session["captures"] as? [Any])?.count == 1)
  }

  /// Asked for through the service: every view saved is status 0, and the last line says how it ended.
  @Test func aCaptureThroughTheServiceTellsItsEnd() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(
      port: 1883, captures: 0,
      more: [
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
        "patients": "roster_file = \"\(workspace.folder)/roster.csv\"",
      ])
    let roster = "fingerprint,id,consent\nmzxw6ytboiaaaaaaaaaaaaaaaa,ward-7,capture upload\n"
    try roster.write(toFile: workspace.folder + "/roster.csv", atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: workspace.folder + "/roster.csv")
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "ready", seconds: 60)
    for round in 0..<3 {
      let capture = try await Program.run(
        ["capture", "--patient", "ward-7", "--config", path, "--json"], in: workspace.folder)
      #expect(capture.status == 0, "round \(round): \(capture.output)\(capture.errors)")
      let last = try object(try #require(capture.output.split(separator: "\n").last))
      #expect(last["over"] as? Bool == true && last["complete"] as? Bool == true)
      #expect(last["saved_views"] as? [String] == ["frontal"], "\(capture.output)")
    }
    let stranger = try await Program.run(
      ["capture", "--patient", "ward-8", "--config", path], in: workspace.folder)
    #expect(stranger.status == 1 && stranger.errors.contains("the roster does not have it"), "\(stranger.errors)")
    #expect(!stranger.errors.contains("did not say how"), "one reason is enough: \(stranger.errors)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }
}
