/// The sensor's wire format over a bus: big-endian words at 16-bit addresses, each access one transaction, with
/// bounded retries. Only `WritableRegister`s can be written.
struct SensorTransport {
  private var bus: any I2CBus
  private let address: UInt8
  private let clock: any SensorClock
  /// Allocated once: the largest block is 832 words.
  private var bytes: [UInt8]

  /// Pauses before the second, third and fourth try, in microseconds.
  private static let backoffMicroseconds: [UInt64] = [1000, 2000, 4000]

  init(bus: any I2CBus, address: UInt8, clock: any SensorClock) {
    self.bus = bus
    self.address = address
    self.clock = clock
    bytes = Array(repeating: 0, count: SubPage.wordCount * 2)
  }

  /// Fills `words` from `register` on, in one transaction.
  mutating func read(
    _ register: UInt16, into words: inout [UInt16], counters: inout SensorCounters, operation: String
  ) throws(SensorError) {
    let count = words.count * 2
    try perform(register.bytes, count: 2, readCount: count, counters: &counters, operation: operation)
    for index in 0..<words.count { words[index] = UInt16(bytes[2 * index]) << 8 | UInt16(bytes[2 * index + 1]) }
  }

  mutating func readWord(_ register: UInt16, counters: inout SensorCounters) throws(SensorError) -> UInt16 {
    try perform(register.bytes, count: 2, readCount: 2, counters: &counters, operation: "reading a register")
    return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
  }

  mutating func write(
    _ register: WritableRegister, _ value: UInt16, counters: inout SensorCounters, operation: String
  ) throws(SensorError) {
    let head = register.rawValue.bytes
    let tail = value.bytes
    try perform(
      (head.0, head.1, tail.0, tail.1), count: 4, readCount: 0, counters: &counters, operation: operation)
  }

  mutating func reopen(counters: inout SensorCounters) throws(SensorError) {
    counters.reopens += 1
    do { try bus.reopen() } catch {
      counters.count(error.kind)
      throw .bus(error, operation: "opening the bus again")
    }
  }

  /// Tries four times with growing pauses, then once more on a bus opened anew.
  private mutating func perform(
    _ write: (UInt8, UInt8, UInt8, UInt8), count: Int, readCount: Int, counters: inout SensorCounters,
    operation: String
  ) throws(SensorError) {
    for pause in Self.backoffMicroseconds {
      do {
        try Self.transact(&bus, address, write, count, &bytes, readCount)
        return
      } catch {
        counters.count(error.kind)
        counters.retries += 1
        clock.sleep(untilMicroseconds: clock.nowMicroseconds + pause)
      }
    }
    do {
      try Self.transact(&bus, address, write, count, &bytes, readCount)
      return
    } catch {
      counters.count(error.kind)
    }
    try reopen(counters: &counters)
    do {
      try Self.transact(&bus, address, write, count, &bytes, readCount)
    } catch {
      counters.count(error.kind)
      throw .bus(error, operation: operation)
    }
  }

  private static func transact(
    _ bus: inout any I2CBus, _ address: UInt8, _ write: (UInt8, UInt8, UInt8, UInt8), _ count: Int,
    _ bytes: inout [UInt8], _ readCount: Int
  ) throws(I2CError) {
    var failure: I2CError?
    withUnsafeBytes(of: write) { source in
      bytes.withUnsafeMutableBytes { target in
        do throws(I2CError) {
          try bus.transaction(
            address: address, write: UnsafeRawBufferPointer(rebasing: source[..<count]),
            read: UnsafeMutableRawBufferPointer(rebasing: target[..<readCount]))
        } catch {
          failure = error
        }
      }
    }
    if let failure { throw failure }
  }
}

extension UInt16 {
  /// Big-endian, with two spare bytes.
  fileprivate var bytes: (UInt8, UInt8, UInt8, UInt8) { (UInt8(self >> 8), UInt8(self & 0xFF), 0, 0) }
}
