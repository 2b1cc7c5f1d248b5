import DeviceSimulation
import Foundation
import Identification
import LinuxIO
import Testing

@Suite("A tag reader on a real pseudo-terminal")
struct TagReaderTests {
  private static let tag: [UInt8] = [0x67, 0x00, 0x3B, 0x51, 0xC6]

  @Test(.timeLimit(.minutes(1))) func aHeldTagIsPresentedOnceAndRemovedAfterTheHoldOff() async throws {
    let folder = try TemporaryFolder()
    let simulated = try SimulatedRFIDReader(path: folder.path("reader"))
    let policy = PresentationConfirmer.Policy(requiredFrames: 3, windowMilliseconds: 400, holdOffMilliseconds: 400)
    let reader = try TagReader(
      .init(path: simulated.path, kind: .rdm6300, policy: policy), clock: try SystemClock())
    defer { reader.stop() }
    var presented = 0
    for await event in reader.events {
      switch event {
      case .connected:
        Task { await simulated.tap(Self.tag, milliseconds: 500) }
      case .presentation(.presented(let reading)):
        #expect(reading.uid.bytes == Self.tag)
        #expect(reading.technology == .em4100)
        presented += 1
      case .presentation(.removed(let uid)):
        #expect(uid.bytes == Self.tag)
        #expect(presented == 1)
        #expect(reader.counters.frames >= 3)
        #expect(reader.counters.presentations == 1)
        return
      default:
        Issue.record("unexpected \(event)")
        return
      }
    }
    Issue.record("the stream ended before the tag was removed")
  }
}

/// A fresh directory, removed with its contents when the test is over.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "thermograph-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  func path(_ name: String) -> String { url.appending(path: name).path }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }
}
