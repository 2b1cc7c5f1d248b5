import Foundation
import Testing

/// The shipped unit against systemd's own judgement. The thresholds are part of what the device promises; whoever opens
/// the sandbox has to move them here and say why.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze"), "needs systemd-analyze"))
struct UnitFileTests {
  /// Tenths, as `--threshold` counts.
  static let defaultExposure = 13
  static let hardenedExposure = 10
  static let safeModeExposure = 3

  /// `systemd/thermograph.service` in a folder of its own, with drop-ins beside it.
  private static func stage(dropIns: [String], replacing: [String: String] = [:]) throws -> String {
    let folder = NSTemporaryDirectory() + "thermograph-unit-\(UUID().uuidString.prefix(8).lowercased())"
    let dropInFolder = folder + "/thermograph.service.d"
    try FileManager.default.createDirectory(atPath: dropInFolder, withIntermediateDirectories: true)
    for name in dropIns {
      try FileManager.default.copyItem(atPath: House.path("systemd/\(name)"), toPath: dropInFolder + "/" + name)
    }
    var unit = try String(contentsOfFile: House.path("systemd/thermograph.service"), encoding: .utf8)
    for (old, new) in replacing {
      try #require(unit.contains(old), "the unit has no \(old)")
      unit = unit.replacingOccurrences(of: old, with: new)
    }
    try unit.write(toFile: folder + "/thermograph.service", atomically: true, encoding: .utf8)
    return folder
  }

