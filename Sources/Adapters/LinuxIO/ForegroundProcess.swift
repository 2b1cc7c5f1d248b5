import Glibc
import LocalFiles
import Synchronization

/// A command that runs as if the shell had started it: with our terminal, environment and folder, and its end is ours.
package enum ForegroundProcess {
  package enum Ending: Sendable, Equatable {
    /// By itself, with this status, 0...255.
    case status(Int32)
    case signal(Int32)
  }

  /// Runs it to its end; one at a time in a process. What asks us to end goes on to the command, which must not be left
  /// half done alone; the keyboard's interrupt reaches it by itself.
  ///
  /// - Parameter command: its name, looked for in `PATH`, and its arguments; at least one word.
  /// - Throws: when it cannot be started; `errorNumber` says why.
  package static func run(_ command: [String]) throws(SystemCallError) -> Ending {
    // Touched here, so that nothing is made within a handler.
    present.store(0, ordering: .sequentiallyConsistent)
    for number in [SIGTERM, SIGHUP] { signal(number, passOnSignal) }
    for number in [SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
    defer { for number in [SIGTERM, SIGHUP, SIGINT, SIGQUIT] { signal(number, SIG_DFL) } }
    let child = try start(command)
    present.store(child, ordering: .sequentiallyConsistent)
    defer { present.store(0, ordering: .sequentiallyConsistent) }
    var status: Int32 = 0
    try systemCall("waitpid", on: command[0]) { waitpid(child, &status, 0) }
    return status & 0x7F == 0 ? .status(status >> 8 & 0xFF) : .signal(status & 0x7F)
  }

  private static func start(_ command: [String]) throws(SystemCallError) -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // What we ignore it would ignore too, and a pool's thread blocks signals.
    var all = sigset_t()
    var none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let words = command.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    try systemCallByCode("posix_spawn", on: command[0]) {
      posix_spawnp(&child, command[0], nil, &attributes, words, environ)
    }
    return child
  }
}

/// The command that runs; 0: none.
private let present = Atomic<Int32>(0)

/// A free function, since a callback literal in isolated code traps when C calls it.
private func passOnSignal(_ number: Int32) {
  let child = present.load(ordering: .sequentiallyConsistent)
  if child > 0 { kill(child, number) }
}
