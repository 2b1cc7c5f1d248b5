import Provenance
import Remote
import Storage
import TestSupport
import Testing
import Trust

/// What becomes of a believed configuration before its text is read, and of one that is tried.
@Suite struct ConfigurationDeskTests {
  private static let issued: Int64 = 1_772_357_400  // 2026-03-01T09:30:00Z
  private static let hour: Int64 = 3600
  private static let year: Int64 = 365 * 86_400
  private let sender: CommandSender
  private let challenge = "c0ffee"

  init() throws { sender = try CommandSender() }

  private func statement(
    version: Int64 = 8, number: UInt64 = 1, issued: String = "2026-03-01T09:30:00Z",
    expires: String = "2026-03-02T09:30:00Z", challenge: String? = nil, minutes: Int64? = nil
  ) throws -> (ConfigurationStatement, [UInt8]) {
    var generator = SeededGenerator(seed: number)
    let json = sender.configuration(
      "[log]\nlevel = \"debug\"\n", version: version, id: RandomIdentifier(using: &generator), issued: issued,
      expires: expires, challenge: challenge, minutes: minutes)
    var reader = sender.configurationReader
    guard
      case .statement(let statement, let digest) = reader.read(
        try sender.envelope(json, type: ConfigurationStatement.payloadType), isRetained: false, now: 0)
    else { throw ShapeFault("not read") }
    return (statement, digest)
  }

  private func record(highest: Int64 = 0) throws -> ConfigurationRecord {
    var record = ConfigurationRecord(beganSeconds: Self.issued - 86_400)
    if highest > 0 {
      let (statement, digest) = try statement(version: highest, number: 99)
      record.accept(statement, digest: digest, sha256: digest, freshness: .clock)
      record.confirm(reply: [7])
    }
    return record
  }

  private func outcome(
    _ given: (ConfigurationStatement, [UInt8]), _ record: ConfigurationRecord,
    _ clock: CommandClock = CommandClock(nowSeconds: issued + hour, isProven: true, floorSeconds: issued - year),
    desk: ConfigurationDesk = ConfigurationDesk(), challenge: String? = nil
  ) -> String {
    var desk = desk
    let now = Timestamp(utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: 1, synchronised: true)
    switch desk.decide(
      given.0, digest: given.1, record: record, challenge: challenge ?? self.challenge, clock: clock, at: now)
    {
    case .examine(let freshness): return "examine by \(freshness.rawValue)"
    case .answer(let reply): return "\(reply.state.rawValue): \(reply.reason ?? "")"
    case .repeatReply(let bytes): return "repeat \(bytes)"
    case .silence: return "silence"
    }
  }

  /// The table of clocks: rows are what the clock says, then a configuration without and with this start's challenge.
  @Test(arguments: [
    // synchronised and plausible
    (
      CommandClock(nowSeconds: issued + hour, isProven: true, floorSeconds: issued - year), "examine by clock",
      "examine by clock"
    ),
    // never synchronised, at or after the floor
    (
      CommandClock(nowSeconds: issued + hour, isProven: false, floorSeconds: issued - year), "refused",
      "examine by challenge"
    ),
    // 1970, before the floor
    (CommandClock(nowSeconds: 60, isProven: false, floorSeconds: issued - hour), "refused", "examine by challenge"),
    // ten years ahead: not synchronised, or synchronised by a liar, which proves nothing either
    (
      CommandClock(nowSeconds: issued + 10 * year, isProven: false, floorSeconds: issued), "refused",
      "examine by challenge"
    ),
    // stepped back below the floor: the floor stands
    (
      CommandClock(nowSeconds: issued - year, isProven: false, floorSeconds: issued + hour), "refused",
      "examine by challenge"
    ),
    // over by the floor, whatever the clock says
    (CommandClock(nowSeconds: issued, isProven: false, floorSeconds: issued + 2 * 86_400), "refused", "refused"),
    // a proven clock says that it is over, or not yet
    (CommandClock(nowSeconds: issued + 2 * 86_400, isProven: true, floorSeconds: issued), "refused", "refused"),
    (CommandClock(nowSeconds: issued - hour, isProven: true, floorSeconds: issued - year), "refused", "refused"),
  ])
  func aClockThatProvesNothingNeedsTheChallenge(_ clock: CommandClock, _ without: String, _ with: String) throws {
    let record = try record()
    #expect(outcome(try statement(), record, clock).hasPrefix(without))
    #expect(outcome(try statement(challenge: challenge), record, clock).hasPrefix(with))
    #expect(outcome(try statement(challenge: "of another start"), record, clock).hasPrefix("refused"))
    // Before a challenge was made none is right, the empty one neither.
    #expect(outcome(try statement(challenge: ""), record, clock, challenge: "").hasPrefix("refused"))
  }

