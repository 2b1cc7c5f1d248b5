import Screening
import Testing

@Suite struct SubjectMeasurementsTests {
  private func measure(_ torso: SyntheticTorso, mirrored: Bool = false) throws -> SubjectMeasurements {
    try #require(SubjectMeasurements(celsius: torso.frame(), mirrored: mirrored))
  }

  @Test func aCentredTorsoIsMeasuredWhereItStands() throws {
    let subject = try measure(SyntheticTorso())
    #expect(abs(subject.midlineColumn - 15.5) < 0.3)
    #expect(abs(subject.midlineSlope) < 0.02)
    #expect(abs(subject.subjectShare - 22.0 * 21 / 768) < 0.05)
    #expect(abs(subject.backgroundCelsius - 22) < 0.3)
    #expect(abs(subject.subjectCelsius - 31.5) < 0.3)
    #expect(subject.leftEdgeShare == 0 && subject.rightEdgeShare == 0)
  }

  @Test(arguments: [-5, -2, 2, 5] as [Float])
  func anOffsetMovesTheMidlineByAsMuch(offset: Float) throws {
    var torso = SyntheticTorso()
    torso.centreColumn += offset
    torso.halfWidth = 8
    let subject = try measure(torso)
    #expect(abs(subject.midlineColumn - 15.5 - Double(offset)) < 0.5)
  }

  @Test(arguments: [-0.3, 0.3] as [Float])
  func aTiltShowsAsSlope(slope: Float) throws {
    var torso = SyntheticTorso()
    torso.slope = slope
    torso.halfWidth = 8
    #expect(abs(try measure(torso).midlineSlope - Double(slope)) < 0.06)
  }

  @Test func aWarmerImageLeftIsThePatientsRight() throws {
    var torso = SyntheticTorso()
    torso.imageLeftExcess = 1.2
    let facing = try #require(try measure(torso).leftRight)
    #expect(abs(facing.celsius + 1.2) < 0.15)
    let mirrored = try #require(try measure(torso, mirrored: true).leftRight)
    #expect(abs(mirrored.celsius - 1.2) < 0.15)
    #expect(abs(facing.largestLocalCelsius - 1.2) < 0.2)
  }

  @Test func theMirrorImageSwapsTheSidesAndNothingElse() throws {
    var torso = SyntheticTorso()
    torso.imageLeftExcess = 0.8
    let frame = torso.frame()
    var flipped = frame
    for row in 0..<24 {
      for column in 0..<32 { flipped[row * 32 + column] = frame[row * 32 + 31 - column] }
    }
    let original = try #require(SubjectMeasurements(celsius: frame)?.leftRight)
    let mirror = try #require(SubjectMeasurements(celsius: flipped)?.leftRight)
    #expect(abs(original.celsius + mirror.celsius) < 0.02)
    #expect(abs(original.largestLocalCelsius - mirror.largestLocalCelsius) < 0.02)
  }

  @Test func standardErrorsPropagate() throws {
    let frame = SyntheticTorso().frame()
    let errors = [Float](repeating: 0.1, count: 768)
    let leftRight = try #require(SubjectMeasurements(celsius: frame, standardErrorCelsius: errors)?.leftRight)
    // About 230 pairs of two pixels each: 0.1 * sqrt(2 / pairs).
    #expect(abs(leftRight.standardErrorCelsius - 0.1 * (2.0 / 230).squareRoot()) < 0.002)
  }

  @Test func withoutStandardErrorsThePicturesOwnNoiseTakesTheirPlace() throws {
    var torso = SyntheticTorso()
    torso.noise = 0.17  // uniform: a standard deviation of 0.098
    for errors in [[], [Float](repeating: 0, count: 768)] {
      let subject = try #require(
        SubjectMeasurements(celsius: torso.frame(), standardErrorCelsius: errors))
      // Going by medians overstates uniform noise by up to a third.
      #expect((0.09...0.15).contains(subject.noiseCelsius))
      let expected = subject.noiseCelsius * (2.0 / 230).squareRoot()
      #expect(abs(try #require(subject.leftRight).standardErrorCelsius - expected) < 0.001)
    }
  }

  @Test func madeUpPixelsAreNotMeasuredOn() throws {
    let torso = SyntheticTorso()
    var measured = [Bool](repeating: true, count: 768)
    var frame = torso.frame()
    // Interpolated nonsense on the patient's left.
    for row in 10...13 {
      for column in 20...22 {
        frame[row * 32 + column] += 3
        measured[row * 32 + column] = false
      }
    }
    let plain = try #require(SubjectMeasurements(celsius: frame)?.leftRight)
    let masked = try #require(SubjectMeasurements(celsius: frame, measured: measured)?.leftRight)
    #expect(plain.celsius > 0.1 && plain.largestLocalCelsius > 2)
    #expect(abs(masked.celsius) < 0.03 && masked.largestLocalCelsius < 0.2)
  }

  @Test func regionsAreThePatientsOwnSides() throws {
    var torso = SyntheticTorso()
    torso.imageLeftExcess = 1
    let regions = try measure(torso).regions
    #expect(regions.map(\.name) == RegionTemperature.Name.allCases)
    let byName = Dictionary(uniqueKeysWithValues: regions.map { ($0.name, $0) })
    for (left, right) in [
      (RegionTemperature.Name.leftUpper, RegionTemperature.Name.rightUpper), (.leftMiddle, .rightMiddle),
      (.leftLower, .rightLower),
    ] {
      let (l, r) = try (#require(byName[left]), #require(byName[right]))
      // The image's left is the patient's right.
      #expect(abs(r.relativeCelsius - l.relativeCelsius - 1) < 0.1)
      #expect(abs(r.celsius - r.relativeCelsius - (l.celsius - l.relativeCelsius)) < 0.01)
      // A parabola of 1.5 over half a width spreads by 0.447.
      #expect(abs(l.spreadCelsius - 0.447) < 0.06)
    }
    #expect(regions.reduce(0) { $0 + $1.pixels } > 400)
  }

  @Test func aCheckerboardIsMeasuredAndEdgesAreNotMistakenForOne() throws {
    #expect(try measure(SyntheticTorso()).checkerboardCelsius < 0.05)
    var torso = SyntheticTorso()
    torso.checkerboard = 0.6
    #expect(abs(try measure(torso).checkerboardCelsius - 0.6) < 0.1)
  }

  @Test func emptyAndBrokenFramesHaveNoSubject() {
    var empty = SyntheticTorso()
    empty.skin = 22.5
    // Half a degree above the room is a region, and no person: the gate says so.
    #expect(SubjectMeasurements(celsius: empty.frame()).map { $0.contrastCelsius < 1 } == true)
    #expect(SubjectMeasurements(celsius: [Float](repeating: 22, count: 768))?.isPresent == false)
    #expect(SubjectMeasurements(celsius: [Float](repeating: 22, count: 767)) == nil)
    var broken = SyntheticTorso().frame()
    broken[100] = .nan
    #expect(SubjectMeasurements(celsius: broken) == nil)
    var oneHotPixel = [Float](repeating: 22, count: 768)
    oneHotPixel[400] = 60
    #expect(SubjectMeasurements(celsius: oneHotPixel)?.isPresent == false)
  }
}

