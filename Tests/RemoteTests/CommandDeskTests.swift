import Provenance
import Remote
import Storage
import TestSupport
import Testing
import Trust

/// What becomes of a believed command: by its time, its id, and how many came before.
@Suite struct CommandDeskTests {
  private static let issued: Int64 = 1_772_357_400  // 2026-03-01T09:30:00Z
  private let sender: CommandSender
  private let challenge = "c0ffee"

  init() throws { sender = try CommandSender() }

  private static func id(_ number: Int) -> RandomIdentifier {
    var generator = SeededGenerator(seed: UInt64(number) + 77)
    return RandomIdentifier(using: &generator)
  }

  private func command(
    _ name: String = "hold-images", _ arguments: String = #"{"seconds":60}"#, number: Int = 1,
    expires: String = "2026-03-02T09:30:00Z", challenge: String? = nil
  ) throws -> (Command, [UInt8]) {
    var reader = sender.reader
    let statement = sender.statement(
      name, arguments, id: Self.id(number), expires: expires, challenge: challenge)
    guard
      case .statement(let command, let digest) = reader.read(
        try sender.envelope(statement), isRetained: false, now: 0)
    else { throw ShapeFault("not read") }
    return (command, digest)
  }

  private func desk(began: Int64 = issued - 86_400) -> CommandDesk {
    CommandDesk(challenge: challenge, ledgerBeganSeconds: began)
  }

  private static func now(_ seconds: Int64) -> Timestamp {
    Timestamp(utcNanoseconds: seconds * 1_000_000_000, bootID: "b", monotonicNanoseconds: 1, synchronised: true)
  }

  /// begun, or the state of the answer, or "silence".
  private func outcome(
    _ desk: inout CommandDesk, _ given: (Command, [UInt8]), _ clock: CommandClock, known: LedgerEntry? = nil,
    entries: Int = 0, monotonic: UInt64 = 1
  ) -> String {
    var now = Self.now(clock.nowSeconds)
    now.monotonicNanoseconds = monotonic
    switch desk.decide(given.0, digest: given.1, known: known, entries: entries, clock: clock, at: now) {
    case .begin(_, _, let freshness): return "begin by \(freshness.rawValue)"
    case .answer(let reply): return reply.state.rawValue
    case .repeatReply: return "repeat"
    case .silence: return "silence"
    }
  }

  private static let hour: Int64 = 3600
  private static let year: Int64 = 365 * 86_400

  /// The table of clocks: rows are what the clock says; effectful commands without and with this start's challenge, and
  /// one that changes nothing.
  @Test(arguments: [
    // synchronised and plausible
    (
      CommandClock(nowSeconds: issued + hour, isProven: true, floorSeconds: issued - year), "begin by clock",
      "begin by clock", "begin by clock"
    ),
    // never synchronised, at or after the floor
    (
      CommandClock(nowSeconds: issued + hour, isProven: false, floorSeconds: issued - year), "refused",
      "begin by challenge", "begin by unproven"
    ),
    // 1970
    (
      CommandClock(nowSeconds: 60, isProven: false, floorSeconds: issued - hour), "refused", "begin by challenge",
      "begin by unproven"
    ),
    // ten years ahead, not synchronised, or synchronised by a liar: not proven either way
    (
      CommandClock(nowSeconds: issued + 10 * year, isProven: false, floorSeconds: issued), "refused",
      "begin by challenge", "begin by unproven"
    ),
    // stepped back below the floor, which stands and is beyond the end
    (
      CommandClock(nowSeconds: issued, isProven: true, floorSeconds: issued + 2 * 86_400), "refused", "refused",
      "refused"
    ),
    (
      CommandClock(nowSeconds: issued, isProven: false, floorSeconds: issued + 2 * 86_400), "refused", "refused",
      "refused"
    ),
    // over, and from the future
    (CommandClock(nowSeconds: issued + 86_400, isProven: true, floorSeconds: 0), "refused", "refused", "refused"),
    (CommandClock(nowSeconds: issued - hour, isProven: true, floorSeconds: 0), "refused", "refused", "refused"),
  ])
  func clocks(_ clock: CommandClock, _ plain: String, _ challenged: String, _ harmless: String) throws {
    var desk = desk()
    #expect(outcome(&desk, try command(number: 1), clock) == plain)
    #expect(outcome(&desk, try command(number: 2, challenge: challenge), clock) == challenged)
    #expect(outcome(&desk, try command("status", "{}", number: 3), clock) == harmless)
    #expect(outcome(&desk, try command("status", "{}", number: 4, challenge: "another"), clock) == "refused")
  }

  private let good = CommandClock(nowSeconds: issued + 60, isProven: true, floorSeconds: 0)

  @Test func aLedgerThatBeganLaterLetsNothingInAgain() throws {
    var desk = desk(began: Self.issued + 1)
    #expect(outcome(&desk, try command(), good) == "refused")
    #expect(outcome(&desk, try command(challenge: challenge), good) == "refused")
  }

  @Test func longerThanAWeekOrBackwardsIsRefused() throws {
    var desk = desk()
    #expect(outcome(&desk, try command(number: 1, expires: "2026-03-08T09:30:00Z"), good) == "begin by clock")
    #expect(outcome(&desk, try command(number: 2, expires: "2026-03-08T09:30:01Z"), good) == "refused")
    #expect(outcome(&desk, try command(number: 3, expires: "2026-03-01T09:30:00Z"), good) == "refused")
    #expect(outcome(&desk, try command(number: 4, expires: "0000-03-01T09:30:00Z"), good) == "refused")
  }

  @Test func theSameIdIsAnsweredAndNeverBegunAgain() throws {
    var desk = desk()
    let given = try command()
    var entry = LedgerEntry(id: given.0.id, digest: given.1, name: given.0.name, expiresSeconds: given.0.expiresSeconds)
    #expect(outcome(&desk, given, good, known: entry) == "silence")
    entry.reply = Array("{}".utf8)
    #expect(outcome(&desk, given, good, known: entry) == "repeat")
    let other = try command("status", "{}")
    #expect(other.0.id == given.0.id && outcome(&desk, other, good, known: entry) == "refused")
  }

  @Test func tenAtOnceThenThirtyAnHour() throws {
    var desk = desk()
    var begun = 0
    let hour: UInt64 = 3600 * 1_000_000_000
    for number in 0..<200 {
      let monotonic = 10 * hour + UInt64(number) * (hour / 200)
      if outcome(&desk, try command(number: number), good, monotonic: monotonic).hasPrefix("begin") { begun += 1 }
    }
    #expect((39...40).contains(begun))
    #expect(
      outcome(&desk, try command(number: 500), good, entries: CommandDesk.mostEntries, monotonic: 20 * hour) == "busy")
  }

  @Test func restartsAreThreeADay() throws {
    var desk = desk()
    let hour: UInt64 = 3600 * 1_000_000_000
    var begun = 0
    for number in 0..<48 {
      let given = try command("restart", "{}", number: number)
      if outcome(&desk, given, good, monotonic: hour * UInt64(100 + number / 2)).hasPrefix("begin") { begun += 1 }
    }
    #expect(begun == 3)
  }

  /// Whoever has caught one signed command and sends it for ever fills nothing.
  @Test func answersAreBounded() throws {
    var desk = desk()
    let given = try command(expires: "2026-03-01T09:30:01Z")
    var answers = 0
    for _ in 0..<10_000 where outcome(&desk, given, good, monotonic: 10_000_000_000_000) != "silence" { answers += 1 }
    #expect(answers == 60)
  }
}
