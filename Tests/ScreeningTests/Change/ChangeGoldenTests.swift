import Foundation
import Inference
import Provenance
import Testing
import Thermography

@testable import Screening

/// The comparison over time against its definition in Python, which shares no code with it.
@Suite struct ChangeGoldenTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Models/training/change")
  private static let tolerance = 1e-6

  private struct Cases: Decodable {
    var cases: [Case]
  }

  private struct Case: Decodable {
    var baselines: Int
    var counted: Int
    var similarity: [[Double]]
    var control: [[[Double]]]
    var assessed: Int
    var largest: Double
    var row: Int
    var column: Int
    var threshold: Double
    var changed: Bool
    var minimum_detectable: Double
  }

  private static func array(_ name: String) throws -> NumPyArray {
    try NumPyArray(file: Array(Data(contentsOf: folder.appending(path: "golden/" + name))))
  }

  private static func doubles(_ name: String) throws -> [Double] {
    let array = try array(name)
    #expect(array.element == .float64)
    return array.bytes.withUnsafeBytes { bytes in
      (0..<array.elementCount).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) }
    }
  }

  static func frame(_ celsius: [Float], camera: String = "a") -> ChangeFrame? {
    ChangeFrame(
      geometry: .mlx90640, celsius: celsius, measured: celsius.map { _ in true }, noiseCelsius: 0, camera: camera)
  }

  @Test func everyGoldenCaseIsEqualToAMillionth() throws {
    let cases = try JSONDecoder().decode(
      Cases.self, from: Data(contentsOf: Self.folder.appending(path: "golden/cases.json"))
    ).cases
    let frames = try Self.array("frames.npy")
    let (heights, spreads) = (try Self.doubles("height.npy"), try Self.doubles("spread.npy"))
    #expect(cases.count >= 6 && frames.shape == [cases.count, 10, 24, 32])
    let values = frames.bytes.withUnsafeBytes { bytes in
      (0..<frames.elementCount).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    // One comparator for all: what is left of a case must not reach the next.
    var comparator = ChangeComparator()
    for (number, golden) in cases.enumerated() {
      func session(_ index: Int) throws -> ChangeFrame {
        let start = (number * 10 + index) * 768
        return try #require(Self.frame(Array(values[start..<start + 768])))
      }
      let outcome = comparator.compare(try session(9), with: try (0..<golden.baselines).map(session))
      guard case .compared(let found) = outcome else {
        Issue.record("case \(number): \(outcome)")
        continue
      }
      #expect(found.sessions == golden.counted && found.assessed.count { $0 } == golden.assessed, "case \(number)")
      #expect(found.row == golden.row && found.column == golden.column && found.threshold == golden.threshold)
      #expect(abs(found.largest - golden.largest) < Self.tolerance, "case \(number): \(found.largest)")
      #expect((found.largest > found.threshold) == golden.changed)
      #expect(abs(found.minimumDetectableCelsius - golden.minimum_detectable) < Self.tolerance)
      for (placement, (similarity, control)) in zip(found.placements, zip(golden.similarity, golden.control)) {
        let mine = [placement.down, placement.across, placement.logScale, placement.angle] + placement.bend
        let theirs = similarity + control.map { $0[0] } + control.map { $0[1] }
        #expect(mine.count == theirs.count)
        for (a, b) in zip(mine, theirs) { #expect(abs(a - b) < Self.tolerance, "case \(number)") }
      }
      var worst = 0.0
      for pixel in 0..<768 {
        let (height, spread) = (heights[number * 768 + pixel], spreads[number * 768 + pixel])
        #expect(height.isNaN == !found.assessed[pixel] && found.heightCelsius[pixel].isNaN == height.isNaN)
        guard !height.isNaN else { continue }
        worst = max(worst, abs(height - found.heightCelsius[pixel]), abs(spread - found.spreadCelsius[pixel]))
      }
      #expect(worst < Self.tolerance, "case \(number): \(worst)")
    }
  }

  /// The device's thresholds are those that the training wrote.
  @Test func theThresholdsAreThoseOfTheCalibration() throws {
    struct Limits: Decodable {
      var risk: Double
      var threshold: [String: Double]
    }
    let limits = try JSONDecoder().decode(
      Limits.self, from: Data(contentsOf: Self.folder.appending(path: "limits.json")))
    #expect(limits.threshold.count == ChangeRules.sessions.count)
    for count in ChangeRules.sessions {
      #expect(limits.threshold["\(count)"] == ChangeRules.threshold(sessions: count))
    }
    #expect(limits.risk < ChangeRules.falseAlarmRate)
  }

  @Test func mediansAreThoseOfSortedNumbers() {
    var generator = SeededGenerator(seed: 41)
    var statistics = OrderStatistics(capacity: 300)
    for count in [1, 2, 3, 4, 7, 64, 299, 300] {
      for spread in [0.0, 1, 1e9] {
        let values = (0..<count).map { _ in ((2 * generator.uniform() - 1) * spread).rounded() / 3 }
        let sorted = values.sorted()
        let (low, high) = (sorted[(count - 1) / 2], sorted[count / 2])
        // Rounding counts by the two that are added, not by a sum that may be near 0.
        let tolerance = max(abs(low), abs(high)) * 1e-15
        #expect(abs(statistics.median(of: values, count: count) - (low + high) / 2) <= tolerance)
        let position = 0.95 * Double(count - 1)
        let lower = sorted[Int(position)]
        let upper = sorted[min(Int(position) + 1, count - 1)]
        let quantile = lower + (upper - lower) * (position - Double(Int(position)))
        #expect(abs(statistics.quantile(0.95, of: values, count: count) - quantile) <= 1e-9 * max(1, abs(quantile)))
      }
    }
    #expect(statistics.median(of: [], count: 0) == 0)
    #expect(statistics.median(of: [-3, -1, -2], count: 3) == -2 && statistics.median(of: [-2, 2], count: 2) == 0)
  }

  @Test func sinesAndCosinesAreThoseOfTheLibrary() {
    for step in -50...50 {
      let x = Double(step) / 100
      #expect(abs(smallSine(x) - sin(x)) < 2e-16 && abs(smallCosine(x) - cos(x)) < 3e-16)
    }
    #expect(smallSine(0) == 0 && smallCosine(0) == 1)
  }
}
