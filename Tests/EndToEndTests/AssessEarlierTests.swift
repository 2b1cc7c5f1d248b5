import Foundation
import Testing

/// `assess --earlier`: the device's comparison over time on anybody's data.
@Suite(.serialized) struct AssessEarlierTests {
  private static let golden = Workspace.repository + "/Models/training/change/golden/frames.npy"

  /// Sessions of a golden case as a file of their own: of each case ten frames of 24 x 32 float32, the last the present one.
  private func write(_ sessions: Range<Int>, ofCase number: Int, to path: String) throws {
    let file = [UInt8](try Data(contentsOf: URL(filePath: Self.golden)))
    let begin = 10 + Int(file[8]) + Int(file[9]) << 8
    let frame = 24 * 32 * 4
    let start = begin + (number * 10 + sessions.lowerBound) * frame
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(sessions.count), 24, 32), }"
    header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
    let bytes = [UInt8(0x93)] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
    try Data(bytes + file[start..<start + sessions.count * frame]).write(to: URL(filePath: path))
  }

  @Test func aSpotIsToldAndTooFewSessionsAreToo() async throws {
    let workspace = try Workspace()
    let (today, earlier) = (workspace.folder + "/today.npy", workspace.folder + "/earlier.npy")
    try write(9..<10, ofCase: 1, to: today)
    func change(_ sessions: Int, _ more: [String] = []) async throws -> [String: Any] {
      try write(0..<sessions, ofCase: 1, to: earlier)
      let result = try await Program.run(
        ["assess", "--thermogram", today, "--earlier", earlier, "--models", Workspace.repository + "/Models", "--json"]
          + more, in: workspace.folder)
      #expect(result.status == 0, "\(result.errors)")
      let line = try #require(
        try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any], "\(result.output)")
      return try #require(line["change"] as? [String: Any])
    }
    let three = try await change(3)
    #expect(three["state"] as? String == "beyond-variation" && three["sessions"] as? Int == 3)
    let place = try #require((three["places"] as? [[String: Any]])?.first)
    #expect(place["row"] as? Double == 12 && place["column"] as? Double == 19, "\(place)")
    // The golden answer is of unrounded temperatures; the device compares what its files keep.
    let largest = try #require(three["largest"] as? Double)
    #expect(abs(largest - 22.511) < 0.5, "\(largest)")
    #expect(try await change(2)["state"] as? String == "not-enough-sessions")
    #expect(try await change(3, ["--view", "left-lateral"])["state"] as? String == "not-comparable")
  }
}
