import Identification
import Provenance
import Screening
import Testing

@Suite struct SessionComparisonTests {
  private func identifier() -> RandomIdentifier {
    var generator = SystemRandomNumberGenerator()
    return RandomIdentifier(using: &generator)
  }

  private func earlier(_ session: RandomIdentifier, view: CaptureView = .frontal) -> EarlierCapture {
    EarlierCapture(
      sessionID: session, view: view, sequence: 1,
      regions: [
        RegionTemperature(name: .leftUpper, celsius: 33, relativeCelsius: 0.2, spreadCelsius: 0.3, pixels: 50)
      ])
  }

  private func verdict(_ probability: Double) -> Verdict {
    Verdict(
      outcome: .uncertain, rawOutput: [], score: nil, probability: probability,
      thresholds: .init(lower: 0, upper: 1), leftRightDifference: nil, viewScores: [:], modelID: "", modelSHA256: "",
      demonstration: true, reasons: ["x"])
  }

  @Test func scoresGatherWithinASessionAndNoFurther() async throws {
    let patient = PatientReference("patient-a")
    var comparison = SessionComparison()
    let first = identifier()
    comparison.begin(.frontal, sessionID: first, patient: patient, past: { _, _ in PatientPast() })
    #expect(await comparison.context().sessionScores.viewScores.isEmpty)
    comparison.add(verdict(0.4))
    comparison.begin(.leftOblique, sessionID: first, patient: patient, past: { _, _ in PatientPast() })
    let second = await comparison.context()
    #expect(second.view == .leftOblique && second.sessionScores.viewScores == ["frontal": 0.4])
    comparison.begin(.frontal, sessionID: identifier(), patient: patient, past: { _, _ in PatientPast() })
    #expect(await comparison.context().sessionScores.viewScores.isEmpty)
  }

  @Test func thePastIsThePatientsOwnAndNotTheSessionUnderWay() async throws {
    let session = identifier()
    let captures = [earlier(session), earlier(identifier()), earlier(identifier()), earlier(identifier())]
    let past: @Sendable (PatientReference, PatientReference?) async -> PatientPast = { patient, _ in
      PatientPast(captures: patient.text == "patient-a" ? captures : [])
    }
    var comparison = SessionComparison()
    comparison.begin(.frontal, sessionID: session, patient: PatientReference("patient-a"), past: past)
    let baseline = try #require(await comparison.context().baseline)
    #expect(baseline.change(of: captures[0].regions)?.sessions == 3)
    // Another patient's session asks anew.
    comparison.begin(
      .frontal, sessionID: identifier(), patient: PatientReference("patient-b"), past: past)
    #expect(await comparison.context().baseline == nil)
  }

  /// The past is looked up under both references, and the former one is news only while nothing stands under the present.
  @Test func thePastIsLookedUpUnderTheFormerReferenceToo() async throws {
    let former = try #require(PatientReference("former"))
    for (isNews, sessions) in [(true, 1), (false, 2)] {
      var comparison = SessionComparison()
      comparison.begin(
        .frontal, sessionID: identifier(), patient: PatientReference("present"), former: former,
        past: { patient, asked in
          #expect(patient.text == "present" && asked == former)
          return PatientPast(captures: [], isUnderFormerReferenceOnly: sessions == 1)
        })
      #expect(await comparison.formerReferenceIsNews() == isNews)
    }
    #expect(await SessionComparison().formerReferenceIsNews() == false)
  }
}
