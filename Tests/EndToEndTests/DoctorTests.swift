import Foundation
import TestSupport
import Testing

/// `thermograph doctor` on a simulated device, beside the running service, and on a board without hardware.
@Suite(.serialized) struct DoctorTests {
  private func doctor(
    _ workspace: Workspace, _ arguments: [String], environment: [String: String] = [:]
  ) async throws -> (status: Int32, findings: [String: [String: Any]], errors: String) {
    let result = try await Program.run(
      ["doctor", "--json", "--config", workspace.folder + "/thermograph.toml"] + arguments, in: workspace.folder,
      environment: environment, seconds: 120)
    var findings: [String: [String: Any]] = [:]
    for line in result.output.split(separator: "\n") {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      findings[try #require(object["part"] as? String)] = object
    }
    return (result.status, findings, result.errors)
  }

  private func outcomes(_ findings: [String: [String: Any]], _ outcome: String) -> [String] {
    findings.filter { $0.value["outcome"] as? String == outcome }.keys.sorted()
  }

  @Test func theListNamesEveryPartWithWhatItIs() async throws {
    let workspace = try Workspace()
    let list = try await Program.run(["doctor", "--list"], in: workspace.folder)
    let lines = list.output.split(separator: "\n")
    #expect(list.status == 0 && lines.count == 21 && lines.allSatisfy { $0.split(separator: "\t").count == 2 })
    let unknown = try await Program.run(["doctor", "--part", "cammera"], in: workspace.folder)
    #expect(unknown.status != 0 && unknown.errors.contains("there is no part 'cammera'"))
  }

  @Test func aSimulatedDeviceInOrderPassesUpToTheReceipt() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try workspace.startReceiver(port: broker.port, until: 1)
    try await receiver.waitForErrors(containing: "127.0.0.1")
    try workspace.configure(port: broker.port, captures: 0)
    let (status, findings, errors) = try await doctor(workspace, ["--simulate", "--listen-milliseconds", "2000"])
    #expect(status == 0, "\(findings)\n\(errors)")
    #expect(findings.count == 21)
    #expect(outcomes(findings, "fail") == [])
    let passing = [
      "camera", "eeprom", "frame", "reader", "tag", "model", "keys", "name", "receipt", "outbox", "baselines",
    ]
    for part in passing {
      #expect(findings[part]?["outcome"] as? String == "pass", "\(part): \(findings[part] ?? [:])")
    }
    let receipt = try #require(findings["receipt"]?["what"] as? String)
    #expect(receipt.contains("the receipt of"), "\(receipt)")
    let model = try #require(findings["model"]?["what"] as? String)
    #expect(model.contains("golden samples equal"), "\(model)")
    // What a person is to do stands on standard error.
    #expect(errors.contains("hold a tag to the reader"))
  }