  @Test func onlyAHigherVersionIsTaken() throws {
    let record = try record(highest: 7)
    #expect(outcome(try statement(version: 8), record) == "examine by clock")
    for version in [1, 6, 7] as [Int64] {
      #expect(
        outcome(try statement(version: version), record)
          == "refused: version \(version) is not above 7, the highest that was taken here")
    }
    // One that was taken back is not tried again: it would cut the line once more.
    var taken = record
    let (eight, digest) = try statement(version: 8)
    taken.accept(eight, digest: digest, sha256: digest, freshness: .clock)
    taken.begin(runs: 1)
    taken.end(.rolledBack, reply: [9])
    #expect(outcome((eight, digest), taken) == "repeat [9]")
    #expect(outcome(try statement(version: 8, number: 2), taken).hasPrefix("refused"))
    #expect(outcome(try statement(version: 9, number: 3), taken) == "examine by clock")
  }

  /// The thief of the key leaves room for those who come after him; a date is a version.
  @Test func nobodyTakesTheLastNumberInOneStep() throws {
    let record = try record(highest: 7)
    for version in [ConfigurationStatement.versions.upperBound, 8 + ConfigurationStatement.mostStep] {
      #expect(outcome(try statement(version: version), record).hasPrefix("refused: version \(version) is more than"))
    }
    for version in [7 + ConfigurationStatement.mostStep, 202_603_010_930] as [Int64] {
      #expect(outcome(try statement(version: version), record) == "examine by clock")
    }
  }

  @Test func anIdStandsForOneStatement() throws {
    var record = try record()
    let (one, digest) = try statement()
    record.accept(one, digest: digest, sha256: digest, freshness: .clock)
    #expect(outcome((one, digest), record) == "silence")
    #expect(outcome(try statement(version: 9), record) == "refused: another configuration had this id")
    record.begin(runs: 1)
    #expect(outcome((one, digest), record) == "silence")
    #expect(outcome(try statement(version: 9, number: 5), record).hasPrefix("busy"))
    record.confirm(reply: [1])
    #expect(outcome((one, digest), record) == "repeat [1]")
  }

  @Test func itsTimesAreBounded() throws {
    let record = try record()
    #expect(outcome(try statement(expires: "2026-03-01T09:30:00Z"), record).hasPrefix("refused: it must end"))
    #expect(outcome(try statement(expires: "2026-04-01T09:30:00Z"), record).hasPrefix("refused: it must end"))
    #expect(outcome(try statement(expires: "2026-03-31T09:30:00Z"), record) == "examine by clock")
    // What was issued before the record began may have been done before it was lost.
    #expect(
      outcome(try statement(issued: "2026-02-28T09:29:59Z"), record)
        == "refused: it was issued before this device's record of configurations began")
  }

  @Test func aFloodIsAnsweredUpToALimit() throws {
    var desk = ConfigurationDesk()
    let record = try record()
    let clock = CommandClock(nowSeconds: Self.issued + 60, isProven: true, floorSeconds: 0)
    let now = Timestamp(utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: 1, synchronised: true)
    var counts: [String: Int] = [:]
    for number in 0..<200 {
      let (statement, digest) = try statement(number: UInt64(number + 1000))
      switch desk.decide(statement, digest: digest, record: record, challenge: challenge, clock: clock, at: now) {
      case .examine: counts["examine", default: 0] += 1
      case .answer(let reply): counts[reply.state.rawValue, default: 0] += 1
      default: counts["silence", default: 0] += 1
      }
    }
    #expect(counts == ["examine": 10, "busy": 60, "silence": 130])
  }

  // MARK: - The statement

  @Test(arguments: [
    (#""version":8"#, #""version":0"#), (#""version":8"#, #""version":-1"#), (#""version":8"#, #""version":1e2"#),
    (#""version":8"#, #""version":8.0"#), (#""version":8"#, #""version":9223372036854775808"#),
    (#""version":8"#, #""version":9007199254740992"#), (#""version":8"#, #""version":"8""#),
    (#""version":8"#, #""version":8,"version":9"#), (#""version":8"#, #""version":8,"force":true"#),
    (#""version":8"#, #""version":8,"confirm_minutes":1"#), (#""version":8"#, #""version":8,"confirm_minutes":61"#),
    (#""toml":"#, #""tomi":"#), (#""toml":"#, #""toml":7,"x":"#),
    (#"thermograph.configuration.v1"#, #"thermograph.command.v1"#), (#""id":""#, #""id":"x"#),
    (#"2026-03-02T09:30:00Z"#, #"tomorrow"#),
  ])
  func aBentStatementIsRefused(_ from: String, _ to: String) throws {
    var generator = SeededGenerator(seed: 1)
    let json = sender.configuration("[log]\n", version: 8, id: RandomIdentifier(using: &generator))
    let bent = json.replacing(from, with: to)
    #expect(bent != json)
    var reader = sender.configurationReader
    guard
      case .refused(.malformed, _) = reader.read(
        try sender.envelope(bent, type: ConfigurationStatement.payloadType), isRetained: false, now: 0)
    else {
      Issue.record("taken: \(bent)")
      return
    }
  }

  /// A right signature over another kind of statement is none, whichever way round.
  @Test func aCommandIsNoConfiguration() throws {
    var generator = SeededGenerator(seed: 1)
    let id = RandomIdentifier(using: &generator)
    let configuration = sender.configuration("", version: 1, id: id)
    var configurations = sender.configurationReader
    var commands = sender.reader
    let restart = try sender.envelope(
      sender.statement("restart", id: id), type: ConfigurationStatement.payloadType)
    guard case .refused(.untrusted(.payloadType), _) = commands.read(restart, isRetained: false, now: 0),
      case .refused(.untrusted(.payloadType), _) = configurations.read(
        try sender.envelope(configuration), isRetained: false, now: 0)
    else {
      Issue.record("one kind was taken for the other")
      return
    }
    let right = try sender.envelope(configuration, type: ConfigurationStatement.payloadType)
    #expect(configurations.read(right, isRetained: true, now: 0) == .refused(.retained, isPause: false))
    let other = try CommandSender(device: "d2").configuration("", version: 1, id: id)
    #expect(
      configurations.read(
        try sender.envelope(other, type: ConfigurationStatement.payloadType), isRetained: false, now: 0)
        == .refused(.misdirected, isPause: false))
  }

  // MARK: - The trial

  @Test func aTrialEndsByTheLineOrByMonotonicTime() throws {
    var record = try record()
    let (statement, digest) = try statement(minutes: 2)
    record.accept(statement, digest: digest, sha256: digest, freshness: .clock)
    var trial = ConfigurationTrial()
    func step(_ seconds: UInt64, idle: Bool = true, clock: Int64 = Self.issued) -> ConfigurationTrial.Step? {
      trial.next(record.attempt, isIdle: idle, clockSeconds: clock, now: seconds * 1_000_000_000)
    }
    #expect(step(10, idle: false) == nil)
    #expect(step(11) == .begin)
    record.begin(runs: 1)
    #expect(step(12) == .send)
    trial.sent()
    #expect(step(13) == nil)
    // The line broke before the broker had it, and again; a late answer about another one counts for nothing.
    trial.answered(statement.id, isAcknowledged: false)
    #expect(step(14) == .send)
    trial.sent()
    var generator = SeededGenerator(seed: 8)
    trial.answered(RandomIdentifier(using: &generator), isAcknowledged: true)
    #expect(step(15) == nil)
    // A clock that steps by years neither ends nor prolongs it.
    #expect(step(131, clock: Self.issued + 10 * Self.year) == nil)
    guard case .takeBack(let reason) = step(132) else {
      Issue.record("not taken back")
      return
    }
    #expect(reason == "for 2 minutes the line carried no reply that the broker acknowledged")
    // In time.
    trial = ConfigurationTrial()
    #expect(step(200) == .send)
    trial.sent()
    trial.answered(statement.id, isAcknowledged: true)
    #expect(step(201) == .confirm)
  }

  @Test func oneThatNobodyLetsInEndsWithItsTime() throws {
    var record = try record()
    let (statement, digest) = try statement()
    record.accept(statement, digest: digest, sha256: digest, freshness: .clock)
    var trial = ConfigurationTrial()
    #expect(trial.next(record.attempt, isIdle: false, clockSeconds: statement.expiresSeconds - 1, now: 0) == nil)
    guard case .refuse = trial.next(record.attempt, isIdle: true, clockSeconds: statement.expiresSeconds, now: 0) else {
      Issue.record("begun after its end")
      return
    }
  }

  // MARK: - The record

  @Test func aRecordReadsBackAsItWasWritten() throws {
    var record = try record(highest: 3)
    #expect(try ConfigurationRecord(reading: record.encoded()) == record)
    let (statement, digest) = try statement()
    record.accept(statement, digest: digest, sha256: digest, freshness: .challenge)
    #expect(try ConfigurationRecord(reading: record.encoded()) == record)
    record.begin(runs: 0)
    #expect(try ConfigurationRecord(reading: record.encoded()) == record)
    let isBack = record.start()
    #expect(!isBack)
    #expect(try ConfigurationRecord(reading: record.encoded()) == record)
    let isSecond = record.start()
    #expect(isSecond)
    record.end(.rolledBack, reply: Array(#"{"state":"rolled-back"}"#.utf8))
    let read = try ConfigurationRecord(reading: record.encoded())
    #expect(read == record && read.inForce?.version == 3 && read.highestVersion == 8)
  }

  @Test func aBentRecordIsRefusedAndNeverTraps() throws {
    var record = try record(highest: 3)
    let (statement, digest) = try statement()
    record.accept(statement, digest: digest, sha256: digest, freshness: .challenge)
    record.begin(runs: 1)
    let text = String(decoding: record.encoded(), as: UTF8.self)
    for (from, to) in [
      ("\"runs\":1", "\"runs\":2"), ("\"runs\":1", "\"runs\":-1"), ("on-trial", "off"),
      ("\"highest\":8", "\"highest\":-1"),
      ("\"told\":false", "\"told\":0"), ("\"minutes\":10", "\"minutes\":0"), ("challenge", "chance"),
      ("\"sha256\":\"", "\"sha256\":\"00"), (".v1", ".v2"),
    ] {
      let bent = text.replacing(from, with: to)
      #expect(bent != text)
      #expect(throws: ShapeFault.self, "\(to)") { try ConfigurationRecord(reading: Array(bent.utf8)) }
    }
    let bytes = Array(text.utf8)
    for index in bytes.indices {
      for bit in 0..<8 {
        var bent = bytes
        bent[index] ^= 1 << bit
        _ = try? ConfigurationRecord(reading: bent)
      }
      _ = try? ConfigurationRecord(reading: Array(bytes[..<index]))
    }
  }
}
