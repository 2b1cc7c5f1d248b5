import Foundation
import Glibc
import Synchronization
import SystemCalls
import Testing

@Suite("System calls and threads")
struct SystemCallTests {
  @Test func aFailedCallSaysWhichOnWhatAndWhy() {
    do {
      try systemCall("open", on: "/no/such/file") { open("/no/such/file", O_RDONLY) }
      Issue.record("expected an error")
    } catch {
      #expect(error == SystemCallError(call: "open", subject: "/no/such/file", errorNumber: ENOENT))
      #expect(error.description == "/no/such/file: open failed: No such file or directory")
    }
  }

  @Test func anInterruptedCallIsMadeAgain() throws {
    var calls = 0
    let result = try systemCall("poll", on: "test") { () -> Int32 in
      calls += 1
      if calls < 3 {
        errno = EINTR
        return -1
      }
      return 7
    }
    #expect(result == 7 && calls == 3)
  }

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
