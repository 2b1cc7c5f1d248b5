import Foundation
import Glibc
import Synchronization
import Testing
import Threads

@Suite struct NamedThreadTests {
  @Test func aThreadHasItsNameCutToWhatTheKernelKeeps() throws {
    let name = Mutex("")
    let thread = try NamedThread("a-name-that-is-too-long") {
      let text = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
      name.withLock { $0 = text ?? "" }
    }
    thread.join()
    #expect(name.withLock { $0 } == "a-name-that-is-\n")
  }

  @Test func anEndedThreadIsWaitedForWithoutBlocking() async throws {
    let gate = try WakeSignal()
    let wasBlocked = Mutex(false)
    let thread = try NamedThread("waiting") {
      var mask = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &mask)
      wasBlocked.withLock { $0 = sigismember(&mask, SIGTERM) == 1 }
      var descriptor = pollfd(fd: gate.number, events: Int16(POLLIN), revents: 0)
      poll(&descriptor, 1, 30_000)
      gate.reset()
    }
    async let ended: Void = thread.waitUntilEnded()
    gate.signal()
    await ended
    #expect(wasBlocked.withLock { $0 })
    // A second wait, after the end, returns at once; `reset` took the signal back.
    await thread.waitUntilEnded()
    var descriptor = pollfd(fd: gate.number, events: Int16(POLLIN), revents: 0)
    #expect(poll(&descriptor, 1, 0) == 0)
  }
}
