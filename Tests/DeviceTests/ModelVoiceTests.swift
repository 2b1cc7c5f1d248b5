import Foundation
import Screening
import Storage
import Testing

@testable import Device

/// Which models speak to whom: a demonstration alarms nobody, a comparison gives no verdict at all.
@Suite struct ModelVoiceTests {
  private func verdict(_ outcome: Verdict.Outcome, demonstration: Bool) -> Verdict {
    Verdict(
      outcome: outcome, rawOutput: [1], score: 0.5, probability: 0.5, thresholds: .init(lower: 0.2, upper: 0.8),
      leftRightDifference: nil, viewScores: [:], modelID: "m", modelSHA256: String(repeating: "0", count: 64),
      demonstration: demonstration, reasons: ["a reason"])
  }

  @Test(arguments: Verdict.Outcome.allCases) func noOutcomeOfADemonstrationIsAnAlert(outcome: Verdict.Outcome) {
    #expect(verdict(outcome, demonstration: false).outcomeToTell == outcome)
    let told = verdict(outcome, demonstration: true).outcomeToTell
    #expect(told == (outcome == .notAssessable ? .notAssessable : nil))
  }

  @Test(arguments: ["bagheri-hosvd", "digiscope-cnn", "kalva-resnet", "salvi-cnn"])
  func aComparisonModelGivesNoVerdictOnADevice(name: String) throws {
    let models = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Models").path
    let folder = try ModelFolder(path: "\(models)/\(name)", digests: OpenSSLDigests())
    #expect(folder.manifest.purpose == .comparison)
    do throws(ModelFolderError) {
      _ = try folder.networkForPatients()
      Issue.record("\(name) would speak in a verdict")
    } catch {
      #expect(error.reason.contains("never gives a verdict") && error.path.hasSuffix("manifest.json"))
    }
    #expect(throws: Never.self) {
      _ = try ModelFolder(path: models + "/screening-fold", digests: OpenSSLDigests()).networkForPatients()
    }
  }
}
