import Thermography

/// One fault of a simulated sensor and when it happens.
package struct ScriptedFault: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    /// Nothing answers.
    case unplugged
    /// Transactions fail so.
    case transfer(I2CError.Kind)
    /// The data-ready bit reads 0, or 1, whatever happens.
    case dataReadyStuckLow
    case dataReadyStuckHigh
    /// The status register names this sub-page only.
    case subPageStuck(Int)
    /// Sub-pages are announced, but the RAM no longer changes.
    case frozen
    /// Once, at the beginning: registers fall back to their power-up values, the RAM is forgotten.
    case brownOut
    /// RAM word `index` (0..<832) holds `value` after every conversion.
    case word(index: Int, value: UInt16)
    /// Reads of the EEPROM have flipped bits.
    case eepromNoise
    /// Each pixel's noise is so many times what it was.
    case noise(times: Double)
    /// The part's own temperature rises so much a minute.
    case drift(celsiusPerMinute: Double)
  }

  package var kind: Kind
  /// From when, on the sensor's clock.
  package var fromMicroseconds: UInt64
  /// Until when (excluded).
  package var untilMicroseconds: UInt64
  /// For `transfer`: how many transactions still fail; nil for all in that time.
  package var remaining: Int?

  package init(
    _ kind: Kind, fromMicroseconds: UInt64 = 0, untilMicroseconds: UInt64 = .max, times: Int? = nil
  ) {
    self.kind = kind
    self.fromMicroseconds = fromMicroseconds
    self.untilMicroseconds = untilMicroseconds
    remaining = times
  }

  func isActive(atMicroseconds time: UInt64) -> Bool { time >= fromMicroseconds && time < untilMicroseconds }
}

extension I2CError.Kind {
  /// The errno that Linux gives for it.
  var errorNumber: Int32 {
    switch self {
    case .noAcknowledgeAddress: 6  // ENXIO
    case .noAcknowledgeData: 121  // EREMOTEIO
    case .arbitrationLost: 11  // EAGAIN
    case .bus: 5  // EIO
    case .timeout: 110  // ETIMEDOUT
    case .unavailable: 19  // ENODEV
    case .shortTransfer, .other: 0
    }
  }
}
