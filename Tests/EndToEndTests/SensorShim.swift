import Foundation
import Testing

/// A preloaded library that is an MLX90640 on /dev/i2c-1, with the recorded EEPROM and frames of `recording`.
final class SensorShim {
  static let recording = Workspace.repository + "/Hardware/sensors/melexis-example"
  private let folder: String

  init(in folder: String) async throws {
    self.folder = folder
    let source = Workspace.repository + "/Tests/EndToEndTests/Fixtures/i2c-shim.c"
    let compiled = try await Program.run(
      [
        "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", folder + "/i2c-shim.so", source, "-ldl", "-lpthread",
      ],
      executable: "/usr/bin/cc", in: folder)
    try #require(compiled.status == 0, "\(compiled.errors)")
  }

  /// What the program under test is started with.
  var environment: [String: String] {
    [
      "LD_PRELOAD": folder + "/i2c-shim.so", "I2C_SHIM_EEPROM": Self.recording + "/eeprom.txt",
      "I2C_SHIM_FRAME_0": Self.recording + "/frame-0.txt", "I2C_SHIM_FRAME_1": Self.recording + "/frame-1.txt",
      "I2C_SHIM_LOG": log, "I2C_SHIM_FAULT": fault,
    ]
  }

  private var log: String { folder + "/i2c-shim.log" }
  private var fault: String { folder + "/i2c-shim.fault" }

  /// Uses that a real sensor would not survive; nil when there were none.
  var complaints: String? { FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } }

  /// From now on every transaction takes so long and fails with this errno.
  func fail(with errorNumber: Int32, afterMilliseconds milliseconds: Int = 0) throws {
    try Data("\(errorNumber) \(milliseconds)".utf8).write(to: URL(fileURLWithPath: fault), options: .atomic)
  }

  func work() throws { try FileManager.default.removeItem(atPath: fault) }
}
