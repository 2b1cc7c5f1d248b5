import Provenance

/// The window as it survives a restart: a file of fixed size, little-endian, with its SHA-256 at the end.
///
///     bytes  0..<8     "TGCOUNT1"
///            8..<16    steps that were ever added
///           16..<24    monotonic nanoseconds of the newest step
///           24..<32    milliseconds of a step
///           32..<34    steps in the window, 0...32
///           34..<70    the boot's id, 36 bytes of ASCII
///           70..<72    zero
///           72..<2120  32 steps of 16 channels, int32, oldest first; what is not there is missing
///         2120..<2144  evidence of both heads: sum, quiet windows, 1 while it speaks; int32 each
///         2144..<2176  SHA-256 of all before
package struct StoredWindow: Sendable, Equatable {
  package static let byteCount = 2176
  private static let magic = Array("TGCOUNT1".utf8)
  /// Boot ids are written as UUIDs.
  private static let bootIDBytes = 36
  private static let stepsOffset = 72
  private static let evidenceOffset = 2120
  private static let sumOffset = 2144
  /// A device that counts a step a millisecond for three thousand years.
  private static let addedMaximum = 1 << 47

  package var window: CounterWindow
  package var bootID: String
  package var monotonicNanoseconds: UInt64
  package var stepMilliseconds: Int
  package var evidence: StoredEvidence

  package init(
    _ window: CounterWindow, evidence: StoredEvidence = StoredEvidence(), at time: Timestamp, stepMilliseconds: Int
  ) {
    self.window = window
    self.evidence = evidence
    self.stepMilliseconds = stepMilliseconds
    bootID = time.bootID
    monotonicNanoseconds = time.monotonicNanoseconds
  }

  package func encoded(_ digests: some MessageDigests) -> [UInt8] {
    var bytes = Self.magic
    bytes.reserveCapacity(Self.byteCount)
    func put(_ value: some FixedWidthInteger) {
      for shift in stride(from: 0, to: value.bitWidth, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: value >> shift))
      }
    }
    put(Int64(window.added))
    put(monotonicNanoseconds)
    put(Int64(stepMilliseconds))
    put(Int16(window.count))
    let id = Array(bootID.utf8.prefix(Self.bootIDBytes))
    bytes += id + [UInt8](repeating: 0, count: Self.bootIDBytes - id.count + 2)
    for index in 0..<CounterWindow.steps {
      let step = index < window.count ? window[index] : CounterStep()
      for lane in step.stored { put(lane) }
    }
    for head in [evidence.health, evidence.cyber] {
      put(Int32(clamping: head.sum))
      put(Int32(clamping: head.quiet))
      put(Int32(head.isSpeaking ? 1 : 0))
    }
    return bytes + digests.sha256(bytes)
  }

  /// - Throws: what is wrong with the file; then counting begins anew.
  package init(decoding bytes: [UInt8], _ digests: some MessageDigests) throws(StoredWindowFault) {
    guard bytes.count == Self.byteCount else {
      throw StoredWindowFault("has \(bytes.count) bytes; expected \(Self.byteCount)")
    }
    guard Array(bytes.prefix(8)) == Self.magic else { throw StoredWindowFault("does not begin with TGCOUNT1") }
    guard digests.sha256(Array(bytes[..<Self.sumOffset])) == Array(bytes[Self.sumOffset...]) else {
      throw StoredWindowFault("is damaged: its SHA-256 is another")
    }
    func integer<Value: FixedWidthInteger>(_ offset: Int, _: Value.Type) -> Value {
      (0..<Value.bitWidth / 8).reduce(0) { $0 | Value(truncatingIfNeeded: bytes[offset + $1]) << Value(8 * $1) }
    }
    let (added, step) = (integer(8, Int64.self), integer(24, Int64.self))
    let count = integer(32, Int16.self)
    guard (0...Int16(CounterWindow.steps)).contains(count), (Int64(count)...Int64(Self.addedMaximum)).contains(added),
      (1...86_400_000).contains(step)
    else { throw StoredWindowFault("counts what cannot be: \(count) steps of \(added), each of \(step) ms") }
    var steps: [CounterStep] = []
    for index in 0..<Int(count) {
      let lanes = (0..<CounterChannel.count).map {
        integer(Self.stepsOffset + (index * CounterChannel.count + $0) * 4, Int32.self)
      }
      guard let step = CounterStep(stored: lanes) else { throw StoredWindowFault("step \(index): no counts") }
      steps.append(step)
    }
    func head(_ offset: Int) throws(StoredWindowFault) -> Evidence {
      let numbers = (0..<3).map { integer(offset + 4 * $0, Int32.self) }
      guard (0...Int32(2 << 24)).contains(numbers[0]), (0...10_000).contains(numbers[1]), (0...1).contains(numbers[2])
      else { throw StoredWindowFault("holds evidence that cannot be: \(numbers)") }
      return Evidence(sum: Int(numbers[0]), quiet: Int(numbers[1]), isSpeaking: numbers[2] == 1)
    }
    evidence = StoredEvidence(health: try head(Self.evidenceOffset), cyber: try head(Self.evidenceOffset + 12))
    window = CounterWindow(stored: steps, added: Int(added))
    monotonicNanoseconds = integer(16, UInt64.self)
    stepMilliseconds = Int(step)
    bootID = String(decoding: bytes[34..<70].prefix { $0 != 0 }, as: UTF8.self)
  }

  /// The window to go on with: steps of the same boot that were missed are missing in it. After another start of the board,
  /// whose clock may say anything, and after a pause as long as a window, it begins anew, and steps are counted on.
  package func resumed(at now: Timestamp, stepMilliseconds: Int) -> CounterWindow {
    var window = window
    let stepNanoseconds = UInt64(max(stepMilliseconds, 1)) * 1_000_000
    guard bootID == now.bootID, stepMilliseconds == self.stepMilliseconds,
      now.monotonicNanoseconds >= monotonicNanoseconds
    else {
      window.clear()
      return window
    }
    let missed = (now.monotonicNanoseconds - monotonicNanoseconds) / stepNanoseconds
    guard missed < UInt64(CounterWindow.steps) else {
      window.clear()
      return window
    }
    window.addMissing(Int(missed))
    return window
  }
}

/// What both heads had gathered, which a restart keeps.
package struct StoredEvidence: Sendable, Equatable {
  package var health: Evidence
  package var cyber: Evidence

  package init(health: Evidence = Evidence(), cyber: Evidence = Evidence()) {
    self.health = health
    self.cyber = cyber
  }
}

/// Why a stored window is not used; the owner adds the path.
package struct StoredWindowFault: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}