  private static func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, text: String) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }

  private static func exposure(_ folder: String, threshold: Int) throws -> (status: Int32, text: String) {
    try run(
      "/usr/bin/systemd-analyze",
      ["security", "--offline=true", "--no-pager", "--threshold=\(threshold)", folder + "/thermograph.service"])
  }

  @Test func exposureOfTheUnit() throws {
    let folder = try Self.stage(dropIns: [])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (status, text) = try Self.exposure(folder, threshold: Self.defaultExposure)
    #expect(status == 0, "\(text)")
    #expect(text.contains("Overall exposure level"))
  }

  @Test func exposureWithTheHardenedDropIn() throws {
    let folder = try Self.stage(dropIns: ["hardened.conf"])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (status, text) = try Self.exposure(folder, threshold: Self.hardenedExposure)
    #expect(status == 0, "\(text)")
    // The drop-in took effect: without it the threshold is missed.
    let bare = try Self.stage(dropIns: [])
    defer { try? FileManager.default.removeItem(atPath: bare) }
    #expect(try Self.exposure(bare, threshold: Self.hardenedExposure).status != 0)
  }

  /// A misspelt key is a warning only and leaves the exit status 0, so that any output is a fault.
  @Test func systemdUnderstandsEveryLine() throws {
    // Neither the program nor the manual page is installed here.
    let program = [
      "ExecStart=/usr/bin/thermograph run": "ExecStart=/bin/true run",
      "ExecReload=/usr/bin/thermograph reload": "ExecReload=/bin/true reload",
    ]
    let folder = try Self.stage(dropIns: ["hardened.conf", "credentials.conf"], replacing: program)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let verify = ["verify", "--man=no", folder + "/thermograph.service"]
    #expect(try Self.run("/usr/bin/systemd-analyze", verify).text == "")
    let misspelt = try Self.stage(
      dropIns: [], replacing: program.merging(["ProtectHome=": "ProtectHoem="]) { $1 })
    defer { try? FileManager.default.removeItem(atPath: misspelt) }
    let complaint = try Self.run(
      "/usr/bin/systemd-analyze", ["verify", "--man=no", misspelt + "/thermograph.service"]
    ).text
    #expect(complaint.contains("ProtectHoem"))
  }

  /// No device, no network, no socket but a local one: what safe mode promises.
  @Test func safeModeHasNoWayOut() throws {
    let unit = try House.lines(of: "systemd/thermograph-safe-mode.service")
    for line in ["PrivateDevices=yes", "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"] {
      #expect(unit.contains(Substring(line)), "\(line)")
    }
    let (status, text) = try Self.run(
      "/usr/bin/systemd-analyze",
      [
        "security", "--offline=true", "--no-pager", "--threshold=\(Self.safeModeExposure)",
        House.path("systemd/thermograph-safe-mode.service"),
      ])
    #expect(status == 0, "\(text)")
    // The one way into it.
    #expect(try House.lines(of: "systemd/thermograph.service").contains("OnFailure=thermograph-safe-mode.service"))
  }

  @Test(arguments: ["thermograph-import.service", "thermograph-safe-mode.service"])
  func systemdUnderstandsTheOtherUnits(name: String) throws {
    let folder = NSTemporaryDirectory() + "thermograph-unit-\(UUID().uuidString.prefix(8).lowercased())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let unit = try String(contentsOfFile: House.path("systemd/\(name)"), encoding: .utf8)
    let path = folder + "/\(name)"
    try unit.replacingOccurrences(of: "=/usr/bin/thermograph ", with: "=/bin/true ")
      .write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try Self.run("/usr/bin/systemd-analyze", ["verify", "--man=no", path]).text == "")
  }

  /// The far side's worker is held as tightly as the device.
  @Test func theReceiversUnit() throws {
    let folder = NSTemporaryDirectory() + "thermograph-unit-\(UUID().uuidString.prefix(8).lowercased())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let unit = try String(contentsOfFile: House.path("systemd/thermograph-receiver@.service"), encoding: .utf8)
    let path = folder + "/thermograph-receiver@1.service"
    try unit.replacingOccurrences(of: "=/usr/bin/thermograph-receiver ", with: "=/bin/true ")
      .write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try Self.run("/usr/bin/systemd-analyze", ["verify", "--man=no", path]).text == "")
    let (status, text) = try Self.run(
      "/usr/bin/systemd-analyze",
      ["security", "--offline=true", "--no-pager", "--threshold=\(Self.defaultExposure)", path])
    #expect(status == 0, "\(text)")
    // What the program answers and what the unit makes of it belong together.
    #expect(unit.contains("RestartPreventExitStatus=78"))
    let program = try House.lines(of: "Sources/thermograph-receiver/RunCommand.swift")
    #expect(program.contains { $0.contains("ExitCode(78)") })
  }

  @Test func accountAndFoldersAreMade() throws {
    let root = NSTemporaryDirectory() + "thermograph-root-\(UUID().uuidString.prefix(8).lowercased())"
    try FileManager.default.createDirectory(atPath: root + "/etc", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: root) }
    // Owners can only be set by root; another user sees that the files parse.
    let isRoot = geteuid() == 0
    let users = try Self.run(
      "/usr/bin/systemd-sysusers",
      ["--root=\(root)"] + (isRoot ? [] : ["--dry-run"]) + [House.path("systemd/sysusers.conf")])
    #expect(users.status == 0, "\(users.text)")
    guard isRoot else { return }
    let passwd = try String(contentsOfFile: root + "/etc/passwd", encoding: .utf8)
    #expect(passwd.contains("thermograph:") && passwd.contains(":/var/lib/thermograph:"))
    let folders = try Self.run(
      "/usr/bin/systemd-tmpfiles", ["--create", "--root=\(root)", House.path("systemd/tmpfiles.conf")])
    #expect(folders.status == 0, "\(folders.text)")
    let keys = try FileManager.default.attributesOfItem(atPath: root + "/var/lib/thermograph/keys")
    #expect(keys[.posixPermissions] as? Int == 0o700)
    #expect(keys[.ownerAccountID] as? Int != 0)
  }

  /// A watchdog that nobody feeds would end a healthy device every minute.
  @Test func watchdogIsSetOnlyIfTheDeviceFeedsIt() throws {
    let feeds = try House.swiftFiles(under: "Sources/Device").contains { file in
      try House.lines(of: file).contains { $0.contains("notify(.watchdog)") }
    }
    let asks = try House.lines(of: "systemd/thermograph.service").contains("WatchdogSec=60")
    #expect(feeds && asks, "the device feeds: \(feeds); the unit asks: \(asks)")
  }

  /// What the program answers and what the unit makes of it belong together.
  @Test func statusOfAnUnusableConfigurationPreventsRestarts() throws {
    let unit = try House.lines(of: "systemd/thermograph.service")
    #expect(unit.contains("RestartPreventExitStatus=78"))
    #expect(try House.lines(of: "Sources/thermograph/CheckCommand.swift").contains { $0.contains("ExitCode(78)") })
  }
}
