import ArgumentParser
import Device
import FoundationEssentials
import Glibc
import LinuxIO
import Provenance

/// The process in which the service tries a model that came as an update. Not for people: it reads one JSON object from
/// standard input, bounds itself, and answers one.
struct ModelTrialCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trial", abstract: "Tries a model for the running service.", shouldDisplay: false)

  func run() throws {
    let request = try JSONDecoder().decode(TrialRequest.self, from: Data(input()))
    try ChildProcess.limitSelf(memoryBytes: request.memoryBytes, processorSeconds: request.processorSeconds)
    var answer = ModelTrial(request, clock: SystemClock.monotonicNanoseconds).answer()
    answer.peakBytes = ChildProcess.peakBytes
    print(try CanonicalJSON.text(of: answer))
  }

  private func input() throws -> [UInt8] {
    var input: [UInt8] = []
    while let byte = readLine(strippingNewline: false) {
      input += byte.utf8
      guard input.count <= TrialRequest.bytesMaximum else {
        throw ValidationError("more than \(TrialRequest.bytesMaximum) bytes on standard input")
      }
    }
    return input
  }
}
