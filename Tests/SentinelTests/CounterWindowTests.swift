import Foundation
import Provenance
import Screening
import Storage
import Testing

@testable import Sentinel

@Suite struct CounterWindowTests {
  private let digests = OpenSSLDigests()

  private func step(_ value: Int) -> CounterStep {
    var step = CounterStep()
    for channel in CounterChannel.allCases { step[channel] = value + channel.rawValue }
    return step
  }

  private func time(_ seconds: UInt64, boot: String = "aaaaaaaa-0000-4000-8000-000000000000") -> Timestamp {
    Timestamp(
      utcNanoseconds: 0, bootID: boot, monotonicNanoseconds: seconds * 1_000_000_000, synchronised: false)
  }

  /// Order and names are those that the model's manifest and the training scripts state; the list here is written by hand.
  @Test func channelsAreThoseOfTheModelInItsOrder() throws {
    let expected = """
      network.connections network.refused network.bytes_in network.publish_latency network.reconnects command.received \
      command.malformed command.bad_signature command.replayed login.failed device.cpu device.temperature \
      device.case_opened sensor.bus_errors sensor.noise environment.ambient
      """.split(separator: " ").map(String.init)
    #expect(CounterChannel.allCases.map(\.name) == expected)
    let groups = CounterChannel.allCases.map(\.group)
    #expect(groups[0...4].allSatisfy { $0 == .network } && groups[5...9].allSatisfy { $0 == .commands })
    #expect(groups[10...12].allSatisfy { $0 == .device } && groups[13...15].allSatisfy { $0 == .sensing })
  }

  @Test func aStepHoldsNoNumberOutOfRange() {
    var step = CounterStep()
    #expect(CounterChannel.allCases.allSatisfy { step[$0] == nil })
    step[.bytesIn] = Int.max
    step[.ambient] = Int.min
    #expect(step[.bytesIn] == 1 << 24 && step[.ambient] == 0 && step[.noise] == nil)
    step[.bytesIn] = nil
    #expect(step[.bytesIn] == nil)
  }

  /// The ring beside a list that keeps everything.
  @Test func theRingKeepsTheLastSteps() {
    var window = CounterWindow()
    var all: [CounterStep] = []
    var generator = SeededGenerator(seed: 5)
    for index in 0..<500 {
      if Int.random(in: 0..<20, using: &generator) == 0 {
        let missing = Int.random(in: -3...70, using: &generator)
        window.addMissing(missing)
        all += [CounterStep](repeating: CounterStep(), count: max(0, missing))
      }
      window.add(step(index))
      all.append(step(index))
      let expected = all.suffix(32)
      #expect(window.count == expected.count && window.added == all.count && window.newest == all.count - 1)
      #expect((0..<window.count).map { window[$0] } == Array(expected))
      #expect(window.isFull == (all.count >= 32))
    }
    window.clear()
    #expect(window.count == 0 && window.added == all.count)
  }

  @Test func whatWasStoredComesBack() throws {
    for count in [0, 1, 31, 32, 77] {
      var window = CounterWindow()
      for index in 0..<count { window.add(step(index * 1000)) }
      let bytes = StoredWindow(window, at: time(99), stepMilliseconds: 10_000).encoded(digests)
      #expect(bytes.count == StoredWindow.byteCount)
      let read = try StoredWindow(decoding: bytes, digests)
      #expect(read.window.added == count && read.window.count == min(count, 32))
      #expect((0..<read.window.count).map { read.window[$0] } == (0..<window.count).map { window[$0] })
      #expect(read.bootID == time(0).bootID && read.monotonicNanoseconds == 99_000_000_000)
    }
  }

  /// One byte changed anywhere, cut anywhere: it is damaged, and nobody believes a number of it.
  @Test func everyDamageIsSeen() {
    var window = CounterWindow()
    for index in 0..<40 { window.add(step(index)) }
    let bytes = StoredWindow(window, at: time(1), stepMilliseconds: 10_000).encoded(digests)
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      #expect(throws: StoredWindowFault.self) { try StoredWindow(decoding: damaged, digests) }
    }
    for count in [0, 1, 8, 2119, 2151] {
      #expect(throws: StoredWindowFault.self) { try StoredWindow(decoding: Array(bytes.prefix(count)), digests) }
    }
    #expect(throws: StoredWindowFault.self) { try StoredWindow(decoding: bytes + [0], digests) }
  }

  /// Whoever can write the file can also make its sum right: numbers are bounded all the same.
  @Test func numbersOutOfRangeAreRefusedThoughTheSumIsRight() {
    var window = CounterWindow()
    for index in 0..<40 { window.add(step(index)) }
    let good = StoredWindow(window, at: time(1), stepMilliseconds: 10_000).encoded(digests)
    func forged(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
      var file = Array(good.dropLast(32))
      file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      return file + digests.sha256(file)
    }
    let forgeries: [(Int, [UInt8])] = [
      (8, [1, 0, 0, 0, 0, 0, 0, 0]), (8, [255, 255, 255, 255, 255, 255, 255, 127]), (8, [0, 0, 0, 0, 0, 0, 0, 128]),
      (24, [0, 0, 0, 0, 0, 0, 0, 0]), (24, [255, 255, 255, 255, 255, 255, 255, 255]), (32, [33, 0]), (32, [255, 255]),
      (72, [254, 255, 255, 255]), (72, [1, 0, 0, 1]), (72 + 4 * 511, [0, 0, 0, 128]),
    ]
    for (offset, bytes) in forgeries {
      #expect(throws: StoredWindowFault.self, "\(offset) \(bytes)") {
        try StoredWindow(decoding: forged(offset, bytes), digests)
      }
    }
    #expect(throws: Never.self) { try StoredWindow(decoding: forged(72, [5, 0, 0, 0]), digests) }
  }

  @Test func aRestartLeavesOutWhatWasMissed() throws {
    var window = CounterWindow()
    for index in 0..<40 { window.add(step(index)) }
    let stored = StoredWindow(window, at: time(400), stepMilliseconds: 10_000)
    let soon = stored.resumed(at: time(405), stepMilliseconds: 10_000)
    #expect(soon == window)
    let later = stored.resumed(at: time(435), stepMilliseconds: 10_000)
    #expect(later.added == 43 && later[31] == CounterStep() && later[28] == window[31])
    // A pause of a window, another start of the board, a clock that went back, other steps: it begins anew, and counts on.
    for (now, milliseconds) in [
      (time(400 + 320), 10_000), (time(UInt64.max / 1_000_000_000), 10_000),
      (time(405, boot: "bbbbbbbb-0000-4000-8000-000000000000"), 10_000), (time(399), 10_000), (time(405), 100),
    ] {
      let resumed = stored.resumed(at: now, stepMilliseconds: milliseconds)
      #expect(resumed.count == 0 && resumed.added == 40)
    }
  }

  @Test func aRecordedLineSaysMissingAsNull() throws {
    var step = CounterStep()
    step[.connections] = 3
    step[.ambient] = 2210
    let line = CounterRecording.Line(step: 7, step)
    let nothing = [String](repeating: "null", count: 14).joined(separator: ",")
    #expect(try CanonicalJSON.text(of: line) == "{\"step\":7,\"values\":[3,\(nothing),2210]}")
    #expect(line.counters == step)
  }
}
