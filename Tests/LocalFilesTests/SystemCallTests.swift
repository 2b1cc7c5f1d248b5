import Glibc
import LocalFiles
import Testing

@Suite struct SystemCallTests {
  @Test func aFailedCallSaysWhichOnWhatAndWhy() {
    do {
      try systemCall("open", on: "/no/such/file") { open("/no/such/file", O_RDONLY) }
      Issue.record("expected an error")
    } catch {
      #expect(error == SystemCallError(call: "open", subject: "/no/such/file", errorNumber: ENOENT))
      #expect(error.description == "/no/such/file: file not found (open)")
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

  @Test func aCallThatAnswersItsErrorNumberIsTreatedAlike() throws {
    var calls = 0
    try systemCallByCode("posix_fallocate", on: "test") {
      calls += 1
      return calls < 3 ? EINTR : 0
    }
    #expect(calls == 3)
    #expect(throws: SystemCallError(call: "posix_fallocate", subject: "test", errorNumber: ENOSPC)) {
      try systemCallByCode("posix_fallocate", on: "test") { ENOSPC }
    }
  }
}
