import Configuration
import LinuxIO
import Panel
import Synchronization

/// Plays patterns of the panel for somebody who learns them: on the board's pins, or drawn as text.
package struct PanelDemonstration: Sendable {
  private let settings: Settings
  private let isDrawn: Bool
  private let seconds: Int
  private let write: @Sendable (String) -> Void

  /// - Parameters:
  ///   - isDrawn: whether the light is written as text though pins are configured.
  ///   - seconds: how long each pattern is played, 1...60.
  package init(settings: Settings, isDrawn: Bool, seconds: Int, write: @escaping @Sendable (String) -> Void) {
    self.settings = settings
    self.isDrawn = isDrawn
    self.seconds = min(max(seconds, 1), 60)
    self.write = write
  }

  package func play(_ signals: [PanelSignal]) async throws {
    let wiring = GPIOPins.Wiring(settings.pins)
    guard !isDrawn, wiring != GPIOPins.Wiring() else { return signals.forEach(draw) }
    let pins = try GPIOPins(wiring)
    if let problem = pins.problems.first { throw PanelError("\(problem)") }
    let panel = try FrontPanel(
      lines: pins, table: settings.panel, debouncer: ButtonDebouncer(settings.pins.buttonTiming),
      clock: try SystemClock())
    defer { panel.stop() }
    for signal in signals {
      write(heading(signal))
      // What was shown before must not come back behind a pattern that is told once.
      panel.show(nil)
      panel.show(signal)
      try await Task.sleep(for: .seconds(seconds))
    }
  }

  private func heading(_ signal: PanelSignal) -> String {
    let guide = signal.guide
    return "\(signal.rawValue): \(guide.seen)\n    means: \(guide.means)\n    do:    \(guide.whatToDo)\n"
  }

  /// A letter for each tenth of a second: R, G, B for one colour, Y, C, V, W for two or three; `.` is dark. The line
  /// below it has the buzzer.
  private func draw(_ signal: PanelSignal) {
    guard let pattern = settings.panel[signal] else { return }
    var (lights, sounds) = ("", "")
    for tenth in 0..<seconds * 10 {
      let outputs = pattern.outputs(atMilliseconds: tenth * 100) ?? .dark
      lights += Self.letter(outputs)
      sounds += outputs.buzzer ? "z" : " "
    }
    write(heading(signal) + "    \(lights)\n")
    if sounds.contains("z") { write("    \(sounds)\n") }
  }

  private static func letter(_ outputs: PanelOutputs) -> String {
    switch (outputs.red, outputs.green, outputs.blue) {
    case (false, false, false): "."
    case (true, false, false): "R"
    case (false, true, false): "G"
    case (false, false, true): "B"
    case (true, true, false): "Y"
    case (false, true, true): "C"
    case (true, false, true): "V"
    case (true, true, true): "W"
    }
  }
}
