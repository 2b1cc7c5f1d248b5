import Foundation
import LocalFiles
import TestSupport
import Testing

@testable import LinuxIO

/// The board's gauges over a made-up /proc and /sys.
@Suite struct BoardGaugesTests {
  private let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  private func put(_ path: String, _ text: String) throws {
    let file = scratch.path + path
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    // In place: an open gauge must see it.
    if let handle = FileHandle(forWritingAtPath: file) {
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: Data(text.utf8))
      try handle.close()
    } else {
      try text.write(toFile: file, atomically: false, encoding: .utf8)
    }
  }

  private var gauges: BoardGauges { BoardGauges(root: scratch.path) }

  @Test func aBoardWithoutGaugesSaysNothing() throws {
    let gauges = gauges
    #expect(gauges.problems.isEmpty && !gauges.hasSupplyGauge)
    #expect(try gauges.processorMicroseconds() == nil)
    #expect(try gauges.temperatureCentiCelsius() == nil)
    #expect(try gauges.supply() == nil)
  }

  @Test func temperatureIsRoundedDownToHundredths() throws {
    try put("/sys/class/thermal/thermal_zone0/temp", "48312\n")
    let gauges = gauges
    #expect(try gauges.temperatureCentiCelsius() == 4831)
    try put("/sys/class/thermal/thermal_zone0/temp", "61000\n")
    #expect(try gauges.temperatureCentiCelsius() == 6100)
    for rubbish in ["", "hot", "99999999999999999999999", "-", "4000000"] {
      try put("/sys/class/thermal/thermal_zone0/temp", rubbish)
      #expect(try gauges.temperatureCentiCelsius() == nil, "\(rubbish)")
    }
  }

  /// proc_pid_stat(5): the name may hold spaces and brackets; utime is field 14, stime 15.
  @Test func processorTimeIsReadBehindAnyName() throws {
    let rest = "S 1 2 3 0 -1 4194304 100 0 0 0 1234 66 0 0 20 0 12 0 4242 1000000 300"
    try put("/proc/self/stat", "77 (a) b (c 9 9) \(rest)\n")
    let ticks = 100
    try #require(sysconf(Int32(_SC_CLK_TCK)) == ticks)
    #expect(try gauges.processorMicroseconds() == 1300 * 10_000)
    for rubbish in ["77 (a) S 1 2", "", "no bracket 1 2 3", "77 (a) S 1 2 3 0 -1 4194304 100 0 0 0 x 66 0"] {
      try put("/proc/self/stat", rubbish)
      #expect(try gauges.processorMicroseconds() == nil, "\(rubbish)")
    }
  }

  @Test func theProgramsOwnTimeGrows() throws {
    let gauges = BoardGauges()
    let before = try #require(try gauges.processorMicroseconds())
    var sum = 0
    let end = ContinuousClock.now + .seconds(10)
    while try gauges.processorMicroseconds() == before, ContinuousClock.now < end {
      for index in 0..<100_000 { sum &+= index }
    }
    #expect(try #require(try gauges.processorMicroseconds()) > before)
  }

  @Test func theSupplyMonitorIsFoundByItsNameAndTellsUnderVoltage() throws {
    try put("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    try put("/sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")
    try put("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    try put("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    let gauges = gauges
    #expect(try gauges.supply() == BoardGauges.Supply())
    try put("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    let supply = try #require(try gauges.supply())
    #expect(supply.isUnderVoltage && supply.wasUnderVoltage && !supply.isThrottled)
  }

  /// Bits as the Raspberry Pi's documentation of `vcgencmd get_throttled` names them.
  @Test(arguments: [
    ("0\n", false, false, false, false), ("1\n", true, false, true, false), ("50005\n", true, true, true, true),
    ("0x50000", false, false, true, true), ("4", false, true, false, true), ("e0000\n", false, false, false, true),
  ])
  func theFirmwaresFlagsAreTold(_ text: String, _ low: Bool, _ slow: Bool, _ wasLow: Bool, _ wasSlow: Bool) throws {
    try put("/sys/devices/platform/soc/soc:firmware/get_throttled", text)
    let supply = try #require(try gauges.supply())
    #expect(supply.isUnderVoltage == low && supply.isThrottled == slow)
    #expect(supply.wasUnderVoltage == wasLow && supply.wasThrottled == wasSlow)
  }

  @Test func aGaugeThatCannotBeOpenedIsTold() throws {
    try put("/sys/class/thermal/thermal_zone0/temp/oops", "")
    let gauges = gauges
    // A folder in its place opens, and fails at each reading.
    #expect(throws: FileError.self) { try gauges.temperatureCentiCelsius() }
  }
}
