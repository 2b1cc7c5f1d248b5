import DeviceSimulation
import Foundation
import Identification
import LinuxIO
import TestSupport
import Testing

/// A pseudo-terminal ignores the speed, so the first speed tried is the one found; protocols are told apart for real.
@Suite("Finding out which reader is there")
struct ReaderProbeTests {
  private func probe(_ path: String) async throws -> ReaderProbeResult? {
    // On a thread of its own: it waits in poll, and the simulated reader needs the pool.
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try ReaderProbe(path: path, listenMilliseconds: 400).run() })
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func aPN532IsAsked() async throws {
    let folder = try ScratchFolder()
    let simulated = try SimulatedRFIDReader(kind: .pn532HSU, path: folder.file("reader"))
    await simulated.answerCommands()
    var found: ReaderProbeResult?
    // A loaded machine may answer late; another try is what a technician would make.
    for _ in 0..<20 where found == nil { found = try await probe(simulated.path) }
    // The speed is not looked at: a pseudo-terminal ignores it, so an answer that came late is found at the next one.
    #expect(found?.kind == .pn532HSU)
    #expect(found?.frames == 1 && found?.rejectedBytes == 0)
    await simulated.unplug()
  }

  @Test(.timeLimit(.minutes(1))) func aReaderThatRepeatsIsHeard() async throws {
    let folder = try ScratchFolder()
    let simulated = try SimulatedRFIDReader(kind: .rdm6300, path: folder.file("reader"))
    await simulated.present([0x67, 0x00, 0x3B, 0x51, 0xC6])
    var found: ReaderProbeResult?
    // As above, and the speed is not looked at for the same reason.
    for _ in 0..<20 where found == nil { found = try await probe(simulated.path) }
    await simulated.unplug()
    #expect(found?.kind == .rdm6300)
  }

  @Test(.timeLimit(.minutes(1))) func silenceIsNoReader() async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    let found = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try ReaderProbe(path: path, listenMilliseconds: 100).run() })
      }
    }
    #expect(found == nil)
    #expect(!terminal.receive().isEmpty)
  }
}
