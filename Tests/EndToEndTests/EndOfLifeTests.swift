import Foundation
import TestSupport
import Testing

/// What the device leaves in its state directory, from a first start that fails to its end.
@Suite(.serialized) struct EndOfLifeTests {
  private func files(below folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).filter { name in
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: folder + "/" + name, isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted()
  }

  /// A whole life: an interrupted run, a damaged database that is set aside, a key that was changed. Whatever lies in the
  /// state directory then is erased.
  @Test func everyFileOfTheStateDirectoryIsErasedAtTheEnd() async throws {
    let workspace = try Workspace()
    let reservation = try PortReservation()
    let state = workspace.folder + "/state"
    // An older key beside the state directory, as a rotation leaves it.
    let older = workspace.folder + "/older.key"
    try Data((0..<32).map { _ in UInt8.random(in: 0...255) }).write(to: URL(filePath: older))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: older)
    let path = try workspace.configure(
      port: reservation.port, captures: 1,
      more: [
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0",
        "outbox": "older_key_file = \"\(older)\"",
      ])
    let first = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await first.waitForErrors(containing: "capture saved", seconds: 120)
    first.send(SIGKILL)
    try await first.waitForExit()
    // The log keeps its beginning, so that it is known for damaged and set aside with the database.
    let log = try FileHandle(forUpdating: URL(filePath: state + "/outbox.sqlite-wal"))
    try log.seek(toOffset: 32 + 24 + 100)
    try log.write(contentsOf: Data(repeating: 0x5A, count: 2000))
    try log.close()
    let second = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await second.waitForErrors(containing: "capture saved", seconds: 120)
    second.send(SIGTERM)
    #expect(try await second.waitForExit(seconds: 20) == 0, "\(second.errors)")

    let before = try files(below: state)
    for name in ["outbox.sqlite", "outbox.sqlite.damaged", "outbox.sqlite.damaged-wal", "outbox.sqlite.commits"] {
      #expect(before.contains(name), "\(before)")
    }
    #expect(before.contains { $0.hasPrefix("sensors/") })
    let end = try await Program.run(
      ["enroll", "--config", path, "--decommission", "--confirm", "test-device"], in: workspace.folder)
    #expect(end.status == 0, "\(end.errors)")
    let left = try files(below: state)
    #expect(left.isEmpty, "not on the list of files: \(left)")
    #expect(!FileManager.default.fileExists(atPath: older))
    #expect(end.output.contains("erased \(older)"))
  }

  /// A reader that is missing is found behind the outbox; the next start claims no damage.
  @Test func aFirstStartThatFailsLeavesNoClaimOfDamage() async throws {
    let workspace = try Workspace()
    let reservation = try PortReservation()
    let session = "acclimatisation_seconds = 0\nposition_seconds = 0"
    for (table, text) in [
      ("reader", "device = \"\(workspace.folder)/no-reader\""),
      ("reader", "kind = \"line\"\ndevice = \"\(workspace.folder)/no-reader\""),
    ] {
      for _ in 0..<2 {
        let path = try workspace.configure(
          port: reservation.port, captures: 1, more: ["session": session, table: text])
        let failed = try await Program.run(["run", "--config", path], in: workspace.folder)
        #expect(failed.status == 1 && failed.errors.contains("no-reader"), "\(failed.errors)")
      }
    }
    let path = try workspace.configure(port: reservation.port, captures: 1, more: ["session": session])
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "capture saved", seconds: 120)
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
    #expect(!device.errors.contains("outbox was damaged"), "\(device.errors)")
    let list = try await Program.run(["outbox", "list", "--config", path, "--json"], in: workspace.folder)
    #expect(list.output.contains("\"sequence\":1"), "\(list.output)")
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: false)
    let export = try await Program.run(["outbox", "export", "--config", path, "--clear", stick], in: workspace.folder)
    #expect(export.status == 0, "\(export.errors)")
    // The session's own event, and the alert of a machine whose clock is not set, may be there.
    let told = try FileManager.default.contentsOfDirectory(atPath: stick + "/messages").map {
      try String(contentsOfFile: stick + "/messages/" + $0, encoding: .utf8)
    }
    #expect(told.contains { $0.contains("session-closed") })
    for claim in ["outbox-recovered", "thermograph.gap."] { #expect(!told.contains { $0.contains(claim) }, "\(told)") }
  }
}
