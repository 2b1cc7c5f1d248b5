import Foundation
import Glibc
import TestSupport
import Testing

@testable import LinuxIO

@Suite struct JournalTests {
  @Test func anEntryIsFieldsInTheNativeForm() {
    let entry = JournalEntry(
      priority: 4, message: "camera lost reason=\"no answer\"", fields: [("capture-id", "a"), ("reason", "no answer")])
    #expect(
      String(decoding: entry.datagram, as: UTF8.self) == """
        MESSAGE=camera lost reason="no answer"
        PRIORITY=4
        SYSLOG_IDENTIFIER=thermograph
        THERMOGRAPH_CAPTURE_ID=a
        THERMOGRAPH_REASON=no answer

        """)
  }

  @Test func aValueWithALineEndCannotForgeAField() {
    let entry = JournalEntry(priority: 6, message: "m", fields: [("reason", "a\nPRIORITY=0")])
    let expected = Array("THERMOGRAPH_REASON\n".utf8) + [12, 0, 0, 0, 0, 0, 0, 0] + Array("a\nPRIORITY=0\n".utf8)
    #expect(Array(entry.datagram.suffix(expected.count)) == expected)
  }

  @Test func standardErrorIsTheJournalOnlyWhenItIsThatVeryStream() throws {
    let folder = try ScratchFolder()
    let descriptor = open(folder.file("stream"), O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    var status = stat()
    fstat(descriptor, &status)
    let stream = "\(status.st_dev):\(status.st_ino)"
    #expect(JournalSocket(journalStream: stream, descriptor: descriptor) != nil)
    #expect(JournalSocket(journalStream: "1:2", descriptor: descriptor) == nil)
    #expect(JournalSocket(journalStream: nil, descriptor: descriptor) == nil)
  }

  @Test func theKernelsWordOnTheClockGoesBeforeTheMark() {
    var asked = 0
    let marked = { () -> Bool in
      asked += 1
      return true
    }
    #expect(SystemClock.source(kernelAnswer: 1, isMarked: marked) == .kernel)
    // The kernel says that nobody disciplines the clock any more: an old mark does not change that.
    #expect(SystemClock.source(kernelAnswer: 0, isMarked: marked) == .none)
    #expect(asked == 0)
    #expect(SystemClock.source(kernelAnswer: -1, isMarked: marked) == .timesyncd)
    #expect(SystemClock.source(kernelAnswer: -1, isMarked: { false }) == .none)
  }
}
