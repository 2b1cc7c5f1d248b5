import Foundation
import TestSupport
import Testing

/// A program that a test started. It writes into files of the test's folder, so that no pipe can fill up, and it is
/// ended by its own process id when the test leaves it.
final class Program {
  let name: String
  private let process = Process()
  private let outputPath: String
  private let errorPath: String

  static let thermograph = builtProgram("thermograph").path
  static let worker = builtProgram("thermograph-receiver").path

  init(_ executable: String, _ arguments: [String], in folder: String, environment: [String: String] = [:]) throws {
    let name = URL(fileURLWithPath: executable).lastPathComponent
    self.name = name
    let stem = folder + "/\(name)-\(UUID().uuidString.prefix(8))"
    outputPath = stem + ".out"
    errorPath = stem + ".err"
    for path in [outputPath, errorPath] { try Data().write(to: URL(fileURLWithPath: path)) }
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: outputPath)
    process.standardError = FileHandle(forWritingAtPath: errorPath)
    try withOpenSignals { try process.run() }
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  var processIdentifier: Int32 { process.processIdentifier }
  var isRunning: Bool { process.isRunning }
  var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }
  var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }
  var outputBytes: [UInt8] { FileManager.default.contents(atPath: outputPath).map([UInt8].init) ?? [] }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits until the program ended and returns its exit status; a status above 128 is the signal that ended it.
  @discardableResult
  func waitForExit(seconds: Double = 60) async throws -> Int32 {
    try await eventually("\(name) ends", seconds: seconds, context: { self.errors }) { !self.process.isRunning }
    process.waitUntilExit()
    return process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
  }

  /// Waits until standard error holds `text` at least `count` times.
  func waitForErrors(containing text: String, count: Int = 1, seconds: Double = 60) async throws {
    try await eventually("\(name) says '\(text)' \(count) times", seconds: seconds, context: { self.errors }) {
      self.errors.components(separatedBy: text).count > count || !self.process.isRunning
    }
    let found = errors.components(separatedBy: text).count - 1
    try #require(found >= count, "\(name) ended without saying '\(text)':\n\(errors.suffix(3000))")
  }

  /// Runs a program to its end.
  static func run(
    _ arguments: [String], executable: String = Program.thermograph, in folder: String,
    environment: [String: String] = [:], seconds: Double = 60
  ) async throws -> (status: Int32, output: String, errors: String) {
    let program = try Program(executable, arguments, in: folder, environment: environment)
    let status = try await program.waitForExit(seconds: seconds)
    return (status, program.output, program.errors)
  }
}

/// Polls until `condition` holds. The limit only guards against a hang; it is no measurement.
func eventually(
  _ what: String, seconds: Double = 60, context: () -> String = { "" }, _ condition: () throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < deadline {
    if try condition() { return }
    try await Task.sleep(for: .milliseconds(20))
  }
  Issue.record("waited \(seconds) s in vain until \(what)\n\(context().suffix(3000))")
  throw CancellationError()
}
