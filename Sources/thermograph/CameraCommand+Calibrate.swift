import ArgumentParser
import LinuxIO
import Thermography

struct CameraCalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract: "Makes the sensor's flat field from a surface of one temperature.",
    discussion: """
      Fill the whole view with a matt surface of one temperature, near that of skin (a painted plate in a water bath; \
      at worst a wall). The result is dated, kept under the sensor's serial number, and used by every capture from the \
      next start on. The sensor must have run for four minutes; --wait waits for that.

        thermograph camera calibrate --folder /var/lib/thermograph/sensors --wait
      """)

  @OptionGroup var options: CameraOptions

  @Option(name: .long, help: "The folder of the sensors' archives.")
  var folder = "/var/lib/thermograph/sensors"

  @Option(name: .long, parsing: .unconditional, help: "Frames to average, 64...1024.")
  var frames = 128

  @Option(name: .long, parsing: .unconditional, help: "Emissivity of the surface, 0.1...1; matt paint is 0.95.")
  var emissivity = 0.95

  @Flag(name: .long, help: "Wait until the sensor has warmed up (at most 20 minutes).")
  var wait = false

  func validate() throws {
    guard (FlatField.minimumFrames...1024).contains(frames) else {
      throw ValidationError("--frames \(frames): expected \(FlatField.minimumFrames)...1024")
    }
    guard emissivity >= 0.1, emissivity <= 1 else {
      throw ValidationError("--emissivity \(emissivity): expected 0.1...1")
    }
  }

  func run() throws {
    let archive = try SensorFolder(path: folder)
    var camera = try options.camera()
    // Without the archive: an old flat field must not be part of the new one.
    try camera.start()
    if wait { try waitForWarmth(&camera) }
    guard
      let thermogram = try camera.capture(CaptureRequest(frames: frames, emissivity: emissivity)),
      let serialNumber = camera.eeprom?.serialNumber
    else { throw CameraToolError("the view kept moving; hold the sensor and the surface still") }
    let flatField = try FlatField(
      thermogram: thermogram, serialNumber: serialNumber, taken: try SystemClock().now())
    print(try archive.keep(flatField))
    printToStandardError(
      "sensor \(serialNumber): flat field of \(flatField.framesAveraged) frames at \(flatField.surfaceCelsius) degC")
  }

  private func waitForWarmth(_ camera: inout ThermalCamera) throws {
    let maximumSteps = Int(20 * 60 * options.rate)
    for step in 0..<maximumSteps {
      if try !camera.step().settling { return }
      if step.isMultiple(of: max(1, Int(30 * options.rate))) {
        printToStandardError("warming up: \(Int(Double(step) / options.rate)) s")
      }
    }
    throw CameraToolError("the sensor's temperature did not become steady within 20 minutes; shield it from draughts")
  }
}

/// What a camera tool tells a person.
struct CameraToolError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}
