import Screening
import Testing
import Thermography

/// A sensor that delivers old rows, or none, is found by the rows themselves; a live one never is.
@Suite struct FrozenRowTests {
  private let frames: [OverclaimFrames.Frame]
  private let assessor = Assessor(network: nil)

  init() throws { frames = try OverclaimFrames().frames }

  private func isRefused(_ celsius: [Float]) -> Bool {
    let thermogram = Thermogram(celsius: celsius, ambientCelsius: 25).interpolated(over: DefectivePixels())
    let gates = assessor.assess(thermogram, conditions: AcquisitionConditions()).gates
    return gates.contains { $0.code == .deadPixels && !$0.passed && $0.severity == .hard }
  }

  @Test func liveFramesHaveNone() {
    for frame in frames { #expect(Thermogram(celsius: frame.celsius, ambientCelsius: 25).frozen.isEmpty) }
  }

  /// One row that repeats the one above it, several, a dead row at one temperature, and a frozen column.
  @Test func everyFrozenLineIsRefused() {
    for (number, frame) in frames.enumerated() {
      let first = 1 + number % 22
      var one = frame.celsius
      for column in 0..<32 { one[first * 32 + column] = one[(first - 1) * 32 + column] }
      var several = frame.celsius
      for row in first..<min(first + 1 + number % 7, 24) {
        for column in 0..<32 { several[row * 32 + column] = several[(first - 1) * 32 + column] }
      }
      var dead = frame.celsius
      for column in 0..<32 { dead[first * 32 + column] = 30 }
      var sideways = frame.celsius
      let column = 1 + number % 31
      for row in 0..<24 { sideways[row * 32 + column] = sideways[row * 32 + column - 1] }
      for changed in [one, several, dead, sideways] { #expect(isRefused(changed), "frame \(number)") }
    }
  }

  /// What lies below a sensor's range is one temperature at the border, and no fault.
  @Test func aBackgroundOfOneTemperatureIsNoFault() {
    for frame in frames {
      var clipped = frame.celsius
      for pixel in clipped.indices where pixel < 64 || pixel % 32 < 2 || pixel % 32 > 29 { clipped[pixel] = 22 }
      #expect(Thermogram(celsius: clipped, ambientCelsius: 25).frozen.isEmpty)
    }
  }
}
