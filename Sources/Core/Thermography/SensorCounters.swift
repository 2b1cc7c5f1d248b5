/// What the driver has seen since it was made; every fault it can detect has a number. Goes into health reports.
package struct SensorCounters: Sendable, Hashable, Codable {
  /// Good sub-pages delivered.
  package var subPages: UInt64 = 0
  /// Sub-pages that passed unseen, judged by the clock: the host was late.
  package var missedSubPages: UInt64 = 0
  /// Blocks during whose reading new data arrived.
  package var tornBlocks: UInt64 = 0
  package var repeatedSubPages: UInt64 = 0
  package var staleSubPages: UInt64 = 0
  /// The control register had fallen back to another value and was written anew.
  package var brownOuts: UInt64 = 0
  package var unmeasuredWords: UInt64 = 0
  package var implausibleSupply: UInt64 = 0
  package var implausibleAmbient: UInt64 = 0
  package var implausibleGain: UInt64 = 0
  /// Transactions that failed, by kind, and those tried again.
  package var addressNotAcknowledged: UInt64 = 0
  package var dataNotAcknowledged: UInt64 = 0
  package var arbitrationLost: UInt64 = 0
  package var busErrors: UInt64 = 0
  package var busTimeouts: UInt64 = 0
  package var shortTransfers: UInt64 = 0
  package var otherBusFailures: UInt64 = 0

  /// Transactions that failed, of every kind.
  package var busFailures: UInt64 {
    addressNotAcknowledged &+ dataNotAcknowledged &+ arbitrationLost &+ busErrors &+ busTimeouts &+ shortTransfers
      &+ otherBusFailures
  }

  package var retries: UInt64 = 0
  package var reopens: UInt64 = 0
  /// Waits that ended without data, and with a data-ready that could not be cleared.
  package var dataReadyStuckLow: UInt64 = 0
  package var dataReadyStuckHigh: UInt64 = 0
  /// The refresh rate was lowered because the host could not keep up.
  package var derates: UInt64 = 0
  package var losses: UInt64 = 0
  package var returns: UInt64 = 0

  package init() {}

  mutating func count(_ kind: I2CError.Kind) {
    switch kind {
    case .noAcknowledgeAddress: addressNotAcknowledged += 1
    case .noAcknowledgeData: dataNotAcknowledged += 1
    case .arbitrationLost: arbitrationLost += 1
    case .bus: busErrors += 1
    case .timeout: busTimeouts += 1
    case .shortTransfer: shortTransfers += 1
    case .unavailable, .other: otherBusFailures += 1
    }
  }

  mutating func count(_ fault: SubPageFault) {
    switch fault {
    case .torn: tornBlocks += 1
    case .controlChanged: brownOuts += 1
    case .stale: staleSubPages += 1
    case .repeatedSubPage: repeatedSubPages += 1
    case .auxiliaryUnmeasured: unmeasuredWords += 1
    case .pixelsUnmeasured(let count): unmeasuredWords += UInt64(count)
    case .supplyImplausible: implausibleSupply += 1
    case .ambientImplausible: implausibleAmbient += 1
    case .gainImplausible: implausibleGain += 1
    }
  }
}
