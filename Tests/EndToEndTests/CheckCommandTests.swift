import Foundation
import Testing

/// The contract of `thermograph check` with scripts and with systemd: streams and exit status.
@Suite struct CheckCommandTests {
  @Test func usableConfigurationIsStatusZero() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    let quiet = try await Program.run(["check", "--config", path], in: workspace.folder)
    #expect(quiet.status == 0 && quiet.output == "", "\(quiet.errors)")
    let listing = try await Program.run(["check", "--config", path, "--effective"], in: workspace.folder)
    #expect(listing.status == 0 && listing.output.contains("\n[broker]\nhost = \"127.0.0.1\""))
  }

  @Test func mistakesAreStatus78OnBothFaces() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0, more: ["camera": "emissivity = 2\nbuss = 1"])
    let text = try await Program.run(["check", "--config", path], in: workspace.folder)
    #expect(text.status == 78 && text.output == "")
    #expect(text.errors.contains(": camera.emissivity is 2; expected a number from 0.5 to 1.0\n"))
    // Not a terminal: no carets for a script to trip over.
    #expect(!text.errors.contains("^"))
    let json = try await Program.run(["check", "--config", path, "--json"], in: workspace.folder)
    #expect(json.status == 78 && json.errors == "")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(object["usable"] as? Bool == false)
    let faults = try #require(object["faults"] as? [[String: Any]])
    #expect(faults.map { $0["what"] as? String } == ["camera.emissivity is 2", "unknown key camera.buss"])
    #expect(faults.allSatisfy { $0["file"] as? String == path && $0["line"] is Int && $0["column"] is Int })
  }

  @Test func importLeavesAReportInTheFolder() async throws {
    let workspace = try Workspace()
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    try "schema = 1\n[device]\nid = \"d\"\n".write(
      toFile: stick + "/thermograph.toml", atomically: true, encoding: .utf8)
    let arguments = ["import", stick, "--into", workspace.folder + "/etc", "--owner", NSUserName()]
    try FileManager.default.createDirectory(atPath: workspace.folder + "/etc", withIntermediateDirectories: true)
    let refused = try await Program.run(arguments, in: workspace.folder)
    #expect(refused.status == 78, "\(refused.errors)")
    let report = try String(contentsOfFile: stick + "/import-report.txt", encoding: .utf8)
    #expect(report.contains("mistake: thermograph.toml:2:2: device.site is missing"))
    #expect(!FileManager.default.fileExists(atPath: workspace.folder + "/etc/thermograph.toml"))
  }
}
