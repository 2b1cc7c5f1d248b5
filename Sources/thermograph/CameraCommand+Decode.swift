import ArgumentParser
import LocalFiles
import Provenance
import Thermography

struct CameraDecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Turns raw sensor words into temperatures: the maths alone.",
    discussion: """
      A word file holds decimal or 0x-hexadecimal words separated by white space: an EEPROM 832 words; a frame 834 \
      words (RAM 0x0400...0x073F, control register 0x800D, sub-page number). Broken and outlier pixels are computed \
      and listed as invalid. Implausible words are a warning and are still computed, unless --strict.

        thermograph camera decode --eeprom eeprom.txt --frame frame-0.txt --json
        thermograph camera decode --eeprom eeprom.txt --frame frame-0.txt --frame frame-1.txt --emissivity 0.98
      """)

  @Option(name: .long, help: "The EEPROM's word file.")
  var eeprom: String

  @Option(name: .long, help: "A frame's word file; may be repeated (up to 1024 times).")
  var frame: [String]

  @Option(name: .long, parsing: .unconditional, help: "The object's emissivity, above 0 up to 1; skin is 0.98.")
  var emissivity = 1.0

  @Option(name: .long, parsing: .unconditional, help: "The reflected temperature in degC. Without it: Ta - 8.")
  var reflected: Double?

  @Flag(name: .long, help: "Replace invalid pixels by the mean of valid neighbours of the same sub-page.")
  var interpolate = false

  @Flag(name: .long, help: "Refuse an implausible EEPROM or frame.")
  var strict = false

  @Option(name: .long, help: "'reference' (double precision) or 'device' (what a capture uses).")
  var maths = TemperatureMaths.reference

  @Flag(name: .long, help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws {
    guard emissivity > 0, emissivity <= 1 else { throw ValidationError("--emissivity \(emissivity): expected 0...1") }
    if let reflected, !(reflected > -273.15 && reflected <= 1000) {
      throw ValidationError("--reflected \(reflected): expected -273.15...1000 degC")
    }
    guard (1...1024).contains(frame.count) else { throw ValidationError("--frame: expected 1...1024 files") }
  }

  func run() throws {
    var decoder = FrameDecoder(try WordFile.eeprom(read(eeprom), name: eeprom))
    decoder.emissivity = emissivity
    decoder.reflectedCelsius = reflected
    decoder.interpolates = interpolate
    decoder.maths = maths
    if strict, let fault = decoder.eeprom.faults.first { throw ImplausibleWords(file: eeprom, what: "\(fault)") }
    var result = DecodedFrames(frames: [], warnings: decoder.warnings)
    for file in frame {
      let subPage = try WordFile.frame(read(file), name: file)
      let warnings = decoder.warnings(for: subPage)
      if strict, let first = warnings.first { throw ImplausibleWords(file: file, what: first) }
      result.warnings += warnings.map { "\(file): \($0)" }
      result.frames.append(decoder.decode(subPage))
    }
    if json {
      print(try CanonicalJSON.text(of: result))
    } else {
      for warning in result.warnings { printToStandardError("warning: \(warning)") }
      for (file, decoded) in zip(frame, result.frames) { print(summary(decoded, file: file)) }
    }
  }

  private func read(_ file: String) throws(FileError) -> [UInt8] {
    try BoundedFile.read(file, maximumBytes: WordFile.maximumBytes)
  }

  private func summary(_ frame: DecodedFrame, file: String) -> String {
    let values = frame.to.compactMap { $0 }
    func shown(_ value: Double?, _ unit: String) -> String {
      value.map { "\(($0 * 1000).rounded() / 1000) \(unit)" } ?? "no value"
    }
    let mean = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    return """
      \(file): sub-page \(frame.subpage), \(frame.mode)
        Vdd \(shown(frame.vdd, "V")), Ta \(shown(frame.ta, "degC")), gain \(shown(frame.gain, ""))
        \(values.count) pixels: minimum \(shown(values.min(), "degC")), mean \(shown(mean, "degC")), maximum \
      \(shown(values.max(), "degC")); \(frame.invalid.count) invalid
      """
  }
}

/// Words that `--strict` refuses.
private struct ImplausibleWords: Error, CustomStringConvertible {
  var file: String
  var what: String

  var description: String { "\(file): \(what)" }
}

extension TemperatureMaths: ExpressibleByArgument {}
