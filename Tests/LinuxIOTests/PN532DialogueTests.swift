import DeviceSimulation
import Identification
import Testing

@Suite("The dialogue with a PN532")
struct PN532DialogueTests {
  private static let tag: [UInt8] = [0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]

  /// Host and chip on a line without delay, in simulated time.
  private struct Conversation {
    var dialogue: PN532Dialogue
    var chip = SimulatedPN532()
    var nowNanoseconds: UInt64 = 1_000_000_000
    var events: [PN532Dialogue.Event] = []
    /// How many bytes one read brings; 0 is all of them.
    var pieceByteCount = 0
    var isUnplugged = false

    init(rules: PN532Rules = PN532Rules()) {
      dialogue = PN532Dialogue(rules: rules)
    }

    mutating func begin() {
      deliver(dialogue.begin(atNanoseconds: nowNanoseconds))
    }

    /// Lets time pass, deadline by deadline.
    mutating func run(milliseconds: UInt64) {
      let end = nowNanoseconds + milliseconds * 1_000_000
      while let deadline = dialogue.nextDeadlineNanoseconds, deadline <= end {
        nowNanoseconds = max(nowNanoseconds, deadline)
        deliver(dialogue.advance(toNanoseconds: nowNanoseconds))
      }
      nowNanoseconds = end
    }

    private mutating func deliver(_ new: [PN532Dialogue.Event]) {
      var queue = new[...]
      var steps = 0
      while let event = queue.popFirst() {
        steps += 1
        guard steps < 10_000 else {
          Issue.record("host and chip answer each other for ever")
          return
        }
        guard case .send(let bytes) = event else {
          events.append(event)
          continue
        }
        if isUnplugged { continue }
        var answer = chip.respond(to: bytes)[...]
        while !answer.isEmpty {
          let piece = Array(answer.prefix(pieceByteCount == 0 ? answer.count : pieceByteCount))
          answer = answer.dropFirst(piece.count)
          queue += piece.withUnsafeBytes { dialogue.receive($0, atNanoseconds: nowNanoseconds) }
        }
      }
    }

    var uids: [[UInt8]] {
      events.compactMap { if case .reading(let reading) = $0 { reading.uid.bytes } else { nil } }
    }
  }

  private static let found = PN532Dialogue.Event.found(ic: 0x32, version: 1, revision: 6, support: 7)

  @Test(arguments: [0, 1, 7]) func wakesConfiguresAndListsWhateverTheReadsCutApart(pieceByteCount: Int) {
    var conversation = Conversation()
    conversation.pieceByteCount = pieceByteCount
    conversation.begin()
    #expect(conversation.events == [Self.found])
    #expect(conversation.chip.takenCommands == [0x14, 0x02, 0x32, 0x4A])
    conversation.run(milliseconds: 200)
    #expect(conversation.uids == [])
    conversation.chip.identities = [Self.tag]
    conversation.run(milliseconds: 400)
    // Some ten looks a second: three within 400 ms, which is what a presentation asks for, and more.
    #expect(conversation.uids.count >= 4)
    #expect(Set(conversation.uids) == [Self.tag])
  }

  @Test func bothOfTwoTagsAreSeen() {
    var conversation = Conversation()
    conversation.chip.identities = [Self.tag, [0xDE, 0xAD, 0xBE, 0xEF]]
    conversation.begin()
    #expect(Set(conversation.uids) == [Self.tag, [0xDE, 0xAD, 0xBE, 0xEF]])
  }

  @Test func aChipThatDoesNotHearIsSentTheCommandAgain() {
    var conversation = Conversation()
    conversation.chip.faults.deafCommands = 2
    conversation.begin()
    #expect(conversation.events == [])
    conversation.run(milliseconds: 3000)
    #expect(conversation.events == [Self.found])
  }

  @Test func aDamagedAnswerIsAskedForAgain() {
    var conversation = Conversation()
    conversation.chip.identities = [Self.tag]
    conversation.begin()
    conversation.chip.faults.damagedAnswers = 1
    conversation.events = []
    conversation.run(milliseconds: 70)
    #expect(conversation.events.first == .reject(FrameReject(.badChecksum, byteCount: 20)))
    #expect(conversation.uids == [Self.tag])
    // No recovery was needed: the chip was not configured again.
    #expect(conversation.chip.takenCommands.count { $0 == 0x14 } == 1)
  }

  @Test func lostAnswersAndSyntaxErrorsLeadToARecovery() {
    for change: (inout SimulatedPN532.Faults) -> Void in [{ $0.lostAnswers = 1 }, { $0.syntaxErrors = 1 }] {
      var conversation = Conversation()
      conversation.begin()
      conversation.run(milliseconds: 500)
      change(&conversation.chip.faults)
      conversation.chip.identities = [Self.tag]
      conversation.events = []
      conversation.run(milliseconds: 2500)
      #expect(conversation.chip.takenCommands.count { $0 == 0x14 } == 2)
      #expect(!conversation.uids.isEmpty)
      #expect(!conversation.events.contains(.silent))
    }
  }

  @Test func aChipThatIsGoneIsSilentAfterABoundedTime() {
    var conversation = Conversation()
    conversation.isUnplugged = true
    conversation.begin()
    conversation.run(milliseconds: 60_000)
    #expect(conversation.events == [.silent])
    #expect(conversation.dialogue.nextDeadlineNanoseconds == nil)
    conversation.isUnplugged = false
    conversation.events = []
    conversation.begin()
    #expect(conversation.events == [Self.found])
  }

  @Test func anAnswerToACommandThatWasGivenUpIsNoReading() {
    var dialogue = PN532Dialogue()
    _ = dialogue.begin(atNanoseconds: 0)
    let late = PN532Frame.information([0xD5, 0x4B, 1, 1, 0, 0x44, 0, 4, 1, 2, 3, 4]).wireBytes
    let events = late.withUnsafeBytes { dialogue.receive($0, atNanoseconds: 1) }
    #expect(events == [.reject(FrameReject(.badContent, byteCount: 12))])
  }
}
