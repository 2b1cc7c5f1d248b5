import DriverSupport
import Foundation
import Provenance
import Remote
import TestSupport
import Testing

@testable import Storage

/// An update that is killed, or whose power is cut, at any moment: the record is the old one or the new one, byte for byte,
/// what it names is whole, and floors never fall.
///
/// The counts are small here and grow with the environment: THERMOGRAPH_UPDATE_KILLS=500, THERMOGRAPH_UPDATE_POWER_CUTS=100.
@Suite(.serialized) struct UpdateFaultTests {
  private static func count(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }

  private static let kills = count("THERMOGRAPH_UPDATE_KILLS", 24)
  private static let powerCuts = count("THERMOGRAPH_UPDATE_POWER_CUTS", 2)
  private static let last: Int64 = 4
  /// What changes a file or a name, or brings it to the disk.
  private static let calls = [
    "openat", "write", "rename", "renameat", "renameat2", "fsync", "fdatasync", "unlink", "unlinkat", "mkdir",
    "mkdirat",
    "ftruncate", "fchmod", "link", "symlink",
  ]

  private static var writer: String { builtProgram("UpdateWriter").path }

  private static func process(_ arguments: [String]) -> (Process, Pipe) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: arguments[0])
    process.arguments = Array(arguments.dropFirst())
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    return (process, output)
  }

  private static func run(_ arguments: [String]) throws -> (status: Int32, lines: [String]) {
    let (process, output) = process(arguments)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text.split(separator: "\n").map(String.init))
  }

  private static let isTraceable = (try? run(["/usr/bin/strace", "-o", "/dev/null", "/bin/true"]))?.status == 0

  /// The calls of a whole life that come after the first one on the state directory.
  private static func changes(in trace: String, below directory: String) throws -> [(name: String, ordinal: Int)] {
    var counts: [String: Int] = [:]
    var found: [(name: String, ordinal: Int)] = []
    var isInside = false
    for line in try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n") {
      guard let name = line.split(separator: "(").first.map(String.init), calls.contains(name) else { continue }
      counts[name, default: 0] += 1
      isInside = isInside || line.contains(directory)
      if isInside { found.append((name, counts[name] ?? 0)) }
    }
    return found
  }

  /// Where the record stands in the life; -1: there is none yet.
  private func position(_ directory: String, in records: [[UInt8]]) throws -> Int {
    let path = URL(filePath: directory + "/updates/state.json")
    guard FileManager.default.fileExists(atPath: path.path) else { return -1 }
    let bytes = [UInt8](try Data(contentsOf: path))
    return try #require(records.firstIndex(of: bytes), "neither an old record nor a new one: \(bytes.count) bytes")
  }

  /// Everything that holds at any moment.
  ///
  /// - Parameter steps: the words for `records`.
  private func check(
    _ directory: String, _ records: [[UInt8]], _ steps: [String], from before: Int, said lines: [String]
  ) throws -> Int {
    let now = try position(directory, in: records)
    #expect(now >= before)
    let store = UpdateStore(stateDirectory: directory)
    let book = try store.read()
    // What was said to be done is done.
    if let said = lines.last(where: { $0.hasPrefix("at ") }) {
      #expect(now >= (try #require(steps.firstIndex(of: said))))
    }
    for unit in [book[.screening].active.unit, book[.screening].previous?.unit, book.update?.unit].compactMap({ $0 }) {
      #expect(try store.bytes(of: unit) == UpdateLife.bytes(of: unit.version))
    }
    if before >= 0 {
      let floor = try UpdateBook(json: records[before]).floors["fold"]?.version ?? 0
      #expect(book.floors["fold"]?.version ?? 0 >= floor)
    }
    return now
  }

  private static func steps(_ records: [[UInt8]]) throws -> [String] {
    try records.map { "at " + UpdateLife.step(try UpdateBook(json: $0)) }
  }

  @Test(.enabled(if: isTraceable, "needs strace and the right to trace"))
  func killedAtEachWriteAndRename() throws {
    let records = try UpdateLife.records(last: Self.last)
    let steps = try Self.steps(records)
    let whole = try ScratchFolder(inMemory: true)
    let trace = whole.file("trace")
    // A machine has not all of them.
    let set = Self.calls.map { "?" + $0 }.joined(separator: ",")
    let clean = try Self.run(
      ["/usr/bin/strace", "-e", "trace=" + set, "-o", trace, Self.writer, whole.file("state"), "\(Self.last)"])
    #expect(clean.status == 0 && clean.lines.last == "done", "\(clean)")
    let changes = try Self.changes(in: trace, below: whole.file("state"))
    #expect(changes.filter { $0.name.hasPrefix("rename") }.count >= records.count)
    #expect(changes.count > 200, "\(changes.count) calls")
    // Spread over the life when there are fewer kills than calls; several lives when there are more.
    var killed = 0
    for kill in 0..<Self.kills {
      let index = Self.kills < changes.count ? kill * changes.count / Self.kills : kill % changes.count
      let (name, ordinal) = changes[index]
      let scratch = try ScratchFolder(inMemory: true)
      let state = scratch.file("state")
      let cut = try Self.run(
        [
          "/usr/bin/strace", "-o", "/dev/null", "-e", "trace=" + name, "-e",
          "inject=\(name):signal=SIGKILL:when=\(ordinal)", Self.writer, state, "\(Self.last)",
        ])
      if cut.lines.last != "done" { killed += 1 }
      let here = try check(state, records, steps, from: -1, said: cut.lines)
      // It goes on from there to the very same end.
      let rest = try Self.run([Self.writer, state, "\(Self.last)"])
      #expect(rest.lines.last == "done", "\(name) \(ordinal): \(rest.lines.last ?? "")")
      #expect(try check(state, records, steps, from: here, said: rest.lines) == records.count - 1)
      let left = try FileManager.default.subpathsOfDirectory(atPath: state).filter { $0.hasSuffix(".tmp") }
      #expect(left.isEmpty || here == records.count - 1, "\(left)")
    }
    #expect(killed >= Self.kills * 9 / 10, "\(killed) of \(Self.kills) were killed")
    print("update: \(killed) kills at \(changes.count) calls of a life of \(records.count) records")
  }

  @Test(.enabled(if: LoopDisk.isPossible, "needs root, a loop device and ext4's shutdown ioctl"))
  func powerCutsLeaveTheOldRecordOrTheNew() async throws {
    // Many records a cut; on a fast machine the life may be over all the same, and then begins anew.
    let last = Int64(10 + Self.powerCuts * 4)
    let records = try UpdateLife.records(last: last)
    let steps = try Self.steps(records)
    let disk = try LoopDisk(megabytes: 64)
    let state = disk.mount.appending(path: "state").path
    var position = -1
    var advanced = 0
    var lives = 1
    var dice = SeededGenerator(seed: 20)
    for _ in 0..<Self.powerCuts {
      let (process, output) = Self.process([Self.writer, state, "\(last)"])
      try process.run()
      // From its first word on: how long a process takes to begin is the machine's affair.
      var said = try #require(try output.fileHandleForReading.read(upToCount: 1), "the writer ended without a word")
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...150, using: &dice)))
      try disk.cutPower()
      // It lives on for a moment on a disk that only gives EIO, and must not say that anything is done.
      try await Task.sleep(for: .milliseconds(20))
      kill(process.processIdentifier, SIGKILL)
      said.append(output.fileHandleForReading.readDataToEndOfFile())
      let text = String(decoding: said, as: UTF8.self)
      process.waitUntilExit()
      try disk.detach()
      try disk.attach()
      let lines = text.split(separator: "\n").map(String.init)
      guard FileManager.default.fileExists(atPath: state) else { continue }
      let now = try check(state, records, steps, from: position, said: lines)
      if now > position { advanced += 1 }
      position = now
      if position == records.count - 1 {
        try FileManager.default.removeItem(atPath: state)
        position = -1
        lives += 1
      }
    }
    #expect(advanced > 0)
    print("update: \(Self.powerCuts) power cuts in \(lives) lives of \(records.count) records")
  }
}
