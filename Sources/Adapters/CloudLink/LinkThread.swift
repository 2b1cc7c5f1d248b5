import Forwarding
import Glibc
import Synchronization

/// A thread that runs one function and can be waited for without blocking another thread.
final class LinkThread: Sendable {
  private struct State {
    var hasEnded = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    let ended: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void, ended: @escaping @Sendable () -> Void) {
      self.run = run
      self.ended = ended
    }
  }

  private final class Ending: Sendable {
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

  private let ending = Ending()

  /// Starts the thread with every signal blocked, so that signals go where the program handles them.
  init(_ run: @escaping @Sendable () -> Void) throws(LinkFailure) {
    let ending = ending
    let body = Unmanaged.passRetained(Body(run: run, ended: { ending.finish() }))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var everything = sigset_t()
    var before = sigset_t()
    sigfillset(&everything)
    pthread_sigmask(SIG_BLOCK, &everything, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        body.run()
        body.ended()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      body.release()
      throw LinkFailure(kind: .unreachable, detail: "no thread for the line: \(LinkLibraryError.systemText(code))")
    }
  }

  /// Returns when the function has returned.
  func waitUntilEnded() async {
    await withCheckedContinuation { continuation in
      let hasEnded = ending.state.withLock { state in
        if !state.hasEnded { state.waiters.append(continuation) }
        return state.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }
}
