import Panel
import Testing

@Suite("Front panel")
struct PanelTests {
  @Test func everySignalHasAPatternThatCanBeToldInGreyAndInSilence() {
    let table = PanelTable.standard
    for signal in PanelSignal.allCases {
      #expect(table[signal] != nil, "\(signal)")
    }
    #expect(table.indistinguishableSignals.isEmpty)
  }

  @Test func likePatternsAreFound() {
    var table = PanelTable.standard
    (table[.ready], table[.unable]) = (PanelPattern("R500 -500 *"), PanelPattern("Bz500 -250 -250 *"))
    #expect(table.indistinguishableSignals.map { [$0.0, $0.1] } == [[.ready, .unable]])
  }

  @Test func patternsPlayTheirSteps() throws {
    let once = try #require(PanelPattern("RGz300 -100 B50"))
    #expect(once.outputs(atMilliseconds: 0) == PanelOutputs(red: true, green: true, buzzer: true))
    #expect(once.outputs(atMilliseconds: 299) == PanelOutputs(red: true, green: true, buzzer: true))
    #expect(once.outputs(atMilliseconds: 300) == .dark)
    #expect(once.millisecondsToNextStep(atMilliseconds: 310) == 90)
    #expect(once.outputs(atMilliseconds: 449) == PanelOutputs(blue: true))
    #expect(once.outputs(atMilliseconds: 450) == nil)
    let forever = try #require(PanelPattern("G200 -800 *"))
    #expect(forever.outputs(atMilliseconds: 86_400_000_100) == PanelOutputs(green: true))
    #expect(forever.outputs(atMilliseconds: 86_400_000_200) == .dark)
  }

  @Test(arguments: ["G100 -2900 *", "RGBz10000", "-20 R20 RGBz9999 z400 *"]) func aPatternIsWrittenAsItWasRead(
    text: String
  ) {
    #expect(PanelPattern(text)?.text == text)
  }

  @Test func badPatternsAreNone() {
    let tooMany = String(repeating: "G20 ", count: 33)
    for text in ["", "*", "G", "200", "G10", "G10001", "X100", "GG100", "-G100", "G-5", "G1e3", tooMany, "g200"] {
      #expect(PanelPattern(text) == nil, "\(text)")
    }
  }

  /// Level changes at these times, and the presses until `end`.
  private func presses(_ changes: [(UInt64, Bool)], until end: UInt64) -> [ButtonDebouncer.Press] {
    var debouncer = ButtonDebouncer(.init(steadyMilliseconds: 30, longPressMilliseconds: 2000))
    var presses: [ButtonDebouncer.Press] = []
    func pass(to time: UInt64) {
      while let deadline = debouncer.nextDeadlineNanoseconds, deadline <= time {
        if let press = debouncer.advance(toNanoseconds: deadline) { presses.append(press) }
      }
    }
    for (milliseconds, isDown) in changes {
      pass(to: milliseconds * 1_000_000)
      if let press = debouncer.levelChanged(isDown: isDown, atNanoseconds: milliseconds * 1_000_000) {
        presses.append(press)
      }
    }
    pass(to: end * 1_000_000)
    return presses
  }

  @Test func aBouncingContactIsOnePress() {
    let bouncing: [(UInt64, Bool)] = [
      (0, true), (2, false), (5, true), (9, false), (11, true), (300, false), (303, true), (306, false),
    ]
    #expect(presses(bouncing, until: 5000) == [.short])
    #expect(presses([(0, true), (10, false)], until: 5000) == [])
    #expect(presses([(0, true), (100, false), (500, true), (600, false)], until: 5000) == [.short, .short])
  }

  @Test func aHeldButtonIsOneLongPressAtItsTime() {
    #expect(presses([(0, true)], until: 1999) == [])
    #expect(presses([(0, true)], until: 2000) == [.long])
    #expect(presses([(0, true), (9000, false)], until: 20_000) == [.long])
    #expect(presses([(0, true), (1990, false)], until: 9000) == [.short])
  }
}
