import Provenance
import Screening
import Testing

@Suite struct PatientBaselineTests {
  private var generator = SystemRandomNumberGenerator()

  private func region(_ relative: Double, _ name: RegionTemperature.Name = .leftUpper) -> RegionTemperature {
    RegionTemperature(name: name, celsius: 33 + relative, relativeCelsius: relative, spreadCelsius: 0.5, pixels: 60)
  }

  private func capture(
    _ relative: Double, sequence: Int64, session: RandomIdentifier? = nil, view: CaptureView = .frontal
  ) -> EarlierCapture {
    var generator = SystemRandomNumberGenerator()
    return EarlierCapture(
      sessionID: session ?? RandomIdentifier(using: &generator), view: view, sequence: sequence,
      regions: [region(relative)])
  }

  @Test func threeEarlierSessionsMakeABaselineAndTwoDoNot() {
    let captures = [capture(0.1, sequence: 1), capture(0.2, sequence: 2), capture(0.3, sequence: 3)]
    #expect(PatientBaseline(captures, view: .frontal, excluding: nil) != nil)
    #expect(PatientBaseline(Array(captures.prefix(2)), view: .frontal, excluding: nil) == nil)
    #expect(PatientBaseline(captures, view: .leftOblique, excluding: nil) == nil)
    #expect(PatientBaseline(captures, view: .frontal, excluding: captures[1].sessionID) == nil)
    #expect(PatientBaseline([], view: .frontal, excluding: nil) == nil)
  }

  @Test func attemptsOfOneSessionCountOnceAndTheLastOneCounts() throws {
    let session = capture(0, sequence: 1).sessionID
    let captures = [
      capture(5, sequence: 3, session: session), capture(0.3, sequence: 9, session: session),
      capture(0.1, sequence: 1), capture(0.2, sequence: 2),
    ]
    let baseline = try #require(PatientBaseline(captures, view: .frontal, excluding: nil))
    let change = try #require(baseline.change(of: [region(0.2)]))
    #expect(change.sessions == 3)
    #expect(change.regions.first?.baselineCelsius == 0.2)
    let twoOfOne = [capture(1, sequence: 1, session: session), capture(1, sequence: 2, session: session)]
    #expect(PatientBaseline(twoOfOne + [capture(1, sequence: 3)], view: .frontal, excluding: nil) == nil)
  }

  @Test func theChangeIsTheDistanceFromTheMeanAndSaysItIsNoDiagnosis() throws {
    let captures = [-0.1, 0.1, 0.3, 0.1].enumerated().map { capture($1, sequence: Int64($0)) }
    let baseline = try #require(PatientBaseline(captures, view: .frontal, excluding: nil))
    let change = try #require(baseline.change(of: [region(0.6)]))
    #expect(change.note == "change since baseline; not a diagnosis")
    let found = try #require(change.regions.first)
    #expect(found.baselineCelsius == 0.1)
    #expect(found.changeCelsius == 0.5)
    // Deviations -0.2, 0, 0.2, 0: variance 0.08 / 3.
    #expect(abs(found.spreadCelsius - 0.163) < 0.001)
  }

  @Test func whatIsUnusualFollowsFromTheNumberOfSessions() throws {
    // Three alike sessions: the spread's floor 0.2, t(2) = 4.303, sqrt(1 + 1/3): unusual beyond 0.994.
    let three = try #require(
      PatientBaseline((1...3).map { capture(0, sequence: $0) }, view: .frontal, excluding: nil))
    #expect(three.change(of: [region(0.99)])?.regions.first?.isUnusual == false)
    #expect(three.change(of: [region(1.0)])?.regions.first?.isUnusual == true)
    #expect(three.change(of: [region(-1.0)])?.regions.first?.isUnusual == true)
    // Ten: t(9) = 2.262, sqrt(1.1): beyond 0.4745.
    let ten = try #require(
      PatientBaseline((1...10).map { capture(0, sequence: $0) }, view: .frontal, excluding: nil))
    #expect(ten.change(of: [region(0.47)])?.regions.first?.isUnusual == false)
    #expect(ten.change(of: [region(0.48)])?.regions.first?.isUnusual == true)
  }

  @Test func aRegionThatWasSeldomSeenIsLeftOut() throws {
    let baseline = try #require(
      PatientBaseline((1...3).map { capture(0, sequence: $0) }, view: .frontal, excluding: nil))
    #expect(baseline.change(of: [region(0, .rightLower)]) == nil)
    #expect(baseline.change(of: [region(0, .rightLower), region(0)])?.regions.count == 1)
  }

  @Test func onlyTheNewestSessionsCount() throws {
    let old = (1...40).map { capture(9, sequence: $0) }
    let new = (41...72).map { capture(0, sequence: $0) }
    let baseline = try #require(PatientBaseline(old + new, view: .frontal, excluding: nil))
    let change = try #require(baseline.change(of: [region(0)]))
    #expect(change.sessions == 32)
    #expect(change.regions.first?.changeCelsius == 0)
  }
}
