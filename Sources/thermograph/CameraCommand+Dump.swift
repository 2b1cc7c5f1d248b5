import ArgumentParser
import LocalFiles
import Thermography

struct CameraDumpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump",
    abstract: "Writes the sensor's EEPROM and raw frames to word files, for support.",
    discussion: """
      Works with a sensor whose EEPROM is implausible too, which is when support needs it. The files are what \
      'camera decode' reads: eeprom.txt, frame-0.txt, frame-1.txt ...

        thermograph camera dump --output /tmp/sensor
        thermograph camera dump --bus /dev/i2c-3 --output . --frames 8
      """)

  @OptionGroup var options: CameraOptions

  @Option(name: .long, help: "An existing folder to write to.")
  var output: String

  @Option(name: .long, parsing: .unconditional, help: "Frames (sub-pages) to write, 0...1024.")
  var frames = 2

  func validate() throws {
    guard (0...1024).contains(frames) else { throw ValidationError("--frames \(frames): expected 0...1024") }
  }

  func run() throws {
    // Before the sensor is asked for what could not be written.
    try checkFolder()
    var sensor = try options.camera().sensor
    let eeprom = try sensor.connect()
    try write(WordFile.text(of: eeprom.words), to: "eeprom.txt")
    for fault in eeprom.faults { printToStandardError("warning: EEPROM: \(fault)") }
    printToStandardError("sensor \(eeprom.serialNumber)")
    var subPage = SubPage.unread
    for index in 0..<frames {
      try sensor.readSubPage(into: &subPage)
      try write(WordFile.text(of: subPage), to: "frame-\(index).txt")
    }
  }

  private func checkFolder() throws {
    guard try BoundedFile.status(output)?.kind == .folder else {
      throw CameraToolError("\(output): is no folder that exists; make it first: mkdir -p \(output)")
    }
  }

  private func write(_ text: String, to name: String) throws(FileError) {
    // It may be a stick for support.
    try OpenFolder(withoutLinks: output).replace(name, with: Array(text.utf8), mode: 0o644)
    print("\(output)/\(name)")
  }
}
