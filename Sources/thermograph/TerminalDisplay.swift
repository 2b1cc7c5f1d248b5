import Device
import Glibc
import Screening
import Synchronization
import SystemCalls
import Thermography

/// Shows a session on standard error: a screen that is drawn again and again on a terminal, else a line a change. Takes
/// the keyboard, where there is one.
final class TerminalDisplay: Sendable {
  private struct State {
    var control: SessionControl?
    var picture: LivePicture?
    var lastLine = ""
    var isOver = false
    var ticker: Task<Void, Never>?
  }

  private static let period = Duration.milliseconds(200)

  private let showsPicture: Bool
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
    if isatty(STDIN_FILENO) == 1 { listen(to: control) }
  }

  func show(_ picture: LivePicture, _ gates: [QualityGate]) {
    state.withLock { $0.picture = picture }
  }

  func end() {
    state.withLock { state in
      state.ticker?.cancel()
      state.isOver = true
    }
    draw()
  }

  private func draw() {
    let text: String = state.withLock { state in
      guard let snapshot = state.control?.snapshot else { return "" }
      if showsPicture {
        return "\u{1B}[H" + TerminalPicture().screen(snapshot, state.picture?.image)
      }
      let line = TerminalPicture.line(snapshot)
      guard line != state.lastLine else { return "" }
      state.lastLine = line
      return line + "\n"
    }
    if !text.isEmpty { write(text) }
  }

  /// Lines of the keyboard become requests. The thread waits for input and ends with the process.
  private func listen(to control: SessionControl) {
    do {
      _ = try NamedThread("keyboard") {
        while let line = readLine() {
          Task {
            switch line.first {
            case "q": _ = await control.cancel()
            case "s": _ = await control.skipRest()
            case "n": _ = await control.answer(false)
            case "y": _ = await control.answer(true)
            default: _ = await control.goOn()
            }
          }
        }
      }
    } catch {
      printToStandardError("no keyboard: \(error)")
    }
  }

  private func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      // A closed standard error leaves nobody to show anything to.
      if written <= 0 { return }
      bytes = bytes.dropFirst(written)
    }
  }
}
