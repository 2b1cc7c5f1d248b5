/// What a device does whose configuration is not usable: it answers `status` and `doctor` and nothing else, so that a
/// technician finds the reason where they look first.
package struct SafeMode: Sendable {
  /// At least one.
  package let faults: [ConfigurationFault]
  /// For the control socket and the log only: keys without a fault have their value, the others their default.
  package let paths: Settings.Paths
  package let log: Settings.Log

  /// - Returns: `nil` when the configuration is usable and there is nothing to be safe from.
  package init?(_ reading: ConfigurationReading) {
    guard !reading.isUsable else { return nil }
    faults = reading.faults
    paths = reading.settings.paths
    log = reading.settings.log
  }

  package enum Activity: Sendable, CaseIterable {
    case status, doctor, capture, network
  }

  /// Captures need an identity and limits that somebody meant; the network needs a broker that somebody meant.
  package func allows(_ activity: Activity) -> Bool {
    switch activity {
    case .status, .doctor: true
    case .capture, .network: false
    }
  }

  /// One line for `systemctl status` and the light's legend.
  package var summary: String {
    let others = faults.count - 1
    let more = others == 0 ? "" : ", and \(others) more: thermograph check"
    return "safe mode, the configuration is not usable: \(faults[0])\(more)"
  }
}
