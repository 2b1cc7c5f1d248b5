import Device
import Glibc
import LocalFiles
import Screening
import Synchronization
import Thermography

/// Shows a session on standard error: a screen that is drawn again and again on a terminal, else a line a change. Takes
/// the keyboard, where there is one.
final class TerminalDisplay: Sendable {
  private struct State {
    var control: SessionControl?
    var picture: LivePicture?
    var lastLine = ""
    var ticker: Task<Void, Never>?
  }

  private static let period = Duration.milliseconds(200)

  private let showsPicture: Bool
  private let keyboard = Keyboard()
  private let state = Mutex(State())

  /// - Parameter showsPicture: standard output is a terminal of 80 x 24 with 24-bit colours.
  init(showsPicture: Bool) {
    self.showsPicture = showsPicture
  }

  func begin(_ control: SessionControl) {
    if showsPicture { write("\u{1B}[2J") }
    let ticker = Task {
      while !Task.isCancelled {
        self.draw()
        try? await Task.sleep(for: Self.period)
      }
    }
    state.withLock { ($0.control, $0.ticker) = (control, ticker) }
    if Keyboard.isThere { listen(to: control) }
  }

  func show(_ picture: LivePicture, _ gates: [QualityGate]) {
    state.withLock { $0.picture = picture }
  }

  func end() {
    state.withLock { $0.ticker?.cancel() }
    keyboard.restore()
  }

  private func draw() {
    let text: String = state.withLock { state in
      guard let snapshot = state.control?.snapshot else { return "" }
      if showsPicture {
        return "\u{1B}[H" + TerminalPicture().screen(snapshot, state.picture?.image, keys: Keyboard.isThere)
      }
      let line = TerminalPicture.line(snapshot)
      guard line != state.lastLine else { return "" }
      state.lastLine = line
      return line + "\n"
    }
    if !text.isEmpty { write(text) }
  }

  /// Keys become requests, one after the other; any other key does nothing.
  private func listen(to control: SessionControl) {
    let (keys, pressed) = AsyncStream.makeStream(of: UInt8.self, bufferingPolicy: .bufferingOldest(16))
    Task {
      for await key in keys {
        switch key {
        case UInt8(ascii: "q"): _ = await control.cancel()
        case UInt8(ascii: "s"): _ = await control.skipRest()
        case UInt8(ascii: "n"): _ = await control.answer(false)
        case UInt8(ascii: "y"): _ = await control.answer(true)
        case UInt8(ascii: "\n"), UInt8(ascii: "\r"): _ = await control.proceed()
        default: break
        }
      }
    }
    do {
      try keyboard.listen { pressed.yield($0) }
    } catch {
      printToStandardError("no keyboard: \(error)")
    }
  }

  private func write(_ text: String) { StandardError.write(Array(text.utf8)) }
}