  @Test func besideTheServiceTheServiceAnswersForWhatItHolds() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try workspace.startReceiver(port: broker.port, until: 1)
    try await receiver.waitForErrors(containing: "127.0.0.1")
    let path = try workspace.configure(port: broker.port, captures: 0)
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "connected broker=")
    let parts = ["camera", "eeprom", "frame", "reader", "tls", "receipt", "outbox", "keys"]
    let (status, findings, errors) = try await doctor(workspace, parts.flatMap { ["--part", $0] })
    #expect(status == 0, "\(findings)\n\(errors)")
    #expect(outcomes(findings, "pass") == parts.sorted(), "\(findings)")
    #expect((findings["camera"]?["what"] as? String)?.contains("held by the service") == true)
    #expect((findings["receipt"]?["what"] as? String)?.contains("the receipt of") == true, "\(findings)")
    // The service runs on, with the same connection.
    #expect(device.isRunning && !device.errors.contains("disconnected"))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  @Test func everyFaultOfABoardWithoutHardwareHasItsRemedy() async throws {
    let workspace = try Workspace()
    // Nobody listens there, and nothing is plugged in.
    let nobody = try PortReservation()
    let hardware = "bus = \"\(workspace.folder)/i2c-absent\""
    try workspace.configure(
      port: nobody.port, captures: 0,
      more: ["camera": hardware, "reader": "device = \"\(workspace.folder)/tty-absent\""])
    try FileManager.default.removeItem(atPath: workspace.folder + "/state/keys/site.key")
    let (status, findings, _) = try await doctor(workspace, ["--no-tag"])
    #expect(status == 1)
    #expect(outcomes(findings, "fail") == ["devices", "keys", "tls"])
    for part in outcomes(findings, "fail") {
      #expect(findings[part]?["outcome"] as? String == "fail", "\(part): \(findings[part] ?? [:])")
      #expect((findings[part]?["remedy"] as? String)?.isEmpty == false, "\(part)")
    }
    // What follows from a fault is no second fault, and says so.
    for (part, cause) in ["bus": "devices", "camera": "devices", "reader": "devices", "receipt": "tls"] {
      #expect(findings[part]?["outcome"] as? String == "skip", "\(part)")
      #expect((findings[part]?["what"] as? String)?.hasPrefix("follows from \(cause): ") == true, "\(part)")
    }
    #expect((findings["devices"]?["what"] as? String)?.contains("tty-absent") == true)
    #expect((findings["keys"]?["what"] as? String)?.contains("site.key") == true)
  }

  /// Both are told at once, with one way to go: whoever brought only the first would come twice.
  @Test func everyMissingKeyIsNamedWithOneRemedy() async throws {
    let workspace = try Workspace()
    try workspace.configure(port: 1883, captures: 0)
    for key in ["site.key", "outbox.key"] {
      try FileManager.default.removeItem(atPath: workspace.folder + "/state/keys/" + key)
    }
    let (status, findings, _) = try await doctor(workspace, ["--part", "keys", "--part", "outbox"])
    #expect(status == 1)
    #expect(outcomes(findings, "fail") == ["keys"] && outcomes(findings, "skip") == ["outbox"], "\(findings)")
    let what = try #require(findings["keys"]?["what"] as? String)
    #expect(what.contains("site.key") && what.contains("outbox.key"), "\(what)")
    let remedy = try #require(findings["keys"]?["remedy"] as? String)
    #expect(remedy.contains("restore the named files"), "\(remedy)")
    #expect(!what.contains("thermograph outbox key make"), "one remedy, not two that differ: \(what)")
  }

  @Test func theReadersSpeedIsFoundWhenTheConfigurationIsWrong() async throws {
    let workspace = try Workspace()
    let board = try await FieldBoard(workspace)
    // A pseudo-terminal carries bytes at any speed: the protocol is what differs here.
    try workspace.configure(
      port: 1883, captures: 0, more: ["reader": "kind = \"line\"\ndevice = \"\(board.reader.path)\""])
    let tapping = Task {
      while !Task.isCancelled {
        await board.reader.tap([0x0D, 0xE0, 0, 0, 1])
        try? await Task.sleep(for: .milliseconds(100))
      }
    }
    defer { tapping.cancel() }
    let (status, findings, _) = try await doctor(
      workspace, ["--part", "tag", "--listen-milliseconds", "1000"], environment: board.environment)
    #expect(status == 1)
    let tag = try #require(findings["tag"])
    #expect((tag["what"] as? String)?.contains("speaks rdm6300 at 9600 baud, not line at 9600") == true, "\(tag)")
    #expect((tag["remedy"] as? String)?.contains("kind = \"rdm6300\"") == true, "\(tag)")
  }

  @Test func aDamagedConfigurationIsToldAndTheRestSkipped() async throws {
    let workspace = try Workspace()
    try workspace.configure(port: 1883, captures: 0, more: ["camera": "emissivty = 0.98"])
    let (status, findings, _) = try await doctor(workspace, [])
    #expect(status == 1)
    #expect(outcomes(findings, "fail") == ["configuration"])
    #expect(outcomes(findings, "skip").count == 20)
  }
}
