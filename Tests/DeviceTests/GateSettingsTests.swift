import Configuration
import Screening
import Testing

@testable import Device

@Suite struct GateSettingsTests {
  @Test func theConfigurationNamesEveryGate() {
    #expect(Settings.Gates.Gate.allCases.map(\.rawValue) == QualityGate.Code.allCases.map(\.rawValue))
  }

  @Test func theDefaultsOfTheConfigurationAreThoseOfTheGates() {
    #expect(GateLimits(Settings.Gates()) == GateLimits())
  }

  @Test func whatTheConfigurationSaysReachesTheGates() {
    var settings = Settings.Gates()
    settings.hard = [.lens, .ambientRange]
    settings.skinMinimumCelsius = 31
    settings.pictureNoiseMaximumCelsius = 0.4
    let limits = GateLimits(settings)
    #expect(limits.hardGates == [.lens, .ambientRange])
    #expect(limits.skinMinimumCelsius == 31 && limits.pictureNoiseMaximumCelsius == 0.4)
  }
}
