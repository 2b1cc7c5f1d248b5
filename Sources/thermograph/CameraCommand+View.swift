import ArgumentParser
import Glibc
import Thermography

struct CameraViewCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "view",
    abstract: "Shows the live image in the terminal, with minimum, mean and maximum.",
    discussion: """
      Needs a terminal of 66 x 27 with 24-bit colours. Elsewhere it prints one line for each frame. Ends with control-C or after \
      --frames frames.

        thermograph camera view --rate 8
        thermograph camera view --palette gray --low 20 --high 40
        thermograph camera view --simulate
      """)

  @OptionGroup var options: CameraOptions

  @Option(name: .long, help: "inferno, gray, iron or clinical.")
  var palette = Palette.inferno

  @Option(name: .long, parsing: .unconditional, help: "Temperature at the low end of the palette, in degC.")
  var low = ThermogramView.defaultWindowCelsius.lowerBound

  @Option(name: .long, parsing: .unconditional, help: "Temperature at the high end of the palette, in degC.")
  var high = ThermogramView.defaultWindowCelsius.upperBound

  @Option(name: .long, parsing: .unconditional, help: "Emissivity, 0.1...1; skin is 0.98.")
  var emissivity = 0.98

  @Option(name: .long, parsing: .unconditional, help: "Stop after so many frames (pairs of sub-pages).")
  var frames: Int?

  func validate() throws {
    if let frames, frames < 1 { throw ValidationError("--frames \(frames): expected 1 or more") }
    guard low < high else { throw ValidationError("--low \(low) --high \(high): expected low < high") }
    guard emissivity >= 0.1, emissivity <= 1 else {
      throw ValidationError("--emissivity \(emissivity): expected 0.1...1")
    }
  }

  func run() throws {
    var camera = try options.camera()
    try camera.start()
    camera.begin(CaptureRequest(frames: 1024, emissivity: emissivity))
    camera.cancel()  // the emissivity stays
    let isTerminal = isatty(STDOUT_FILENO) == 1
    var shown = 0
    while shown < frames ?? .max {
      let step = try camera.step()
      guard step.subPage == 1 else { continue }
      print(isTerminal ? picture(camera.live, step) : summary(camera.live, step))
      fflush(nil)
      shown += 1
    }
  }

  private func summary(_ image: TemperatureImage, _ step: CameraStep) -> String {
    let sensor = "Ta \(tenths(step.ambientCelsius)) degC, Vdd \(tenths(step.supplyVolts)) V"
    guard let extremes = image.extremes else { return "no values; \(sensor)" }
    let values = [extremes.minimum, extremes.mean, extremes.maximum].map { tenths(Double($0)) }
    return "minimum \(values[0]), mean \(values[1]), maximum \(values[2]) degC; \(sensor)"
      + (step.settling ? "; settling" : "")
  }

  /// What fits into a terminal of 66 x 27 beside the words; of larger pictures only some pixels are shown.
  private static let maximumColumns = 33
  private static let maximumRows = 25

  /// Two blanks a pixel in the palette's colour, drawn over the picture before.
  private func picture(_ whole: TemperatureImage, _ step: CameraStep) -> String {
    let view = ThermogramView(captureID: "", palette: palette, windowCelsius: low...high)
    var text = "\u{1B}[H\u{1B}[2J"
    let image = whole.thinned(toColumns: Self.maximumColumns, rows: Self.maximumRows)
    for row in 0..<image.geometry.rows {
      for column in 0..<image.geometry.columns {
        let pixel = row * image.geometry.columns + column
        let color =
          image.valid[pixel] ? view.color(ofCelsius: Double(image.celsius[pixel])) : RGBColor(gray: 96)
        text += "\u{1B}[48;2;\(color.red);\(color.green);\(color.blue)m  "
      }
      text += "\u{1B}[0m\n"
    }
    return text + summary(whole, step) + "\nResearch use only"
  }

  private func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled < 0 ? "-" : "")\(abs(scaled) / 10).\(abs(scaled) % 10)"
  }
}

extension Palette: ExpressibleByArgument {}
