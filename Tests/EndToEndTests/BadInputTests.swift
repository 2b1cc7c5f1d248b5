import Foundation
import Testing

/// One line that says which file or device, what is wrong and what to do; a non-zero exit; nothing lost.
@Suite(.serialized) struct BadInputTests {
  private func run(_ workspace: Workspace, _ arguments: [String]) async throws -> (status: Int32, errors: [Substring]) {
    let result = try await Program.run(arguments, in: workspace.folder)
    // A note is no mistake: this device is told of unsigned receipts.
    return (result.status, result.errors.split(separator: "\n").filter { !$0.hasPrefix("note: ") })
  }

  @Test func aMissingConfigurationFileIsNamed() async throws {
    let workspace = try Workspace()
    let missing = workspace.folder + "/absent.toml"
    let (status, errors) = try await run(workspace, ["run", "--config", missing, "--simulate"])
    #expect(status == 78)
    #expect(errors.count == 1 && errors[0].contains(missing), "\(errors)")
  }

  @Test func everyMistakeOfAConfigurationIsNamedWithItsPlace() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 1, more: ["camera": "emissivty = 0.98"])
    let (status, errors) = try await run(workspace, ["run", "--config", path, "--simulate"])
    #expect(status == 78)
    #expect(errors.count == 1, "\(errors)")
    let lines = try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "\n")
    let line = try #require(lines.firstIndex { $0.hasPrefix("emissivty") }) + 1
    #expect(errors.first?.contains("thermograph.toml:\(line):1") == true, "\(errors)")
    #expect(errors.first?.contains("emissivity") == true, "\(errors)")
  }

  @Test func aModelThatIsNoModelIsNamed() async throws {
    let workspace = try Workspace()
    let models = workspace.folder + "/models"
    try FileManager.default.copyItem(
      atPath: Workspace.repository + "/Models/screening-fold", toPath: models + "-source")
    try FileManager.default.createDirectory(atPath: models, withIntermediateDirectories: true)
    try FileManager.default.moveItem(atPath: models + "-source", toPath: models + "/screening-fold")
    try Data("not a model".utf8).write(to: URL(fileURLWithPath: models + "/screening-fold/model.tflite"))
    let path = try workspace.configure(port: 1883, captures: 1)
    let text = try String(contentsOfFile: path, encoding: .utf8)
      .replacingOccurrences(of: Workspace.repository + "/Models", with: models)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    // No picture is lost for want of a verdict: the device runs, and says why there is none.
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await device.waitForErrors(containing: "capture saved", seconds: 120)
    #expect(device.errors.contains("a model cannot be used; captures carry no verdict"), "\(device.errors)")
    #expect(device.errors.contains("model.tflite"))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  @Test func anAbsentSerialDeviceIsNamed() async throws {
    let workspace = try Workspace()
    // Without --simulate the camera's bus is looked for first; give it a file that is no bus to reach the reader.
    let path = try workspace.configure(
      port: 1883, captures: 0, more: ["reader": "kind = \"rdm6300\"\ndevice = \"\(workspace.folder)/ttyAbsent\""])
    let (status, errors) = try await run(workspace, ["run", "--config", path])
    #expect(status != 0)
    #expect(errors.contains { $0.contains("ttyAbsent") }, "\(errors)")
  }

  @Test func aWrongOutboxKeyLosesNothingAndIsNamed() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    try FileManager.default.removeItem(atPath: workspace.folder + "/state/keys/outbox.key")
    let (status, errors) = try await run(workspace, ["run", "--config", path, "--simulate"])
    #expect(status != 0)
    #expect(errors.last?.contains("outbox.key") == true, "\(errors)")
  }
}
