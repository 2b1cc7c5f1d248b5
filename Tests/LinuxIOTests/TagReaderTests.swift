import DeviceSimulation
import Foundation
import Identification
import LinuxIO
import TestSupport
import Testing

@Suite("A tag reader on a real pseudo-terminal")
struct TagReaderTests {
  private static let tag: [UInt8] = [0x67, 0x00, 0x3B, 0x51, 0xC6]

  @Test(.timeLimit(.minutes(1))) func aHeldTagIsPresentedOnceAndRemovedAfterTheHoldOff() async throws {
    let folder = try ScratchFolder()
    let simulated = try SimulatedRFIDReader(path: folder.file("reader"))
    let policy = PresentationConfirmer.Policy(requiredFrames: 3, windowMilliseconds: 5000, holdOffMilliseconds: 400)
    let reader = try TagReader(
      .init(path: simulated.path, kind: .rdm6300, policy: policy), clock: try SystemClock())
    defer { reader.stop() }
    var presented = 0
    for await event in reader.events {
      switch event {
      case .connected:
        Task { await simulated.tap(Self.tag, milliseconds: 2000) }
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

  /// What happens at the reader, and which events come of it, in order.
  private func events(
    _ settings: TagReader.Settings, until isLast: (TagReaderEvent) -> Bool,
    then react: @escaping @Sendable (TagReaderEvent) async throws -> Void
  ) async throws -> [TagReaderEvent] {
    let reader = try TagReader(settings, clock: try SystemClock())
    defer { reader.stop() }
    var events: [TagReaderEvent] = []
    for await event in reader.events {
      events.append(event)
      if isLast(event) { return events }
      try await react(event)
    }
    Issue.record("the stream ended early, after \(events)")
    return events
  }

  @Test(.timeLimit(.minutes(1))) func aReaderPulledOutAndPluggedInAgainIsFound() async throws {
    let folder = try ScratchFolder()
    let simulated = try SimulatedRFIDReader(kind: .id12la, path: folder.file("reader"))
    let path = simulated.path
    let seen = try await events(
      .init(path: path, kind: .id12la), until: { if case .presentation(.presented) = $0 { true } else { false } },
      then: { event in
        switch event {
        case .connected where await simulated.timesPlugged == 1: await simulated.unplug()
        case .connected: await simulated.present(Self.tag)
        case .disconnected where await !simulated.isPlugged: try await simulated.plugIn()
        default: break
        }
      })
    #expect(seen.first == .connected)
    #expect(seen.dropFirst().first == .disconnected(.unplugged(path: path), retryMilliseconds: 250))
    #expect(seen.count { $0 == .connected } == 2)
    #expect(await simulated.timesPlugged == 2)
  }

  @Test(.timeLimit(.minutes(1))) func anAbsentReaderIsReportedAndWaitedFor() async throws {
    let folder = try ScratchFolder()
    let path = folder.file("reader")
    let reader = try TagReader(.init(path: path, kind: .rdm6300), clock: try SystemClock())
    var first: TagReaderEvent?
    for await event in reader.events {
      first = event
      break
    }
    #expect(first == .disconnected(.absent(path: path), retryMilliseconds: 250))
    // Stopping does not wait for the back-off, and can be done twice.
    reader.stop()
    reader.stop()
  }

  @Test(.timeLimit(.minutes(1))) func aPN532IsWokenAndReadOverTheLine() async throws {
    let folder = try ScratchFolder()
    let simulated = try SimulatedRFIDReader(kind: .pn532HSU, path: folder.file("reader"))
    await simulated.answerCommands()
    let uid: [UInt8] = [0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]
    // A loaded machine may delay single looks beyond the standard window.
    let policy = PresentationConfirmer.Policy(requiredFrames: 3, windowMilliseconds: 5000, holdOffMilliseconds: 5000)
    let seen = try await events(
      .init(path: simulated.path, kind: .pn532HSU, policy: policy),
      until: { if case .presentation(.presented) = $0 { true } else { false } },
      then: { event in if event == .connected { await simulated.present(uid) } })
    #expect(seen.first == .connected)
    guard case .presentation(.presented(let reading)) = seen.last else {
      Issue.record("expected a presentation, got \(seen)")
      return
    }
    #expect(reading.uid.bytes == uid && reading.technology == .iso14443A)
    await simulated.unplug()
  }

  @Test(.timeLimit(.minutes(1))) func noiseAndStumpsAreCountedAndPresentNobody() async throws {
    let folder = try ScratchFolder()
    let simulated = try SimulatedRFIDReader(kind: .line, path: folder.file("reader"))
    let settings = TagReader.Settings(path: simulated.path, kind: .line, reportsEveryReading: true)
    let seen = try await events(
      settings, until: { if case .presentation = $0 { true } else { false } },
      then: { event in
        guard event == .connected else { return }
        await simulated.inject([0xFF, 0x00, 0x80, 0x0D])
        await simulated.inject(Array("67003B51CX".utf8) + [0x0D, 0x0A])
        await simulated.present([0x0C, 0x00, 0x06, 0x21, 0xA5])
      })
    #expect(seen.contains(.reject(FrameReject(.notADigit, byteCount: 3))))
    #expect(seen.contains(.reject(FrameReject(.notADigit, byteCount: 10))))
    let tag = try #require(TagUID(bytes: [0x0C, 0x00, 0x06, 0x21, 0xA5] as [UInt8]))
    #expect(seen.last == .presentation(.presented(TagReading(uid: tag, technology: .text))))
  }
}
