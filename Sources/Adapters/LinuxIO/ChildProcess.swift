import CLinux
import Glibc
import LocalFiles
import Synchronization
import Threads

/// Another process of this machine for work that may hang, trap or eat memory: it is given bytes, says bytes, and is ended
/// when its time is over.
package struct ChildProcess: Sendable {
  package enum Ending: Sendable, Equatable {
    /// By itself, with this status, 0...255.
    case status(Int32)
    /// By this signal, e.g. 4 (a trap), 9 (killed, or out of memory).
    case signal(Int32)
    case outOfTime
    /// `isWanted` became false.
    case abandoned
    /// It said more than it may.
    case tooMuchOutput
  }

  package struct Outcome: Sendable, Equatable {
    package var ending: Ending
    package var output: [UInt8]
  }

  private static let pollMilliseconds: Int32 = 50

  package let executable: String
  package let arguments: [String]
  /// `NAME=value`, nothing else.
  package let environment: [String]

  package init(executable: String, arguments: [String], environment: [String] = []) {
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
  }

  /// Runs it to its end. What it writes to standard error goes where ours goes.
  ///
  /// - Parameters:
  ///   - input: its standard input.
  ///   - milliseconds: from its start to its end.
  ///   - outputBytes: that it may say at most.
  ///   - isWanted: asked 20 times a second; false ends it at once.
  package func run(
    input: [UInt8], milliseconds: Int, outputBytes: Int, isWanted: @escaping @Sendable () -> Bool = { true }
  ) async throws(SystemCallError) -> Outcome {
    // A thread of its own: the wait is in system calls.
    let box = ResultBox()
    let thread = try NamedThread("trial") {
      do throws(SystemCallError) {
        box.put(.success(try runHere(input, milliseconds, outputBytes, isWanted)))
      } catch {
        box.put(.failure(error))
      }
    }
    await thread.waitUntilEnded()
    guard let outcome = box.take() else {
      throw SystemCallError(call: "pthread", subject: executable, errorNumber: EINVAL)
    }
    return try outcome.get()
  }

  private final class ResultBox: Sendable {
    private let value = Mutex<Result<Outcome, SystemCallError>?>(nil)

    func put(_ result: Result<Outcome, SystemCallError>) { value.withLock { $0 = result } }
    func take() -> Result<Outcome, SystemCallError>? { value.withLock { $0 } }
  }

  private func runHere(
    _ input: [UInt8], _ milliseconds: Int, _ outputBytes: Int, _ isWanted: () -> Bool
  ) throws(SystemCallError) -> Outcome {
    let (theirInput, ourInput) = try Self.pipe(executable)
    let (ourOutput, theirOutput) = try Self.pipe(executable)
    let child = try start(standardInput: theirInput.number, standardOutput: theirOutput.number)
    // The child has them; ours would keep the pipe open after its end.
    theirInput.close()
    theirOutput.close()
    var isFed = input.isEmpty
    if isFed { ourInput.close() }
    var output: [UInt8] = []
    var ending: Ending?
    var written = 0
    let deadline = SystemClock.monotonicNanoseconds() + UInt64(max(milliseconds, 1)) * 1_000_000
    do throws(SystemCallError) {
      while ending == nil {
        var waiting = [pollfd(fd: ourOutput.number, events: Int16(POLLIN), revents: 0)]
        if !isFed { waiting.append(pollfd(fd: ourInput.number, events: Int16(POLLOUT), revents: 0)) }
        let count = nfds_t(waiting.count)
        try systemCall("poll", on: executable) { poll(&waiting, count, Self.pollMilliseconds) }
        if SystemClock.monotonicNanoseconds() >= deadline { ending = .outOfTime }
        if !isWanted() { ending = .abandoned }
        if waiting.count > 1, waiting[1].revents != 0 {
          written += try Self.feed(ourInput.number, input, from: written, executable)
          isFed = written >= input.count
          if isFed { ourInput.close() }
        }
        if waiting[0].revents != 0 {
          let before = output.count
          output += try Self.take(ourOutput.number, executable)
          if output.count > outputBytes { ending = .tooMuchOutput }
          // Its end of the pipe is closed: it ends now, or hangs and meets the deadline below.
          if output.count == before { break }
        }
      }
    } catch {
      kill(child, SIGKILL)
      _ = try wait(child)
      throw error
    }
    return Outcome(ending: try end(child, ending, deadline, isWanted), output: Array(output.prefix(outputBytes)))
  }

  /// Waits for its end, or makes it.
  private func end(
    _ child: pid_t, _ ending: Ending?, _ deadline: UInt64, _ isWanted: () -> Bool
  ) throws(SystemCallError) -> Ending {
    var ending = ending
    var status: Int32 = 0
    while ending == nil {
      if try systemCall("waitpid", on: executable, { waitpid(child, &status, WNOHANG) }) == child {
        return Self.ending(status)
      }
      if SystemClock.monotonicNanoseconds() >= deadline { ending = .outOfTime }
      if !isWanted() { ending = .abandoned }
      usleep(1000)
    }
    kill(child, SIGKILL)
    status = try wait(child)
    return ending ?? Self.ending(status)
  }

  private func wait(_ child: pid_t) throws(SystemCallError) -> Int32 {
    var status: Int32 = 0
    try systemCall("waitpid", on: executable) { waitpid(child, &status, 0) }
    return status
  }

  /// As wait(2) packs it.
  private static func ending(_ status: Int32) -> Ending {
    status & 0x7F == 0 ? .status(status >> 8 & 0xFF) : .signal(status & 0x7F)
  }

  // MARK: - Pipes

  /// One end of a pipe, closed once.
  private final class PipeEnd {
    private var descriptor: OwnedDescriptor?
    let number: Int32

    init(_ number: Int32) {
      self.number = number
      descriptor = OwnedDescriptor(takingOver: number)
    }

    func close() { descriptor = nil }
  }

  private static func pipe(_ subject: String) throws(SystemCallError) -> (reading: PipeEnd, writing: PipeEnd) {
    var ends: [Int32] = [-1, -1]
    try systemCall("pipe2", on: subject) { clinux_pipe(&ends) }
    return (PipeEnd(ends[0]), PipeEnd(ends[1]))
  }

  private static func feed(
    _ number: Int32, _ input: [UInt8], from index: Int, _ subject: String
  ) throws(SystemCallError) -> Int {
    do throws(SystemCallError) {
      return try systemCall("write", on: subject) {
        input.withUnsafeBytes { write(number, $0.baseAddress.map { $0 + index }, min($0.count - index, 4096)) }
      }
    } catch {
      // It ended, or wants no more: what it says counts.
      if error.errorNumber == EPIPE { return input.count - index }
      throw error
    }
  }

  private static func take(_ number: Int32, _ subject: String) throws(SystemCallError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = try systemCall("read", on: subject) {
      bytes.withUnsafeMutableBytes { read(number, $0.baseAddress, $0.count) }
    }
    return Array(bytes[..<count])
  }

  // MARK: - Start

  private func start(standardInput: Int32, standardOutput: Int32) throws(SystemCallError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, standardInput, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, standardOutput, STDOUT_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // This thread blocks every signal, and the service ignores some: the child shall do neither.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let words = ([executable] + arguments).map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { for text in words + variables { free(text) } }
    var child: pid_t = 0
    try systemCallByCode("posix_spawn", on: executable) {
      posix_spawn(&child, executable, &actions, &attributes, words, variables)
    }
    return child
  }

  // MARK: - Within the child

  /// Bounds this very process: memory that it may write to, seconds of the processor, and it is the first that the kernel
  /// ends when memory runs out. Cannot be taken back.
  package static func limitSelf(memoryBytes: Int, processorSeconds: Int) throws {
    func limit(_ kind: __rlimit_resource, _ value: Int) throws(SystemCallError) {
      var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
      try systemCall("setrlimit", on: "the trial's process") { setrlimit(__rlimit_resource_t(kind.rawValue), &limit) }
    }
    try limit(RLIMIT_DATA, memoryBytes)
    try limit(RLIMIT_CPU, processorSeconds)
    try limit(RLIMIT_CORE, 0)
    try OpenFile("/proc/self/oom_score_adj", for: .writing(mode: 0)).write(Array("1000".utf8))
  }

  /// Most memory that this very process had at a time, in bytes.
  package static var peakBytes: Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}
