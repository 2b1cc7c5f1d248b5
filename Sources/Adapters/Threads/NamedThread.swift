import CLinux
import Glibc
import LocalFiles
import Synchronization

/// A thread with a name that `top -H`, `ps -L` and a core dump show. For the loops that wait in system calls, which
/// must not occupy a thread of the concurrency pool. Every signal is blocked in it, so that signals go where the
/// program handles them.
package final class NamedThread: Sendable {
  private let handle: pthread_t
  private let isJoined = Atomic<Bool>(false)
  private let ending: Ending

  /// Starts a thread that runs `body` once. Its stack has 512 KiB. Nobody has to wait for it.
  ///
  /// - Parameter name: at most 15 bytes of ASCII, the kernel's limit; the rest is cut off.
  package init(_ name: String, body: @escaping @Sendable () -> Void) throws(SystemCallError) {
    let ending = Ending()
    let start = Unmanaged.passRetained(Start(name: name, body: body, ending: ending))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 512 * 1024)
    // A thread inherits its creator's mask: setting it here leaves no moment in which a signal could land there.
    var everything = sigset_t()
    var before = sigset_t()
    sigfillset(&everything)
    pthread_sigmask(SIG_BLOCK, &everything, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var handle = pthread_t()
    let failure = pthread_create(&handle, &attributes, runNamedThread, start.toOpaque())
    guard failure == 0 else {
      start.release()
      throw SystemCallError(call: "pthread_create", subject: "thread \(name)", errorNumber: failure)
    }
    self.handle = handle
    self.ending = ending
  }

  deinit {
    if !isJoined.load(ordering: .acquiring) { pthread_detach(handle) }
  }

  /// Lets every other thread of the program go before the calling one. Where the kernel does not, it stays as it was: it is
  /// only less polite.
  package static func stepBack() {
    // On Linux a niceness is a thread's own.
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
  }

  /// Blocks until the body has returned. Must be called at most once, from another thread.
  package func join() {
    pthread_join(handle, nil)
    isJoined.store(true, ordering: .releasing)
  }

  /// Returns when the body has returned, without blocking a thread meanwhile.
  package func waitUntilEnded() async {
    await withCheckedContinuation { continuation in
      let hasEnded = ending.state.withLock { state in
        if !state.hasEnded { state.waiters.append(continuation) }
        return state.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }

  /// What the thread is given.
  fileprivate final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void
    let ending: Ending

    init(name: String, body: @escaping @Sendable () -> Void, ending: Ending) {
      self.name = name
      self.body = body
      self.ending = ending
    }
  }

  /// Who waits for the end.
  fileprivate final class Ending: Sendable {
    struct State {
      var hasEnded = false
      var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let state = Mutex(State())

    func finish() {
      let waiters = state.withLock { state in
        state.hasEnded = true
        defer { state.waiters = [] }
        return state.waiters
      }
      for waiter in waiters { waiter.resume() }
    }
  }
}

/// The C entry point: a free function, since a callback literal in isolated code traps when C calls it.
private func runNamedThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<NamedThread.Start>.fromOpaque(argument).takeRetainedValue()
  // A thread without its name is still the thread; only the list in `top` is poorer.
  _ = clinux_name_current_thread(start.name)
  start.body()
  start.ending.finish()
  return nil
}
