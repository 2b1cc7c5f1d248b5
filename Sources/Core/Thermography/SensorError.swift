import Provenance

/// What kept the driver from delivering a sub-page.
package enum SensorError: Error, Equatable, Sendable {
  /// The bus failed, after all retries; `operation` says at what.
  case bus(I2CError, operation: String)
  /// Two reads of the EEPROM differ in `words` words, after all retries.
  case unstableEEPROM(words: Int)
  /// The control register does not hold what was written.
  case controlRejected(written: UInt16, read: UInt16)
  /// No new data within `periods` sub-page periods: data-ready stays 0.
  case noData(periods: Int)
  /// Data-ready cannot be cleared.
  case dataReadyStuck
  /// The same sub-page number `count` times in a row.
  case stuckSubPage(number: Int, count: Int)
  /// The pixel words have not changed for `count` sub-pages; a working sensor always has noise.
  case staleData(count: Int)
  /// Too many sub-pages in a row were dropped; `last` says why the last one was.
  case unusableData(count: Int, last: SubPageFault)
  /// Another part answers than the one that was connected; connect anew to use its calibration.
  case otherSensor(expected: String, found: String)
  /// The sensor was declared lost; `nextAttempt` is when the driver tries again (microseconds of its clock).
  case lost(nextAttemptMicroseconds: UInt64)
}

extension SensorError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .bus(let error, let operation): "MLX90640 \(operation): \(error)"
    case .unstableEEPROM(let words):
      "MLX90640 EEPROM 0x2400: two reads differ in \(words) words; check wiring and pull-up resistors, slow the bus"
    case .controlRejected(let written, let read):
      "MLX90640 control register 0x800D: wrote \(hexadecimal(written)), reads \(hexadecimal(read)); check the supply"
    case .noData(let periods):
      "MLX90640 status register 0x8000: no new data within \(periods) periods; power the sensor off and on"
    case .dataReadyStuck:
      "MLX90640 status register 0x8000: data-ready cannot be cleared; check the wiring, power the sensor off and on"
    case .stuckSubPage(let number, let count):
      "MLX90640 status register 0x8000: sub-page \(number) \(count) times in a row, expected 0 and 1 in turn"
    case .staleData(let count):
      "MLX90640 RAM 0x0400: pixel words unchanged for \(count) sub-pages, expected noise; power the sensor off and on"
    case .unusableData(let count, let last): "MLX90640: \(count) sub-pages dropped in a row; the last: \(last)"
    case .otherSensor(let expected, let found):
      "MLX90640 EEPROM 0x2407: serial number \(found), expected \(expected); another sensor was plugged in"
    case .lost: "MLX90640: the sensor is lost; check power and wiring (the driver keeps trying)"
    }
  }
}

/// Why one sub-page was dropped.
package enum SubPageFault: Error, Equatable, Sendable {
  /// New data arrived while the block was read.
  case torn
  /// The control register fell back to another value: a brown-out.
  case controlChanged(UInt16)
  /// The words equal those of the last sub-page of the same number.
  case stale
  /// The same sub-page number as before.
  case repeatedSubPage
  /// An auxiliary word that the maths uses holds 0x7FFF.
  case auxiliaryUnmeasured(address: UInt16)
  /// All or most pixel words hold 0x7FFF.
  case pixelsUnmeasured(count: Int)
  /// Supply voltage outside of 3.0...3.6 V.
  case supplyImplausible(volts: Double)
  /// Die temperature outside of -40...85 degC.
  case ambientImplausible(celsius: Double)
  /// The gain word outside of half to twice its EEPROM value (at the converter's resolution).
  case gainImplausible(ratio: Double)
}

extension SubPageFault: CustomStringConvertible {
  package var description: String {
    switch self {
    case .torn: "torn block (new data while it was read)"
    case .controlChanged(let value):
      "control register 0x800D fell back to \(hexadecimal(value)) (brown-out)"
    case .stale: "identical to the sub-page before (stale data)"
    case .repeatedSubPage: "the same sub-page again"
    case .auxiliaryUnmeasured(let address): "auxiliary word \(hexadecimal(address)) holds 0x7fff (not measured)"
    case .pixelsUnmeasured(let count): "\(count) pixel words hold 0x7fff (not measured)"
    case .supplyImplausible(let volts): "supply \(rounded(volts, 3)) V, expected 3.0...3.6 V"
    case .ambientImplausible(let celsius): "ambient \(rounded(celsius, 1)) degC, expected -40...85 degC"
    case .gainImplausible(let ratio): "gain ratio \(rounded(ratio, 3)), expected 0.5...2"
    }
  }
}

/// `0x` and four digits.
func hexadecimal(_ word: UInt16) -> String {
  "0x" + Hexadecimal.text(of: [UInt8(word >> 8), UInt8(word & 0xFF)])
}

/// Decimal text with `places` digits (0...9) after the point.
func rounded(_ value: Double, _ places: Int) -> String {
  guard value.isFinite, abs(value) < 1e9 else { return "\(value)" }
  var scale = 1.0
  for _ in 0..<places { scale *= 10 }
  let scaled = Int64((value * scale).rounded())
  let digits = String(scaled.magnitude)
  let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
  let sign = scaled < 0 ? "-" : ""
  return places == 0 ? sign + padded : sign + padded.dropLast(places) + "." + padded.suffix(places)
}
