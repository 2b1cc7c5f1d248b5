import Provenance
import Screening
import Testing
import Thermography

@testable import Device

@Suite struct TerminalPictureTests {
  private func snapshot() -> SessionSnapshot {
    var snapshot = SessionSnapshot(since: UptimeClock().now())
    snapshot.state = .averaging
    snapshot.view = .frontal
    (snapshot.framesAveraged, snapshot.framesWanted) = (4, 16)
    snapshot.sentence = "Hold still: facing the camera."
    func gate(_ code: QualityGate.Code, _ severity: QualityGate.Severity, passed: Bool) -> QualityGate {
      QualityGate(code: code, value: 0.25, limit: 0.35, unit: "1", severity: severity, passed: passed, sentence: "-")
    }
    snapshot.gates = [
      gate(.subjectPresent, .hard, passed: true), gate(.tooFar, .hard, passed: false),
      gate(.settling, .soft, passed: false),
    ]
    return snapshot
  }

  @Test func theScreenFitsATerminalAndSaysWhatFailedFirst() {
    var image = TemperatureImage()
    for pixel in 0..<768 { (image.celsius[pixel], image.valid[pixel]) = (pixel < 384 ? 27 : 37, true) }
    let lines = TerminalPicture().screen(snapshot(), image).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 24)
    #expect(lines[0].hasPrefix("averaging  frontal"))
    #expect(lines[1].contains("NOT  too-far 0.3/0.4 1") && lines[2].contains("note settling"))
    #expect(lines[3].contains("ok   subject-present"))
    #expect(lines.contains { $0.hasPrefix("[############....................................] 4/16 frames") })
    #expect(lines.contains { $0.hasPrefix("Hold still") } && lines.contains { $0.hasPrefix("Research use only") })
    // 24 rows are 12 lines of 32 half blocks; the upper six lines are cold, the lower six warm.
    let blocks = lines.filter { $0.contains("\u{2580}") }
    #expect(blocks.count == 12 && blocks.allSatisfy { $0.filter { $0 == "\u{2580}" }.count == 32 })
    let (cold, warm) = (Palette.inferno.color(at: 0), Palette.inferno.color(at: 1))
    #expect(blocks[5].contains("38;2;\(cold.red);\(cold.green);\(cold.blue);48;2;\(cold.red)"))
    #expect(blocks[6].contains("38;2;\(warm.red);\(warm.green);\(warm.blue);48;2;\(warm.red)"))
  }

  @Test func aLineSaysTheSameWithoutCodes() {
    let line = TerminalPicture.line(snapshot())
    #expect(line == "averaging frontal 4/16 frames; gates: too-far, settling; Hold still: facing the camera.")
  }
}
