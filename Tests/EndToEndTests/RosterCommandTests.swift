import DeviceSimulation
import Foundation
import Identification
import Storage
import Testing

/// The clinic's list from its first row on, as a nurse keeps it.
@Suite(.serialized) struct RosterCommandTests {
  private static let one = "mzxw6ytboiaaaaaaaaaaaaaaaa"
  private static let two = "ghijklmnopqrstuvwxyz234564"

  private func configure(_ workspace: Workspace, reader: String = "/dev/null") throws -> String {
    try workspace.configure(
      port: 1883, captures: 0,
      more: [
        "patients": "roster_file = \"\(workspace.folder)/roster.csv\"",
        "reader": "kind = \"rdm6300\"\ndevice = \"\(reader)\"",
      ])
  }

  @Test func rowsAreAddedImportedCheckedAndListed() async throws {
    let workspace = try Workspace()
    let path = try configure(workspace)
    func run(_ arguments: String...) async throws -> (status: Int32, output: String, errors: String) {
      let result = try await Program.run(["roster"] + arguments + ["--config", path], in: workspace.folder)
      return (result.status, result.output, result.errors)
    }
    let added = try await run("add", "--fingerprint", Self.one, "--id", "ward-7", "--consent", "capture")
    #expect(added.status == 0 && added.output.contains("ward-7: put on the list"), "\(added.errors)")
    let mode = try FileManager.default.attributesOfItem(atPath: workspace.folder + "/roster.csv")[.posixPermissions]
    #expect(mode as? Int == 0o600)
    let again = try await run("add", "--fingerprint", Self.one, "--id", "ward-7", "--consent", "capture")
    #expect(again.status == 0 && again.output.contains("already"))
    let taken = try await run("add", "--fingerprint", Self.two, "--id", "ward-7")
    #expect(taken.status == 1 && taken.errors.contains("for another tag"), "\(taken.errors)")

    // As spreadsheets of other countries write it; a faulty row is named, and nothing is put in.
    let sheet = workspace.folder + "/sheet.csv"
    try "\u{FEFF}fingerprint;id;role;note\n\(Self.two);nurse-2;operator;\"one; two\"\nshort;x;;\n".write(
      toFile: sheet, atomically: true, encoding: .utf8)
    let faulty = try await run("import", sheet)
    #expect(faulty.status == 1 && faulty.errors.contains("\(sheet):3:1: expected a fingerprint"), "\(faulty.errors)")
    let checked = try await run("check", sheet)
    #expect(checked.status == 1 && checked.output.contains("1 tags, 1 faults"), "\(checked.output)")
    try "fingerprint\tid\trole\n\(Self.two)\tnurse-2\toperator\n".write(
      toFile: sheet, atomically: true, encoding: .utf8)
    let imported = try await run("import", sheet)
    #expect(imported.status == 0 && imported.output.contains("1 put in, 0 were there already"), "\(imported.errors)")

    let list = try await run("list", "--json")
    #expect(list.status == 0)
    #expect(list.output.split(separator: "\n").count == 2)
    #expect(list.output.contains("\"id\":\"nurse-2\"") && list.output.contains("\"role\":\"operator\""))
    #expect(try await run("check").status == 0)
  }

  /// The fingerprint comes from the tag; its number is on no list.
  @Test func aTagAtTheReaderIsPutOnTheList() async throws {
    let workspace = try Workspace()
    let port = workspace.folder + "/run/reader"
    let reader = try SimulatedRFIDReader(kind: .rdm6300, path: port)
    let path = try configure(workspace, reader: port)
    let tag: [UInt8] = [0x0D, 0xE0, 0, 0, 7]
    func held<Result>(_ body: () async throws -> Result) async throws -> Result {
      let holding = Task {
        while !Task.isCancelled {
          await reader.present(tag)
          try await Task.sleep(for: .milliseconds(700))
          await reader.takeAway()
          try await Task.sleep(for: .milliseconds(500))
        }
      }
      defer { holding.cancel() }
      return try await body()
    }
    let read = try await held {
      try await Program.run(
        ["tag", "read", "--reader", "rdm6300", "--port", port, "--config", path, "--count", "1", "--json"],
        in: workspace.folder)
    }
    #expect(read.status == 0, "\(read.errors)")
    let line = try #require(read.output.split(separator: "\n").first)
    let shown = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    let fingerprint = try #require(shown["fingerprint"] as? String)
    #expect(fingerprint.count == 26)
    let added = try await held {
      try await Program.run(
        ["roster", "add", "--id", "ward-7", "--consent", "capture", "--config", path], in: workspace.folder)
    }
    #expect(added.status == 0, "\(added.errors)")
    let roster = try String(contentsOfFile: workspace.folder + "/roster.csv", encoding: .utf8)
    #expect(roster.contains("\(fingerprint),ward-7,patient,capture,"), "\(roster)")
    #expect(!roster.lowercased().contains("0de0000007") && !added.output.contains("0de0000007"))
  }

  /// A list from before: its row is found by the former fingerprint and renamed when its tag is held to the reader.
  @Test func aRowOfAnEarlierFingerprintIsUpgradedByItsTag() async throws {
    let workspace = try Workspace()
    let port = workspace.folder + "/run/reader"
    let reader = try SimulatedRFIDReader(kind: .rdm6300, path: port)
    let path = try configure(workspace, reader: port)
    let tag: [UInt8] = [0x0D, 0xE0, 0, 0, 8]
    let key = [UInt8](try #require(FileManager.default.contents(atPath: workspace.folder + "/state/keys/site.key")))
    let former = PatientReference(
      tag: try #require(TagUID(bytes: tag)), siteKey: key, version: .hmac, digests: OpenSSLDigests())
    let roster = workspace.folder + "/roster.csv"
    let rowsBefore = ["\(former),ward-9,patient,capture upload,", "\(Self.two),nurse-2,operator,,"]
    try (["fingerprint,id,role,consent,note"] + rowsBefore + [""]).joined(separator: "\n").write(
      toFile: roster, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: roster)
    let holding = Task {
      while !Task.isCancelled {
        await reader.present(tag)
        try await Task.sleep(for: .milliseconds(700))
        await reader.takeAway()
        try await Task.sleep(for: .seconds(20))
      }
    }
    defer { holding.cancel() }
    let run = try await Program.run(
      ["roster", "upgrade", "--seconds", "5", "--config", path], in: workspace.folder, seconds: 60)
    #expect(run.status == 0 && run.output.contains("ward-9: upgraded"), "\(run.output)\(run.errors)")
    let rows = try String(contentsOfFile: roster, encoding: .utf8)
    #expect(!rows.contains(former.text))
    #expect(rows.contains(",ward-9,patient,capture upload,"), "\(rows)")
    #expect(rows.contains("\(Self.two),nurse-2,operator"), "\(rows)")
    let current = PatientReference(
      tag: try #require(TagUID(bytes: tag)), siteKey: key, digests: OpenSSLDigests())
    #expect(rows.contains(current.text))
  }
}
