import DeviceSimulation
import Foundation
import TestSupport
import Testing

/// A program at a terminal of its own: the test presses keys and reads the screen.
final class TerminalProgram {
  private let process = Process()
  private let terminal: PseudoTerminal
  /// The test's own handle on the program's side: it keeps the terminal alive, and tells how it was left.
  private let line: Int32
  /// What was written last, enough for several screens.
  private var screen = Data()
  private static let screenBytes = 256 << 10

  init(_ arguments: [String], in folder: String, environment: [String: String] = [:]) throws {
    terminal = try PseudoTerminal()
    line = open(terminal.path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    var settings = termios()
    try #require(line >= 0 && tcgetattr(line, &settings) == 0)
    // As a shell gives it to a program.
    settings.c_lflag |= tcflag_t(ICANON | ECHO | ISIG)
    settings.c_iflag |= tcflag_t(ICRNL)
    settings.c_oflag |= tcflag_t(OPOST | ONLCR)
    try #require(tcsetattr(line, TCSANOW, &settings) == 0)
    process.executableURL = URL(fileURLWithPath: Program.thermograph)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let handle = FileHandle(fileDescriptor: line, closeOnDealloc: false)
    (process.standardInput, process.standardOutput, process.standardError) = (handle, handle, handle)
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    close(line)
  }

  func press(_ keys: String) throws {
    try #require(terminal.send(Array(keys.utf8)) == keys.utf8.count)
  }

  func shows(_ text: String) -> Bool {
    while case let bytes = terminal.receive(), !bytes.isEmpty { screen.append(contentsOf: bytes) }
    if screen.count > 2 * Self.screenBytes { screen = Data(screen.suffix(Self.screenBytes)) }
    return screen.range(of: Data(text.utf8)) != nil
  }

  func waitFor(_ text: String, seconds: Double = 60) async throws {
    try await eventually("the screen shows '\(text)'", seconds: seconds, context: { self.lastLines }) {
      shows(text)
    }
  }

  func waitForExit(seconds: Double = 60) async throws -> Int32 {
    try await eventually("it ends", seconds: seconds, context: { self.lastLines }) {
      // It must be able to write until then.
      _ = shows("")
      return !process.isRunning
    }
    return process.terminationStatus
  }

  private var lastLines: String { String(decoding: screen.suffix(3000), as: UTF8.self) }

  /// Whether the terminal gives lines and shows what is typed, as a shell expects it.
  var isAsItWasFound: Bool {
    var settings = termios()
    return tcgetattr(line, &settings) == 0 && settings.c_lflag & tcflag_t(ICANON) != 0
      && settings.c_lflag & tcflag_t(ECHO) != 0
  }
}
