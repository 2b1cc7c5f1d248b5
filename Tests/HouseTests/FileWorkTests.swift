import Foundation
import Testing

/// Files have one home, `LocalFiles`: there a call is repeated after a signal, bounded, durable and named in its error.
@Suite struct FileWorkTests {
  /// Calls elsewhere, and why each is not about a regular file. By name of the file: rooms may change.
  private static let exceptions: [String: (calls: Set<String>, why: String)] = [
    "WakeSignal.swift": (["read", "write"], "an eventfd"),
    "SerialPort.swift": (["read", "write", "flock"], "a terminal"),
    "ChildProcess.swift": (["read", "write"], "pipes of a child"),
    "PseudoTerminal.swift": (["read", "write"], "a terminal"),
    "SimulatedRFIDReader.swift": (["lstat", "unlink", "symlink"], "the name of a simulated terminal"),
    "SimulatedPanel.swift": (["read", "write"], "an eventfd"),
    "LinuxI2CBus.swift": (["open"], "an I2C bus"),
    "ControlListener.swift": (["unlink"], "a socket"),
    "JournalSocket.swift": (["fstat"], "standard error"),
    "Keyboard.swift": (["read"], "standard input"),
    "TagDecodeCommand.swift": (["open", "read"], "a reader's port, a pipe or standard input"),
    "Doctor+System.swift": (["access"], "device nodes"),
  ]

  private static func violations(in text: String, of file: String) -> [String] {
    let allowed = exceptions[file.split(separator: "/").last.map(String.init) ?? file]?.calls ?? []
    return RawCalls.find(in: text).filter { !allowed.contains($0.name) }.map {
      "\(file):\($0.line): \($0.name); work on files goes through LocalFiles"
    }
  }

  /// One that knows of interruptions by itself forgets another, or waits longer than it says.
  private static func namesInterruption(_ text: String) -> Bool {
    RawCalls.withoutCommentsAndLiterals(text).contains(/\bEINTR\b/)
  }

  @Test func noFileIsOpenedWrittenOrRenamedOutsideItsHome() throws {
    for file in try House.swiftFiles(under: "Sources") where !file.hasPrefix("Sources/Adapters/LocalFiles/") {
      let found = Self.violations(in: try String(contentsOfFile: House.path(file), encoding: .utf8), of: file)
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }

  @Test func everyExceptionIsStillNeeded() throws {
    let files = try House.swiftFiles(under: "Sources")
    for (name, exception) in Self.exceptions {
      let file = try #require(files.first { $0.hasSuffix("/" + name) }, "\(name) is gone; so is its exception")
      let found = Set(
        RawCalls.find(in: try String(contentsOfFile: House.path(file), encoding: .utf8)).map(\.name))
      #expect(
        exception.calls.isSubset(of: found), "\(name) (\(exception.why)) no longer calls all of \(exception.calls)")
    }
  }

  @Test func onlyOneHelperKnowsOfInterruptedCalls() throws {
    let all = try FileManager.default.subpathsOfDirectory(atPath: House.path("Sources")).map { "Sources/" + $0 }
    let sources = all.filter { name in [".swift", ".c", ".h", ".cpp"].contains { name.hasSuffix($0) } }
    #expect(sources.count > 400)
    let naming = try sources.filter {
      Self.namesInterruption(try String(contentsOfFile: House.path($0), encoding: .utf8))
    }
    #expect(naming == ["Sources/Adapters/LocalFiles/SystemCall.swift"])
  }

  // MARK: The rule itself

  @Test(arguments: [
    "let f = open(path, O_RDONLY | O_CLOEXEC)", "let f = Glibc.open(path, O_RDONLY)",
    "write(\n  f, bytes,\n  bytes.count)",
    "guard fsync(f) == 0 else { return }", "guard rename(a, b) == 0",
    "_ = bytes.withUnsafeBytes { write(f, $0.baseAddress, 3) }",
    "unlink(path + \".tmp\")", "mkdir(folder, 0o700)", "fopen(path, \"r\")", "if lstat(p, &s) == 0 {",
    "access(path, F_OK) == 0",
    "open(isNew ? first : second, O_WRONLY | O_CREAT, 0o600)", "openat(f, \"x\", O_RDONLY)",
    "let stream = opendir(path)", "Glibc.remove(path)",
  ])
  func aPlantedCallIsFound(text: String) {
    let source = "import Glibc\n\nfunc planted() {\n  \(text)\n}\n"
    let found = Self.violations(in: source, of: "Sources/Device/Planted.swift")
    #expect(found.count == 1 && found.first?.hasPrefix("Sources/Device/Planted.swift:4: ") == true, "\(found)")
    // Where devices are opened, other calls still are found.
    let elsewhere = Self.violations(in: source, of: "Sources/Adapters/LinuxIO/JournalSocket.swift")
    #expect(elsewhere.count == 1)
  }

  @Test(arguments: [
    "// open(path, O_RDONLY)", "try BoundedFile.rename(a, to: b)", "file.write(descriptor, buffer, count)",
    "var status = stat()",
    "let text = \"open(path, 1)\"", "private func write(_ a: Int, _ b: Int, _ c: Int) {",
    "try write(request, to: stick)",
    "try open(tag, &step, using: &generator)", "case open(Int32)", "try read(eeprom)", "/* unlink(path) */ remove(row)",
    "reopen(path, 1)", "let name = \"\"\"\n  unlink(path)\n  \"\"\"",
  ])
  func whatIsNoCallOfTheSystemIsLeftAlone(text: String) {
    #expect(Self.violations(in: "func planted() {\n  \(text)\n}\n", of: "Sources/Device/Planted.swift") == [])
  }

  @Test func aPlantedInterruptionIsFound() {
    #expect(Self.namesInterruption("if count < 0, errno == EINTR { continue }"))
    #expect(Self.namesInterruption("while (n < 0 && errno == EINTR);"))
    #expect(!Self.namesInterruption("// EINTR is the helper's\nlet text = \"EINTR\"\nlet EINTRA = 1"))
  }
}
