import Configuration
import Forwarding
import Foundation
import LinuxIO
import Logging
import Provenance
import Remote
import Screening
import Sentinel
import TestSupport
import Testing
import Trust

@testable import Device

@Suite struct CounterBoardTests {
  private let board = CounterBoard()

  private func taken() -> CounterStep {
    var step = CounterStep()
    board.take(into: &step)
    return step
  }

  /// Nothing is lost and nothing is counted twice, however many count while steps are taken.
  @Test func everyCountIsInExactlyOneStep() async {
    let board = board
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<20_000 {
            board.count(.connections)
            board.count(.bytesIn, 7)
          }
        }
      }
    }
    var (connections, bytes) = (0, 0)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { for _ in 0..<20_000 { board.count(.connections) } }
      for _ in 0..<200 {
        let step = taken()
        connections += step[.connections] ?? 0
        bytes += step[.bytesIn] ?? 0
      }
    }
    let last = taken()
    connections += last[.connections] ?? 0
    bytes += last[.bytesIn] ?? 0
    #expect(connections == 100_000 && bytes == 560_000)
    #expect(taken()[.connections] == 0)
  }

  @Test func whatWasNotMeasuredIsMissingAndNotNought() {
    let nothing = taken()
    #expect(nothing[.publishLatency] == nil && nothing[.noise] == nil && nothing[.ambient] == nil)
    #expect(nothing[.connections] == 0 && nothing[.busErrors] == 0)
    #expect(nothing[.caseOpened] == nil && nothing[.temperature] == nil && nothing[.processor] == nil)
    board.measured(movementCelsius: 0.31, ambientCelsius: 22.129)
    board.measured(movementCelsius: 0.12, ambientCelsius: 22.131)
    board.measured(movementCelsius: .nan, ambientCelsius: .infinity)
    board.published(afterMilliseconds: 100)
    board.published(afterMilliseconds: 201)
    let step = taken()
    #expect(step[.noise] == 12 && step[.ambient] == 2213 && step[.publishLatency] == 150)
    #expect(taken()[.noise] == nil && taken()[.ambient] == nil)
    // A frozen camera has no noise, which is a number.
    board.measured(movementCelsius: 0, ambientCelsius: -12)
    let frozen = taken()
    #expect(frozen[.noise] == 0 && frozen[.ambient] == 0)
  }

  private func message(_ topic: String, _ payload: String, retain: Bool = false) -> IncomingMessage {
    IncomingMessage(topic: topic, payload: Array(payload.utf8), retain: retain)
  }

  /// Forged receipts, rubbish and what a broker kept, each in its own channel.
  @Test func whatComesDownIsCountedByWhatIsWrongWithIt() throws {
    let topics = try TopicSchema(site: TopicIdentifier("s1"), device: TopicIdentifier("d1"))
    let sender = try CommandSender()
    var reader = DownlinkReader(
      topics,
      receipts: ReceiptReader(
        .init(keys: sender.keys, requiresSignature: true), topics: topics, outboxID: nil,
        verifier: RefusingVerifier()), takesCommands: true)
    var bytes = 0
    func send(_ message: IncomingMessage) {
      bytes += message.topic.utf8.count + message.payload.count
      let meaning = reader.read(message)
      board.arrived(message, meaning, reader.lastRefusal)
    }
    let forged = try sender.envelope("{}", type: Receipt.payloadType)
    send(message(topics.receipts, "rubbish"))
    send(message(topics.receipts, #"{"schema":"thermograph.receipt.v1"}"#))
    send(IncomingMessage(topic: topics.receipts, payload: forged))
    send(message(topics.commands, "anything", retain: true))
    for _ in 0..<5 { send(message(topics.commands, "1234567890")) }
    send(message(topics.receipts + "/x", ""))
    let step = taken()
    #expect(step[.commandsReceived] == 10)
    #expect(step[.commandsReplayed] == 1)
    #expect(step[.commandsBadlySigned] == 3 && step[.commandsMalformed] == 0)
    #expect(step[.bytesIn] == bytes)
  }

  /// A receipt is free when a message waits for one, and only so often: whoever repeats receipts by the thousand is counted.
  @Test func onlyWhatTheDeviceWaitsForBringsNoBytes() throws {
    let receipt = DownlinkReader.Meaning.receipt(Receipt(receiver: "r", entries: []))
    let arrived = message("t/dn/receipt", "1234")
    func bytes(_ count: Int, _ meaning: DownlinkReader.Meaning, isAwaited: Bool = false) -> Int? {
      for _ in 0..<count { board.arrived(arrived, meaning, nil, isAwaited: isAwaited) }
      return taken()[.bytesIn]
    }
    #expect(bytes(2, receipt) == 32)
    board.awaitReceipts(3)
    #expect(bytes(3, receipt) == 0 && bytes(1, receipt) == 16)
    // A part that was asked for takes no receipt's place, and a refused receipt none either.
    board.awaitReceipts(1)
    #expect(bytes(5, .model(arrived), isAwaited: true) == 0 && bytes(1, .model(arrived)) == 16)
    #expect(bytes(1, .refused(nil, isReceipt: true)) == 16 && bytes(1, receipt) == 0)
    // Days of messages without a receipt do not let a flood in.
    for _ in 0..<100 { board.awaitReceipts(1000) }
    board.awaitReceipts(-5)
    #expect(bytes(1000, receipt) == (1000 - 256) * 16)
    #expect(bytes(1, receipt) == 16)
  }

  @Test func refusedStatementsGoWhereTheyBelong() {
    board.refused(StatementRefusal.retained)
    board.refused(.misdirected)
    board.refused(.malformed(ShapeFault("x")))
    board.refused(.untrusted(.malformed("x")))
    board.refused(.untrusted(.signatures(valid: 0, threshold: 1)))
    board.refused(.untrusted(.payloadType(found: "a", expected: "b")))
    let step = taken()
    #expect(step[.commandsReplayed] == 1 && step[.commandsMalformed] == 2 && step[.commandsBadlySigned] == 3)
    #expect(step[.commandsReceived] == 0)
  }

  @Test func onlyAFailedTryToBeSomebodyIsAFailedLogin() {
    for refusal in SessionRefusal.allCases { board.refused(refusal) }
    #expect(taken()[.loginsFailed] == 3)
    board.connected(.taken)
    board.connected(.refused)
    board.connected(.unauthorised)
    let step = taken()
    #expect(step[.connections] == 3 && step[.refused] == 2 && step[.loginsFailed] == 1)
  }

  @Test func theStopwatchIsBoundedAndForgets() {
    var watch = PublishStopwatch()
    for number in UInt64(0)..<200 { watch.start(PublishToken(rawValue: number), at: number * 1_000_000) }
    #expect(watch.stop(PublishToken(rawValue: 5), at: 25_000_000) == 20)
    #expect(watch.stop(PublishToken(rawValue: 5), at: 25_000_000) == nil)
    #expect(watch.stop(PublishToken(rawValue: 199), at: 999_000_000) == nil)
    #expect(watch.stop(PublishToken(rawValue: 6), at: 0) == 0)
    watch.forgetAll()
    #expect(watch.stop(PublishToken(rawValue: 7), at: 25_000_000) == nil)
  }

  /// There is no GPIO in this machine: the channel is missing, and the log says why.
  @Test func aContactThatIsNotThereIsMissingAndTold() {
    #expect(throws: (any Error).self) {
      try ContactPin(GPIOPinAddress(chip: "no-such-chip", line: .offset(3)))
    }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let sampler = StepSampler(counters: board, gauges: BoardGauges(root: "/nowhere"), contact: nil, logger: logger)
    #expect(sampler.step(at: 1)[.caseOpened] == nil)
  }

  @Test func theContactIsAskedForAsTheSettingsSay() {
    var pins = Settings.Pins()
    #expect(GPIOPinAddress(caseContactOf: pins) == nil)
    pins.chip = "pinctrl"
    pins.caseContact = .offset(23)
    pins.caseContactActiveLow = true
    #expect(
      GPIOPinAddress(caseContactOf: pins)
        == GPIOPinAddress(chip: "pinctrl", line: .offset(23), isActiveLow: true))
    pins.caseContact = .name("CASE")
    pins.caseContactActiveLow = false
    #expect(GPIOPinAddress(caseContactOf: pins) == GPIOPinAddress(chip: "pinctrl", line: .named("CASE")))
  }
}

/// Believes no signature.
private struct RefusingVerifier: SignatureVerifier {
  func isValid(_ signature: [UInt8], of message: [UInt8], by key: PublicKey) -> Bool { false }
}
