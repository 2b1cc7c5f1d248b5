import Foundation
import Screening
import Testing

/// What a session says comes from the file of the language, and the file has nothing else.
@Suite struct SessionSentenceTests {
  private static let instructions: [SessionInstruction] =
    [
      .ready, .maintenance, .presentOperatorTag, .confirmUnknownTag,
      .question(.init(code: "fever", sentence: "Have you a fever?")), .rest(seconds: 600), .rest(seconds: 30), .working,
      .complete, .completeNotAssessable, .presentOwnTag, .waitForCamera, .clinic(.answered), .clinic(.repeatRequested),
      .callNoted, .callFailed,
    ] + SessionRefusal.allCases.map { .refused($0) }
    + SessionSummary.IncompleteReason.allCases.flatMap { reason in (0...2).map { .incomplete(reason, savedViews: $0) } }
    + CaptureView.allCases.flatMap {
      [.takePosition($0), .holdStill($0), .retake($0, reasons: []), .saved($0), .savedNotAssessable($0)]
    }

  /// Without a default: a case that is added must be added above too.
  private static func number(_ instruction: SessionInstruction) -> Int {
    switch instruction {
    case .ready: 0
    case .maintenance: 1
    case .refused: 2
    case .presentOperatorTag: 3
    case .confirmUnknownTag: 4
    case .question: 5
    case .rest: 6
    case .takePosition: 7
    case .holdStill: 8
    case .retake: 9
    case .working: 10
    case .saved: 11
    case .complete: 12
    case .incomplete: 13
    case .presentOwnTag: 14
    case .waitForCamera: 15
    case .savedNotAssessable: 16
    case .completeNotAssessable: 17
    case .clinic(.answered): 18
    case .clinic(.repeatRequested): 19
    case .callNoted: 20
    case .callFailed: 21
    }
  }

  private static func shippedKeys() throws -> Set<String> {
    struct Document: Decodable { var sentences: [String: String] }
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Languages/en.json")
    return Set(try JSONDecoder().decode(Document.self, from: Data(contentsOf: file)).sentences.keys)
  }

  @Test func everyKeyThatIsUsedIsInTheFileAndNoOtherIs() throws {
    #expect(Set(Self.instructions.map(Self.number)) == Set(0...21))
    var used = Set(Self.instructions.map(\.sentenceKey))
    for code in QualityGate.Code.allCases {
      used.insert("gate.\(code.rawValue).passed")
      let failures = code == .ambientRange ? ["too-cold", "too-warm"] : ["failed"]
      for failure in failures { used.insert("gate.\(code.rawValue).\(failure)") }
    }
    used.formUnion([
      "patient.assessable", "patient.not-assessable", "gate.quality.two-people", "gate.quality.pose",
      "gate.settling.sensing-ill",
    ])
    used.formUnion(CaptureView.allCases.map { "gate.quality.looks-\($0.rawValue)" })
    used.formUnion((0...2).map { SessionInstruction.keptKey(savedViews: $0) })
    let shipped = try Self.shippedKeys()
    #expect(used.subtracting(shipped) == [], "used, and not in the file")
    #expect(shipped.subtracting(used) == [], "in the file, and used nowhere")
  }

  @Test func aSentenceIsWholeInTheLanguageOfItsBook() throws {
    let text =
      #"{"language": "de", "sentences": {"session.rest.minutes": "Ruhen Sie {value} Minuten.", "#
      + #""session.retake.frontal": "Noch einmal, von vorn.", "session.question": "Marke: ja. Knopf: nein.", "#
      + #""session.refused.no-consent": "Keine Einwilligung."}}"#
    let german = try SentenceBook(json: Array(text.utf8))
    #expect(SessionInstruction.rest(seconds: 541).sentence(in: german) == "Ruhen Sie 10 Minuten.")
    #expect(
      SessionInstruction.retake(.frontal, reasons: ["Sie sind zu nah."]).sentence(in: german)
        == "Sie sind zu nah. Noch einmal, von vorn.")
    #expect(
      SessionInstruction.question(.init(code: "fever", sentence: "Fieber?")).sentence(in: german)
        == "Fieber? Marke: ja. Knopf: nein.")
    #expect(SessionInstruction.refused(.noConsent).sentence(in: german) == "Keine Einwilligung.")
    // What the translation lacks is English.
    #expect(SessionInstruction.complete.sentence(in: german) == "All done. Thank you.")
  }

  /// The end of a session says what was saved and nothing else.
  @Test(arguments: SessionSummary.IncompleteReason.allCases)
  func anEarlyEndSaysWhatIsSaved(reason: SessionSummary.IncompleteReason) {
    let nothing = SessionInstruction.incomplete(reason, savedViews: 0).sentence(in: .english)
    #expect(nothing.contains("No picture was saved."), "\(nothing)")
    let one = SessionInstruction.incomplete(reason, savedViews: 1).sentence(in: .english)
    #expect(one.contains("The pictures of one view are saved.") && !one.contains("No picture"), "\(one)")
    let two = SessionInstruction.incomplete(reason, savedViews: 2).sentence(in: .english)
    #expect(two.contains("The pictures of 2 views are saved."), "\(two)")
  }

  @Test func everyInstructionHasAWholeEnglishSentence() {
    for instruction in Self.instructions {
      let sentence = instruction.sentence(in: .english)
      #expect(sentence.count > 5 && sentence.hasSuffix("."), "\(instruction)")
      #expect(!sentence.contains("{") && !sentence.hasPrefix("session."), "\(instruction): \(sentence)")
    }
    #expect(SessionInstruction.rest(seconds: 119).sentence(in: .english).contains("119 seconds"))
    #expect(SessionInstruction.rest(seconds: 120).sentence(in: .english).contains("2 minutes"))
  }
}
