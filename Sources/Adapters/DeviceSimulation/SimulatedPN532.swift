import Identification

/// A PN532 as seen from its serial line: it sleeps until it is woken, acknowledges, answers the commands that a tag
/// reader needs, and can be told to misbehave. It reads and writes frames by rules of its own, not by the decoder's.
package struct SimulatedPN532: Sendable {
  /// What goes wrong, counted down as it happens.
  package struct Faults: Sendable, Equatable {
    /// So many commands are not heard at all.
    package var deafCommands = 0
    /// So many commands are acknowledged and never answered.
    package var lostAnswers = 0
    /// So many answers have a wrong checksum; NACK brings the right one.
    package var damagedAnswers = 0
    /// So many commands are answered with the syntax error frame.
    package var syntaxErrors = 0

    package init() {}
  }

  package var faults = Faults()
  /// SENS_RES, SEL_RES and identity of the type A tags in the field; the chip lists at most two.
  package var identities: [[UInt8]] = []
  /// The commands it has taken, by code, oldest first; the newest 64.
  package private(set) var takenCommands: [UInt8] = []

  private var isAwake = false
  private var pending: [UInt8] = []
  private var lastAnswer: [UInt8] = []

  package init() {}

  /// What the chip sends when `bytes` arrive.
  package mutating func respond(to bytes: [UInt8]) -> [UInt8] {
    pending += bytes
    if pending.count > 1024 { pending.removeFirst(pending.count - 1024) }
    if !isAwake {
      guard let wake = pending.firstIndex(of: 0x55) else { return [] }
      isAwake = true
      pending.removeFirst(wake)
    }
    var output: [UInt8] = []
    while let command = nextCommand() { output += answer(command) }
    return output
  }

  private enum Incoming {
    case acknowledge
    case negativeAcknowledge
    case command([UInt8])
  }

  /// Cuts the next frame out of what has arrived. The host's frames are normal ones and undamaged.
  private mutating func nextCommand() -> Incoming? {
    while pending.count >= 5 {
      guard pending[0] == 0x00, pending[1] == 0xFF else {
        pending.removeFirst()
        continue
      }
      if pending[2] == 0x00, pending[3] == 0xFF {
        pending.removeFirst(5)
        return .acknowledge
      }
      if pending[2] == 0xFF, pending[3] == 0x00 {
        pending.removeFirst(5)
        return .negativeAcknowledge
      }
      let total = 4 + Int(pending[2]) + 2
      guard pending.count >= total else { return nil }
      let information = Array(pending[4..<4 + Int(pending[2])])
      pending.removeFirst(total)
      return .command(information)
    }
    return nil
  }

  private mutating func answer(_ incoming: Incoming) -> [UInt8] {
    switch incoming {
    case .acknowledge: return []
    case .negativeAcknowledge: return lastAnswer
    case .command(let information): return answer(command: information)
    }
  }

  private mutating func answer(command information: [UInt8]) -> [UInt8] {
    guard information.count >= 2, information[0] == 0xD4 else { return Self.syntaxError }
    if Self.countDown(&faults.deafCommands) { return [] }
    if takenCommands.count == 64 { takenCommands.removeFirst() }
    takenCommands.append(information[1])
    if Self.countDown(&faults.syntaxErrors) { return Self.acknowledge + Self.syntaxError }
    let data: [UInt8]
    switch information[1] {
    case 0x14: data = [0xD5, 0x15]
    case 0x02: data = [0xD5, 0x03, 0x32, 0x01, 0x06, 0x07]
    case 0x32: data = [0xD5, 0x33]
    case 0x4A: data = targets(information)
    default: return Self.acknowledge + Self.syntaxError
    }
    lastAnswer = Self.frame(data)
    if Self.countDown(&faults.lostAnswers) { return Self.acknowledge }
    if Self.countDown(&faults.damagedAnswers) {
      var damaged = lastAnswer
      damaged[damaged.count - 2] ^= 0x10
      return Self.acknowledge + damaged
    }
    return Self.acknowledge + lastAnswer
  }

  private func targets(_ information: [UInt8]) -> [UInt8] {
    // Only type A tags are simulated.
    guard information.count >= 4, information[3] == 0x00 else { return [0xD5, 0x4B, 0x00] }
    let listed = identities.prefix(min(Int(information[2]), 2))
    return listed.enumerated().reduce(into: [0xD5, 0x4B, UInt8(listed.count)]) { answer, target in
      answer += [UInt8(target.offset + 1), 0x00, 0x44, 0x00, UInt8(target.element.count)] + target.element
    }
  }

  private static func countDown(_ count: inout Int) -> Bool {
    guard count > 0 else { return false }
    count -= 1
    return true
  }

  private static let acknowledge: [UInt8] = [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00]
  private static let syntaxError: [UInt8] = [0x00, 0x00, 0xFF, 0x01, 0xFF, 0x7F, 0x81, 0x00]

  private static func frame(_ data: [UInt8]) -> [UInt8] {
    let length = UInt8(data.count)
    let sum = data.reduce(0) { $0 &+ $1 }
    return [0x00, 0x00, 0xFF, length, 0 &- length] + data + [0 &- sum, 0x00]
  }
}
