import Configuration
import Forwarding
import Identification
import LinuxIO
import Logging
import Screening
import Testing

@testable import Device

/// What the settings' values mean to the parts.
@Suite struct SessionSettingsTests {
  @Test func whatIsSentNeedsConsentToThat() {
    var settings = Settings()
    #expect(settings.sessionRules == SessionRules())
    settings.broker.host = "broker.example"
    #expect(settings.sessionRules.requiredConsent == [.capture, .upload])
  }

  @Test func theShippedPatternsDifferWithoutColourAndSound() {
    #expect(Settings().panel.indistinguishableSignals.isEmpty)
  }

  @Test func everyOccasionOfAnAlertMeansSomething() {
    #expect(AlertRule.Trigger.allCases.count == 5 + 1 + QualityGate.Code.allCases.count + 2 + 3 + 4)
    for trigger in AlertRule.Trigger.allCases { #expect(AlertRule.Trigger(rawValue: trigger.rawValue) == trigger) }
    #expect(AlertRule.Trigger(rawValue: "gate-nonesuch") == nil && AlertRule.Trigger(rawValue: "outbox-81") == nil)
  }

  @Test func readersGetTheirSettings() {
    var reader = Settings.Reader()
    reader.kind = .line
    reader.linePattern = LinePattern(
      number: .decimal, digitCounts: 10...12, decimalByteCount: 5, prefix: Array("UID=".utf8),
      suffix: Array(";".utf8))
    reader.pn532.modulations = [.feliCa212, .iso14443B]
    let settings = TagReader.Settings(reader, path: "/dev/ttyACM0")
    #expect(settings.kind == .line && settings.path == "/dev/ttyACM0" && settings.baud == 9600)
    #expect(settings.linePattern == reader.linePattern && settings.pn532 == reader.pn532)
    reader.kind = .pn532HSU
    #expect(TagReader.Settings(reader, path: "/p").baud == 115_200)
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

  @Test func levelsKeepTheirNames() {
    #expect(
      Settings.Log.Level.allCases.map { Logger.Level($0).rawValue } == Settings.Log.Level.allCases.map(\.rawValue))
  }
}
