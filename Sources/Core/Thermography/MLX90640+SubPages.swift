extension MLX90640 {
  /// Waits for data, reads the block and judges it, until one is good or too many were dropped.
  mutating func readGoodSubPage(into subPage: inout SubPage) throws(SensorError) {
    var seen: StatusRegister?
    for drop in 1...Self.maximumDrops {
      let status: StatusRegister
      if let known = seen { status = known } else { status = try waitForData() }
      seen = nil
      let (fault, after) = try readBlock(into: &subPage, status: status)
      guard let fault else {
        counters.subPages += 1
        overrun = max(0, overrun - 1)
        return
      }
      counters.count(fault)
      if drop == Self.maximumDrops { throw failure(after: fault, count: drop) }
      switch fault {
      case .torn:
        if drop > 1, after.dataReady {
          try confirmThatDataReadyClears()
        }
        // The data that tore the block are whole: read them now, without waiting.
        else if after.dataReady {
          seen = after
        }
        try noteOverrun(by: 2)
      case .controlChanged(let value):
        note(.brownOut(control: value))
        try configure()
      default:
        if drop == Self.maximumDrops / 2 { try configure() }
      }
    }
  }

  private func failure(after fault: SubPageFault, count: Int) -> SensorError {
    switch fault {
    case .stale: .staleData(count: count)
    case .repeatedSubPage: .stuckSubPage(number: history.number ?? 0, count: count)
    default: .unusableData(count: count, last: fault)
    }
  }

  /// Sleeps most of the period, then polls at most three times; after four periods without data the sensor is
  /// configured anew, once.
  private mutating func waitForData() throws(SensorError) -> StatusRegister {
    for attempt in 0..<2 {
      if !phase.isKnown {
        if let status = try acquirePhase() { return status }
      } else {
        for _ in 0..<4 {
          if let status = try pollOnePeriod() { return status }
          // A brown-out leaves the sensor at 2 Hz: no data come when they should.
          let found = try transport.readWord(MLX90640Address.control, counters: &counters)
          if found != control.rawValue { return try restart(afterBrownOut: found) }
        }
      }
      counters.dataReadyStuckLow += 1
      if attempt == 0 { try configure() }
    }
    throw .noData(periods: 8)
  }

  private mutating func restart(afterBrownOut found: UInt16) throws(SensorError) -> StatusRegister {
    counters.count(.controlChanged(found))
    note(.brownOut(control: found))
    try configure()
    guard let status = try acquirePhase() else {
      counters.dataReadyStuckLow += 1
      throw .noData(periods: 3)
    }
    return status
  }

  private mutating func pollOnePeriod() throws(SensorError) -> StatusRegister? {
    for poll in 0..<DataReadyPhase.pollCount {
      clock.sleep(untilMicroseconds: phase.pollMicroseconds(poll))
      let now = clock.nowMicroseconds
      let status = try readStatus()
      if status.dataReady {
        let missed = phase.ready(poll: poll, atMicroseconds: now)
        if missed > 0 {
          counters.missedSubPages += UInt64(missed)
          try noteOverrun(by: 2)
        }
        return status
      }
    }
    phase.skipPeriod()
    return nil
  }

  /// After a start nothing is known about when data come: looks every sixteenth of a period, for three periods.
  private mutating func acquirePhase() throws(SensorError) -> StatusRegister? {
    let step = phase.nominalPeriodMicroseconds / 16
    var deadline = clock.nowMicroseconds
    for _ in 0..<48 {
      deadline += step
      clock.sleep(untilMicroseconds: deadline)
      let status = try readStatus()
      if status.dataReady {
        phase.acquired(atMicroseconds: clock.nowMicroseconds - step / 2)
        return status
      }
    }
    return nil
  }

  /// Clears data-ready, reads the RAM block, and compares the registers after it with those before.
  private mutating func readBlock(
    into subPage: inout SubPage, status: StatusRegister
  ) throws(SensorError) -> (SubPageFault?, StatusRegister) {
    subPage.readyMicroseconds = phase.lastReadyMicroseconds
    subPage.number = status.lastSubPage & 1
    // Cleared before the block: data that come meanwhile set it again, which is how a torn block shows.
    try clearDataReady()
    try transport.read(MLX90640Address.ram, into: &subPage.words, counters: &counters, operation: "reading the RAM")
    let after = try readStatus()
    subPage.control = ControlRegister(
      rawValue: try transport.readWord(MLX90640Address.control, counters: &counters))
    if subPage.control != control { return (.controlChanged(subPage.control.rawValue), after) }
    if after.dataReady || after.lastSubPage != status.lastSubPage { return (.torn, after) }
    if let fault = history.judge(subPage, periodMicroseconds: phase.periodMicroseconds) { return (fault, after) }
    return (subPage.faults(calibration: calibration).first, after)
  }

  private mutating func confirmThatDataReadyClears() throws(SensorError) {
    for _ in 0..<2 {
      try clearDataReady()
      // New data twice within one transaction are impossible.
      if try !readStatus().dataReady { return }
    }
    counters.dataReadyStuckHigh += 1
    throw .dataReadyStuck
  }

  /// Late reads and torn blocks add up, good sub-pages pay back; a sustained debt lowers the rate, once a line.
  private mutating func noteOverrun(by amount: Int) throws(SensorError) {
    overrun += amount
    guard overrun >= 16, let slower = refreshRate.slower else { return }
    overrun = 0
    counters.derates += 1
    note(.derated(from: refreshRate, to: slower))
    refreshRate = slower
    try configure()
  }
}

/// What the driver remembers of the sub-page before, to see that the sensor lives.
struct SubPageHistory: Sendable {
  private(set) var number: Int?
  private var readyMicroseconds: UInt64 = 0
  private var digest: UInt64?
  /// The number did not change when it should have: nothing is believed before it does.
  private var isStuck = false

  /// After a new configuration any number may come first. What the RAM held is still known.
  mutating func restart() {
    if !isStuck { number = nil }
  }

  mutating func judge(_ subPage: SubPage, periodMicroseconds: UInt64) -> SubPageFault? {
    let newDigest = Self.digest(subPage.words)
    defer {
      number = subPage.number
      readyMicroseconds = subPage.readyMicroseconds
      digest = newDigest
    }
    if newDigest == digest { return .stale }
    // A host that came two periods late also sees the same number again, which is a miss, not a fault.
    let elapsed = subPage.readyMicroseconds &- readyMicroseconds
    isStuck = number == subPage.number && (isStuck || elapsed < periodMicroseconds * 3 / 2)
    return isStuck ? .repeatedSubPage : nil
  }

  /// FNV-1a over the pixel words, a word a step.
  private static func digest(_ words: [UInt16]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in 0..<MLX90640Geometry.pixelCount { hash = (hash ^ UInt64(words[index])) &* 0x100_0000_01B3 }
    return hash
  }
}
