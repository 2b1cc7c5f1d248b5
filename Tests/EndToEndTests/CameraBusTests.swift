import Foundation
import TestSupport
import Testing

/// The shipped binary's own way to the sensor: open, ioctl(I2C_RDWR) and close on /dev/i2c-1, answered by a preloaded
/// shim that is an MLX90640 with the recorded EEPROM and frames of `Hardware/sensors/melexis-example`.
@Suite struct CameraBusTests {
  private let workspace: Workspace
  private let shim: SensorShim

  init() async throws {
    workspace = try Workspace()
    shim = try await SensorShim(in: workspace.folder)
  }

  private func run(
    _ arguments: [String], failing script: String? = nil
  ) async throws -> (status: Int32, output: String, errors: String) {
    var environment = shim.environment
    if let script { environment["I2C_SHIM_FAIL"] = script }
    return try await Program.run(arguments, in: workspace.folder, environment: environment)
  }

  private func words(_ path: String) throws -> [Int] {
    try String(contentsOfFile: path, encoding: .utf8).split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
  }

  @Test func aDumpThroughI2CDevHoldsTheSensorsWords() async throws {
    // Each frame is synced before the next is read: on a slow card every second sub-page would be missed.
    let folder = try ScratchFolder(inMemory: true)
    let dump = try await run(
      ["camera", "dump", "--bus", "/dev/i2c-1", "--output", folder.path, "--frames", "8", "--rate", "16"])
    #expect(dump.status == 0, "\(dump.errors)")
    #expect(try words(folder.file("eeprom.txt")) == words(SensorShim.recording + "/eeprom.txt"))
    let frames = try (0..<8).map { try words(folder.file("frame-\($0).txt")) }
    #expect(frames.allSatisfy { $0.count == 834 && $0[832] == 0x1E81 })  // chess, 19 bit, 16 Hz
    // A busy machine may miss a sub-page, so they need not alternate; both must be there.
    let even = try #require(frames.firstIndex { $0[833] == 0 })
    let odd = try #require(frames.firstIndex { $0[833] == 1 })
    // Nothing but the status and control registers was written, no message carried an unusual flag.
    #expect(shim.complaints == nil)

    let decode = try await run(
      [
        "camera", "decode", "--eeprom", folder.file("eeprom.txt"),
        "--frame", folder.file("frame-\(even).txt"), "--frame", folder.file("frame-\(odd).txt"), "--json",
      ])
    let result = try #require(
      try JSONSerialization.jsonObject(with: Data(decode.output.utf8)) as? [String: Any])
    #expect((result["warnings"] as? [String])?.isEmpty == true, "\(result["warnings"] ?? "")")
    var expected = try numbers(SensorShim.recording + "/expected-to-1.txt")
    let first = try numbers(SensorShim.recording + "/expected-to-0.txt")
    for (index, value) in first.enumerated() where value != 0 { expected[index] = value }
    var compared = 0
    for frame in try #require(result["frames"] as? [[String: Any]]) {
      for (index, value) in try #require(frame["to"] as? [Any]).enumerated() {
        guard let celsius = value as? Double else { continue }
        // The shim adds up to two counts of 19 bit, some 0.1 degC each.
        #expect(abs(celsius - expected[index]) < 0.4, "pixel \(index)")
        compared += 1
      }
    }
    #expect(compared == 768)
  }

  @Test func failingTransfersAreTriedAgainOnTheRealPath() async throws {
    // Three failures in a row: the fourth try succeeds.
    let view = try await run(
      ["camera", "view", "--frames", "3", "--rate", "16"], failing: "30:\(EIO):3")
    #expect(view.status == 0, "\(view.errors)")
    #expect(view.output.split(separator: "\n").count == 3)
    #expect(view.output.contains("minimum 2"))
  }

  @Test func aSensorThatNeverAnswersIsNamed() async throws {
    let view = try await run(["camera", "view", "--frames", "1"], failing: "1:\(ENXIO):1000000")
    #expect(view.status != 0)
    #expect(view.errors.contains("/dev/i2c-1: nobody answers at the address"), "\(view.errors)")
  }

  private func numbers(_ path: String) throws -> [Double] {
    try String(contentsOfFile: path, encoding: .utf8).split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
  }
}
