import Screening
import Thermography

/// The guided session as a terminal of 80 x 24 shows it: the live image in half blocks with the gates beside it, a
/// progress bar below, and the sentence that the patient is told.
package struct TerminalPicture: Sendable {
  package static let columns = 80
  private static let barColumns = 48
  /// The place of the picture; of a larger one only some pixels are shown.
  private static let pictureColumns = 32
  private static let pictureRows = 24

  package var palette: Palette
  package var windowCelsius: ClosedRange<Double>

  package init(
    palette: Palette = .inferno, windowCelsius: ClosedRange<Double> = ThermogramView.defaultWindowCelsius
  ) {
    self.palette = palette
    self.windowCelsius = windowCelsius
  }

  private static let keys = "Enter: go on  y n: answer  s: skip the rest  q: end"

  /// One screen. Each line ends with the code that clears its rest.
  ///
  /// - Parameters:
  ///   - image: nil while there is none; its place stays empty.
  ///   - secondsLeft: of the phase, where it has an end.
  ///   - keys: name the keys that a session at a terminal takes.
  package func screen(
    _ snapshot: SessionSnapshot, _ image: TemperatureImage?, secondsLeft: Int? = nil, keys: Bool = false
  ) -> String {
    var lines = image.map(rows) ?? [String](repeating: blankRow, count: Self.pictureRows / 2)
    for (index, gate) in gateLines(snapshot.gates, limit: lines.count).enumerated() { lines[index] += "  " + gate }
    let title = "\(snapshot.state.rawValue)" + (snapshot.view.map { "  \($0.rawValue)" } ?? "")
    let left = secondsLeft.map { "  \($0) s" } ?? ""
    lines.insert(title + left, at: 0)
    lines.append(bar(snapshot))
    lines.append(String(snapshot.sentence.prefix(Self.columns)))
    lines.append("Research use only" + (keys ? "    \(Self.keys)" : ""))
    return lines.map { $0 + "\u{1B}[K\n" }.joined()
  }

  /// The same in one line without codes: what changed is a new line.
  package static func line(_ snapshot: SessionSnapshot) -> String {
    var line = snapshot.state.rawValue
    if let view = snapshot.view { line += " \(view.rawValue)" }
    if let done = snapshot.framesAveraged, let wanted = snapshot.framesWanted { line += " \(done)/\(wanted) frames" }
    let failed = snapshot.gates.filter { !$0.passed }.map(\.code.rawValue)
    if !failed.isEmpty { line += "; gates: \(failed.joined(separator: ", "))" }
    return line + "; " + snapshot.sentence
  }

  private var blankRow: String { String(repeating: " ", count: Self.pictureColumns) }

  /// Two rows of pixels a line: the upper one is the block's colour, the lower one the ground's.
  private func rows(_ whole: TemperatureImage) -> [String] {
    let image = whole.thinned(toColumns: Self.pictureColumns, rows: Self.pictureRows)
    let (columns, rows) = (image.geometry.columns, image.geometry.rows)
    let lines = stride(from: 0, to: rows, by: 2).map { row in
      var line = ""
      for column in 0..<columns {
        let upper = color(image, row * columns + column)
        let lower = row + 1 < rows ? color(image, (row + 1) * columns + column) : RGBColor(gray: 0)
        line +=
          "\u{1B}[38;2;\(upper.red);\(upper.green);\(upper.blue);48;2;\(lower.red);\(lower.green);\(lower.blue)m\u{2580}"
      }
      return line + "\u{1B}[0m" + String(repeating: " ", count: Self.pictureColumns - columns)
    }
    return lines + [String](repeating: blankRow, count: Self.pictureRows / 2 - lines.count)
  }

  private func color(_ image: TemperatureImage, _ pixel: Int) -> RGBColor {
    guard image.valid[pixel] else { return RGBColor(gray: 96) }
    let view = ThermogramView(captureID: "", palette: palette, windowCelsius: windowCelsius)
    return view.color(ofCelsius: Double(image.celsius[pixel]))
  }

  /// Those that failed first, then the others, as many as there is room for.
  private func gateLines(_ gates: [QualityGate], limit: Int) -> [String] {
    let ordered = gates.filter { !$0.passed } + gates.filter(\.passed)
    return ordered.prefix(limit).map { gate in
      let mark = gate.passed ? "ok  " : gate.severity == .hard ? "NOT " : "note"
      return "\(mark) \(gate.code.rawValue) \(Self.tenths(gate.value))/\(Self.tenths(gate.limit)) \(gate.unit)"
    }
  }

  private func bar(_ snapshot: SessionSnapshot) -> String {
    guard let done = snapshot.framesAveraged, let wanted = snapshot.framesWanted, wanted > 0 else { return "" }
    let filled = min(max(done * Self.barColumns / wanted, 0), Self.barColumns)
    return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: Self.barColumns - filled)
      + "] \(done)/\(wanted) frames"
  }

  private static func tenths(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return "-" }
    let scaled = Int((value * 10).rounded())
    return "\(scaled < 0 ? "-" : "")\(abs(scaled) / 10).\(abs(scaled) % 10)"
  }
}
