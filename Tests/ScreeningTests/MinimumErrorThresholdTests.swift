import Foundation
import Testing
import Thermography

@testable import Screening

@Suite struct MinimumErrorThresholdTests {
  @Test(arguments: [1e-6, 0.05, 0.5, 1, 1.999, 2, 3, 1234.5, 6e9])
  func logarithmIsRight(_ value: Double) {
    #expect(abs(MinimumErrorThreshold.logarithm(value) - Foundation.log(value)) < 1e-6)
  }

  /// A wide body 3 degC above an even room: Otsu's threshold cuts it in two, this one does not.
  @Test func aWideBodyStaysWhole() throws {
    var generator = PlainGenerator(state: 5)
    var truth: [Bool] = []
    let values: [Int] = (0..<768).map { pixel in
      let isBody = (6..<26).contains(pixel % 32)
      truth.append(isBody)
      return Int(isBody ? 30_400 + 130 * generator.normal() : 30_100 + 20 * generator.normal())
    }
    let plane = ThermalPlane(rows: 24, columns: 32, values: values)
    let wrong = { (mask: BodyMask) in zip(mask.pixels, truth).count { $0 != $1 } }
    #expect(wrong(try BodyMask(of: plane, by: .otsu)) >= 50)
    #expect(wrong(try BodyMask(of: plane, by: .minimumError)) <= 15)
  }

  @Test func isNeverHigherThanOtsus() throws {
    var generator = PlainGenerator(state: 6)
    for _ in 0..<200 {
      let values = (0..<768).map { _ in 29_000 + Int(300 * generator.uniform() * generator.uniform()) }
      let plane = ThermalPlane(rows: 24, columns: 32, values: values)
      let (otsu, own) = (try BodyMask(of: plane, by: .otsu), try BodyMask(of: plane, by: .minimumError))
      #expect(zip(otsu.pixels, own.pixels).allSatisfy { !$0 || $1 })
    }
  }

  @Test func aPictureWithoutFeaturesIsRefused() {
    let plane = ThermalPlane(rows: 24, columns: 32, values: [Int](repeating: 30_000, count: 768))
    #expect(throws: PreprocessingError.featureless) { try BodyMask(of: plane, by: .minimumError) }
  }
}

/// Pixels that cannot be true.
@Suite struct SpikeTests {
  private func assessed(_ celsius: [Float]) -> Assessment {
    Assessor(network: nil).assess(
      Thermogram(celsius: celsius, ambientCelsius: 25), conditions: AcquisitionConditions())
  }

  private func gate(_ code: QualityGate.Code, _ assessment: Assessment) -> QualityGate? {
    assessment.gates.first { $0.code == code }
  }

  @Test(arguments: [Float(-10), 10, 60, 80])
  func aStuckPixelIsDeadAndNoObject(_ celsius: Float) throws {
    var frame = SyntheticTorso().frame()
    for pixel in [12 * 32 + 16, 0, 5 * 32 + 31] { frame[pixel] = celsius }
    let assessment = assessed(frame)
    #expect(gate(.hotObject, assessment)?.passed == true)
    #expect(gate(.coldObject, assessment)?.passed == true)
    #expect(gate(.deadPixels, assessment)?.value == 3)
    #expect(gate(.deadPixels, assessed(SyntheticTorso().frame())) == nil)
  }

  @Test func whatCoversMoreThanAPixelIsAnObject() throws {
    var frame = SyntheticTorso().frame()
    for pixel in [12 * 32 + 16, 12 * 32 + 17] { frame[pixel] = 45 }
    #expect(gate(.hotObject, assessed(frame))?.passed == false)
  }

  /// A cold room, or a sensor that reads low, does not dress the patient.
  @Test func coolSkinThatStandsOutIsBare() {
    var torso = SyntheticTorso()
    (torso.skin, torso.ambient) = (28.5, 19)
    #expect(gate(.clothed, assessed(torso.frame()))?.passed == true)
    torso.ambient = 22
    #expect(gate(.clothed, assessed(torso.frame()))?.passed == false)
    (torso.skin, torso.ambient) = (27, 15)
    #expect(gate(.clothed, assessed(torso.frame()))?.passed == false)
  }

  @Test func theMirrorImageHasTheMirroredAxis() throws {
    var torso = SyntheticTorso()
    torso.imageLeftExcess = 0.8
    for (centre, slope) in [(15.25, 0), (14.75, 0), (16.1, 0.05)] as [(Float, Float)] {
      (torso.centreColumn, torso.slope) = (centre, slope)
      let frame = torso.frame()
      let mirrored = frame.indices.map { frame[$0 / 32 * 32 + 31 - $0 % 32] }
      let plain = try #require(SubjectMeasurements(celsius: frame)?.leftRight)
      let other = try #require(SubjectMeasurements(celsius: mirrored)?.leftRight)
      #expect(abs(plain.celsius + other.celsius) < 1e-6)
    }
  }
}
