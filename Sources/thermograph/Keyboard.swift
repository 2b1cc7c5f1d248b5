import Glibc
import LocalFiles
import Synchronization
import Threads

/// The keys of the terminal at standard input, each as it is pressed: without Enter, and without an echo in the picture.
final class Keyboard: Sendable {
  /// How the terminal was before; nil once it is so again.
  private let former = Mutex<termios?>(nil)

  static var isThere: Bool { isatty(STDIN_FILENO) == 1 }

  /// - Parameter pressed: told of each byte, on a thread that waits for input and ends with the process.
  func listen(_ pressed: @escaping @Sendable (UInt8) -> Void) throws(SystemCallError) {
    var settings = termios()
    guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
      throw SystemCallError(call: "tcgetattr", subject: "standard input", errorNumber: errno)
    }
    former.withLock { [settings] in $0 = settings }
    // Signals stay: Ctrl-C ends the session.
    settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
    guard tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0 else {
      throw SystemCallError(call: "tcsetattr", subject: "standard input", errorNumber: errno)
    }
    _ = try NamedThread("keyboard") {
      var byte: UInt8 = 0
      while true {
        do throws(SystemCallError) {
          let count = try systemCall("read", on: "standard input") { read(STDIN_FILENO, &byte, 1) }
          guard count == 1 else { return }
        } catch {
          // The terminal is gone.
          return
        }
        pressed(byte)
      }
    }
  }

  /// Leaves the terminal as it was found.
  func restore() {
    former.withLock { settings in
      guard var found = settings else { return }
      // A terminal that is gone needs nothing.
      _ = tcsetattr(STDIN_FILENO, TCSANOW, &found)
      settings = nil
    }
  }
}