@Suite struct QualityGateTests {
  private func failed(_ frame: [Float], _ conditions: AcquisitionConditions = AcquisitionConditions()) -> Set<
    QualityGate.Code
  > {
    let gates = QualityGate.evaluate(
      subject: SubjectMeasurements(celsius: frame), conditions: conditions, limits: GateLimits())
    return Set(gates.filter { !$0.passed }.map(\.code))
  }

  @Test func aGoodCapturePassesEverything() {
    var conditions = AcquisitionConditions()
    conditions.ambientCelsius = 22
    conditions.ambientDriftCelsiusPerMinute = -0.1
    conditions.settling = false
    conditions.motionCelsius = 0.1
    conditions.deadPixels = 2
    conditions.noiseCelsius = 0.05
    conditions.clockSynchronised = true
    conditions.acclimatisationMissingSeconds = 0
    #expect(failed(SyntheticTorso().frame(), conditions).isEmpty)
  }

  @Test func eachFaultTripsItsOwnGate() {
    var torso = SyntheticTorso()
    torso.skin = 22.5
    #expect(failed(torso.frame()) == [.subjectPresent])

    torso = SyntheticTorso()
    torso.halfWidth = 5
    #expect(failed(torso.frame()) == [.tooFar])

    torso = SyntheticTorso()
    torso.halfWidth = 30
    torso.firstRow = 1
    #expect(failed(torso.frame()).contains(.tooNear))

    torso = SyntheticTorso()
    torso.centreColumn = 22
    #expect(failed(torso.frame()).isSuperset(of: [.offCentre, .cutOff]))

    torso = SyntheticTorso()
    torso.slope = 0.35
    torso.halfWidth = 9
    #expect(failed(torso.frame()) == [.rotated])

    torso = SyntheticTorso()
    torso.skin = 28.5
    #expect(failed(torso.frame()) == [.clothed])

    torso = SyntheticTorso()
    torso.checkerboard = 0.8
    #expect(failed(torso.frame()).contains(.checkerboard))

    var hot = SyntheticTorso().frame()
    hot[12 * 32 + 16] = 45
    #expect(failed(hot) == [.hotObject])

    var cold = SyntheticTorso().frame()
    cold[1 * 32 + 1] = 5
    #expect(failed(cold) == [.coldObject])
  }

  @Test func conditionsOfTheAcquisitionTripTheirGates() {
    let frame = SyntheticTorso().frame()
    func conditions(_ change: (inout AcquisitionConditions) -> Void) -> AcquisitionConditions {
      var value = AcquisitionConditions()
      change(&value)
      return value
    }
    #expect(failed(frame, conditions { $0.settling = true }) == [.settling])
    #expect(failed(frame, conditions { $0.ambientCelsius = 17 }) == [.ambientRange])
    #expect(failed(frame, conditions { $0.ambientCelsius = 26 }) == [.ambientRange])
    #expect(failed(frame, conditions { $0.ambientDriftCelsiusPerMinute = -0.4 }) == [.ambientDrift])
    #expect(failed(frame, conditions { $0.motionCelsius = 1.6 }) == [.motion])
    #expect(failed(frame, conditions { $0.deadPixels = 11 }) == [.deadPixels])
    #expect(failed(frame, conditions { $0.noiseCelsius = 0.3 }) == [.noise])
    #expect(failed(frame, conditions { $0.clockSynchronised = false }) == [.clockUnsynchronised])
    #expect(failed(frame, conditions { $0.acclimatisationMissingSeconds = 30 }) == [.notAcclimatised])
  }

  @Test func whatIsNotKnownIsNotJudged() {
    let gates = QualityGate.evaluate(
      subject: SubjectMeasurements(celsius: SyntheticTorso().frame()), conditions: AcquisitionConditions(),
      limits: GateLimits())
    let unknowable: Set<QualityGate.Code> = [
      .settling, .motion, .ambientDrift, .deadPixels, .notAcclimatised, .clockUnsynchronised,
    ]
    #expect(!gates.contains { unknowable.contains($0.code) })
    #expect(gates.allSatisfy { !$0.sentence.isEmpty })
  }
}
