import Configuration
import Forwarding
import Identification
import LinuxIO
import Screening
import Testing

@testable import Device

/// The configuration's values against the modules' own: defaults agree, and no name leads nowhere.
@Suite struct SessionSettingsTests {
  @Test func defaultsAreTheModulesOwn() {
    var settings = Settings()
    #expect(GateLimits(settings.gates) == GateLimits())
    #expect(SessionRules(settings) == SessionRules())
    #expect(PanelTable(settings.panel) == .standard)
    #expect(PanelTable(settings.panel).indistinguishableSignals.isEmpty)
    settings.broker.host = "broker.example"
    #expect(SessionRules(settings).requiredConsent == [.capture, .upload])
  }

  @Test func everyKeyReachesTheSession() {
    var settings = Settings()
    var question = Settings.Session.Question()
    (question.code, question.sentence) = ("fever", "Do you have a fever?")
    settings.session.questions = [question]
    settings.session.views = Settings.Session.View.allCases
    settings.session.viewStart = .sign
    settings.session.requireOperator = true
    settings.session.tagMustStay = true
    settings.session.resumeSeconds = 1
    settings.session.maintenanceSeconds = 61
    settings.session.saveTimeoutSeconds = 2
    settings.session.acclimatisationMinimumSeconds = 3
    settings.session.acclimatisationMaximumSeconds = 4
    settings.session.skinDriftMaximumCelsiusPerMinute = 0.5
    settings.patients.unknownTag = .ask
    let rules = SessionRules(settings)
    #expect(rules.questions.map(\.code) == ["fever"] && rules.views == CaptureView.allCases && rules.start == .onSign)
    #expect(rules.requiresOperator && rules.tagMustStay && rules.resumeSeconds == 1 && rules.maintenanceSeconds == 61)
    #expect(rules.saveTimeoutSeconds == 2 && rules.acclimatisationMinimumSeconds == 3)
    #expect(rules.acclimatisationMaximumSeconds == 4 && rules.skinDriftMaximumCelsiusPerMinute == 0.5)
    #expect(rules.unknownTags == .ask)
    settings.session.viewStart = .timer
    settings.session.positionSeconds = 7
    #expect(SessionRules(settings).start == .afterSeconds(7))
  }

  @Test func everyOccasionOfAnAlertMeansSomething() {
    var gates: Set<QualityGate.Code> = []
    var outcomes: Set<Verdict.Outcome> = []
    for occasion in Settings.Alerts.Rule.Occasion.allCases {
      switch AlertRule.Trigger(occasion) {
      case .gate(let code):
        #expect((code == nil) == (occasion == .gate), "\(occasion.rawValue) names no gate")
        if let code { gates.insert(code) }
      case .outcome(let outcome):
        #expect((outcome == nil) == (occasion == .outcome), "\(occasion.rawValue) names no outcome")
        if let outcome { outcomes.insert(outcome) }
      default: break
      }
    }
    #expect(gates == Set(QualityGate.Code.allCases), "a gate has no occasion")
    #expect(outcomes.count == 4)
  }

  @Test func readersGetTheirSettings() {
    var reader = Settings.Reader()
    reader.kind = .line
    reader.lineNumber = .decimal
    (reader.lineDigitsMinimum, reader.lineDigitsMaximum, reader.lineDecimalBytes) = (10, 12, 5)
    (reader.linePrefix, reader.lineSuffix) = ("UID=", ";")
    reader.pn532Modulations = [.feliCa212, .iso14443B]
    let settings = TagReader.Settings(reader, path: "/dev/ttyACM0")
    #expect(settings.kind == .line && settings.path == "/dev/ttyACM0" && settings.policy.requiredFrames == 1)
    #expect(settings.linePattern.number == .decimal && settings.linePattern.digitCounts == 10...12)
    #expect(settings.linePattern.decimalByteCount == 5 && settings.linePattern.prefix == Array("UID=".utf8))
    #expect(settings.linePattern.suffix == Array(";".utf8))
    #expect(settings.pn532.modulations == [.feliCa212, .iso14443B])
    for kind in Settings.Reader.Kind.allCases {
      reader.kind = kind
      #expect(TagReader.Settings(reader, path: "/p").kind.rawValue == kind.rawValue)
    }
  }

  @Test func panelLinesGetTheirPlaces() {
    var lines = Settings.Pins()
    #expect(GPIOPins.Wiring(lines) == GPIOPins.Wiring())
    (lines.chip, lines.button, lines.led) = ("pinctrl-rp1", .name("GPIO17"), .offset(27))
    lines.ledActiveLow = true
    let wiring = GPIOPins.Wiring(lines)
    #expect(wiring.button == GPIOPinAddress(chip: "pinctrl-rp1", line: .named("GPIO17"), isActiveLow: true))
    #expect(wiring.light == GPIOPinAddress(chip: "pinctrl-rp1", line: .offset(27), isActiveLow: true))
    #expect(wiring.buzzer == nil)
  }
}
