import Glibc
import LocalFiles

/// What the kernel and the firmware say of the board: processor time of this program, temperature, supply. Opened once;
/// a reading allocates nothing. A gauge that the board lacks is nil for ever.
package final class BoardGauges {
  /// Whether something is amiss with the supply now, and whether it was since the board started.
  package struct Supply: Sendable, Equatable {
    package var isUnderVoltage = false
    package var isThrottled = false
    /// The firmware remembers both until the board starts again; what happens between two readings shows here.
    package var wasUnderVoltage = false
    package var wasThrottled = false

    package init() {}
  }

  private static let hwmonMaximum = 64
  private static let throttledPaths = [
    "/sys/devices/platform/soc/soc:firmware/get_throttled",
    "/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
  ]
  private static let ticksPerSecond = max(1, sysconf(Int32(_SC_CLK_TCK)))

  private let process: GaugeFile?
  private let thermal: GaugeFile?
  private let alarm: GaugeFile?
  private let throttled: GaugeFile?
  /// Gauges that are there and cannot be used, a line each.
  package let problems: [String]

  /// - Parameter root: before `/proc` and `/sys`; empty in the field.
  package init(root: String = "") {
    var problems: [String] = []
    func gauge(_ path: String) -> GaugeFile? {
      do throws(FileError) { return try GaugeFile(ifThere: path) } catch {
        problems.append("\(error)")
        return nil
      }
    }
    process = gauge(root + "/proc/self/stat")
    thermal = gauge(root + "/sys/class/thermal/thermal_zone0/temp")
    throttled = Self.throttledPaths.lazy.compactMap { gauge(root + $0) }.first
    do throws(FileError) {
      alarm = try Self.alarmFolder(root).flatMap { gauge($0 + "/in0_lcrit_alarm") }
    } catch {
      problems.append("\(error)")
      alarm = nil
    }
    self.problems = problems
  }

  /// The folder of the Raspberry Pi's supply monitor; nil where there is none.
  private static func alarmFolder(_ root: String) throws(FileError) -> String? {
    let folder = root + "/sys/class/hwmon"
    guard try BoundedFile.exists(folder) else { return nil }
    for name in try Folder.names(in: folder, maximumNames: hwmonMaximum).sorted() {
      let path = "\(folder)/\(name)"
      guard let gauge = try GaugeFile(ifThere: path + "/name") else { continue }
      if try gauge.read({ $0.starts(with: "rpi_volt".utf8) }) { return path }
    }
    return nil
  }

  package var hasSupplyGauge: Bool { alarm != nil || throttled != nil }

  /// Processor time that this program has used so far, in microseconds.
  package func processorMicroseconds() throws(FileError) -> Int? {
    guard let process else { return nil }
    let ticks: Int? = try process.read(Self.ticks)
    return ticks.map { $0 * (1_000_000 / Self.ticksPerSecond) }
  }

  /// Fields 14 and 15 of proc_pid_stat(5). The name before them may hold anything, so that they count from its last ")".
  package static func ticks(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
    guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    var field = 2
    var start = end + 1
    var sum = 0
    var index = start
    while index <= text.endIndex {
      if index == text.endIndex || text[index] == UInt8(ascii: " ") {
        if index > start {
          field += 1
          if field == 14 || field == 15 {
            guard let value = GaugeFile.integer(UnsafeBufferPointer(rebasing: text[start..<index])),
              (0...1 << 50).contains(value)
            else { return nil }
            sum += value
            if field == 15 { return sum }
          }
        }
        start = index + 1
      }
      index += 1
    }
    return nil
  }

  /// Of the board's first thermal zone, in centi-degC.
  package func temperatureCentiCelsius() throws(FileError) -> Int? {
    try thermal?.integer().flatMap { (-100_000...1_000_000).contains($0) ? $0 / 10 : nil }
  }

  /// nil where the board tells nothing of its supply.
  package func supply() throws(FileError) -> Supply? {
    guard hasSupplyGauge else { return nil }
    var supply = Supply()
    if let level = try alarm?.integer() { supply.isUnderVoltage = level != 0 }
    // Bits of the firmware's GET_THROTTLED: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft temperature limit; the
    // same from bit 16 on say that it has happened since the start.
    var flags: Int?
    if let throttled { flags = try throttled.read(Self.flags) }
    if let flags {
      supply.isUnderVoltage = supply.isUnderVoltage || flags & 0x1 != 0
      supply.isThrottled = flags & 0xE != 0
      supply.wasUnderVoltage = flags & 0x1_0000 != 0
      supply.wasThrottled = flags & 0xE_0000 != 0
    }
    supply.wasUnderVoltage = supply.wasUnderVoltage || supply.isUnderVoltage
    supply.wasThrottled = supply.wasThrottled || supply.isThrottled
    return supply
  }

  /// The driver writes hexadecimal digits without a mark.
  package static func flags(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
    var value = 0
    var digits = 0
    let rest = text.starts(with: "0x".utf8) ? text[2...] : text[...]
    for byte in rest.prefix(8) {
      let digit: Int
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = Int(byte) - 48
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = Int(byte) - 87
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = Int(byte) - 55
      default: return digits == 0 ? nil : value
      }
      value = value << 4 | digit
      digits += 1
    }
    return digits == 0 ? nil : value
  }
}
