import Forwarding
import Foundation
import LinuxIO
import Logging
import Provenance
import Screening
import Sentinel
import TestSupport
import Testing

@testable import Device

/// The sentinel's thread in virtual time: counters are fed, steps are made when the test says so, a board is a folder.
@Suite struct SentinelLoopTests {
  private let scratch: ScratchFolder
  private let clock = ManualClock()
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  init() throws { scratch = try ScratchFolder(inMemory: true) }

  private final class Alerts {
    var all: [AlertMessage] = []
  }

  private func put(_ path: String, _ text: String) throws {
    let file = scratch.path + path
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    if let handle = FileHandle(forWritingAtPath: file) {
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: Data(text.utf8))
      try handle.close()
    } else {
      try text.write(toFile: file, atomically: false, encoding: .utf8)
    }
  }

  private var file: WindowFile {
    WindowFile(path: scratch.file("counters"), stepMilliseconds: 10_000, logger: logger)
  }

  private func loop(
    _ watch: SentinelWatch, _ counters: CounterBoard, _ alerts: Alerts, judge: SentinelJudge? = nil,
    lockDown: LockDown? = nil
  ) -> SentinelLoop {
    let gauges = BoardGauges(root: scratch.path)
    return SentinelLoop(
      file.load(at: clock.now()), watch: watch,
      sampler: StepSampler(counters: counters, gauges: gauges, contact: nil, logger: logger), gauges: gauges,
      judge: judge, lockDown: lockDown, file: file, logger: logger, post: { alerts.all.append($0) })
  }

  /// The shipped network with a decision of the test's own.
  private func judge() throws -> SentinelJudge {
    let folder = URL(fileURLWithPath: ActingParts.repository + "/Models/sharma-dualpath")
    var document = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: "manifest.json")))
        as? [String: Any])
    func head(_ output: Int) -> [String: Any] {
      [
        "output": output, "element": 0, "calibration": ["ppm": (0..<256).map { $0 * 1_000_000 / 255 }],
        "slack_q8": 512, "clip_q8": 2048, "threshold_q8": 2048,
      ]
    }
    document["decision"] = [
      "rule": "cusum", "delta_per_mille": 100, "release_windows": 6, "health": head(0), "cyber": head(1),
    ]
    var input = try #require(document["input"] as? [String: Any])
    var channels = try #require(input["channels"] as? [[String: Any]])
    for index in channels.indices where channels[index]["missing"] == nil { channels[index]["missing"] = -100 }
    input["channels"] = channels
    document["input"] = input
    let manifest = try ModelManifest(json: Array(JSONSerialization.data(withJSONObject: document)))
    return SentinelJudge(
      try SentinelNetwork(
        manifest: manifest, modelFile: [UInt8](Data(contentsOf: folder.appending(path: "model.tflite")))),
      deltaPerMille: nil, evidence: StoredEvidence())
  }

  /// A step of a quiet device with a camera.
  private func live(_ counters: CounterBoard, _ number: Int) {
    counters.measured(movementCelsius: 0.12 + 0.01 * Double(number % 3), ambientCelsius: 24.1)
    counters.count(.bytesIn, 45)
    if number % 5 == 0 { counters.published(afterMilliseconds: 90) }
  }

  private func quietBoard() throws {
    try put("/sys/class/thermal/thermal_zone0/temp", "43000\n")
    try put("/proc/self/stat", "1 (t) S 1 2 3 0 -1 0 0 0 0 0 100 0 0 0")
  }

  @Test func underVoltageIsToldWithinTenSecondsAndStandsInTheRecord() throws {
    try put("/sys/class/hwmon/hwmon3/name", "rpi_volt\n")
    try put("/sys/class/hwmon/hwmon3/in0_lcrit_alarm", "0\n")
    let (watch, alerts) = (SentinelWatch(stepMilliseconds: 10_000), Alerts())
    let loop = loop(watch, CounterBoard(), alerts)
    func second() {
      clock.advance(seconds: 1)
      loop.look(at: clock.now())
    }
    for _ in 0..<60 { second() }
    #expect(alerts.all.isEmpty && watch.standing == CaptureStanding() && !watch.isAlarmed)
    try put("/sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1\n")
    for _ in 0..<10 { second() }
    #expect(alerts.all.map(\.code) == ["under-voltage"] && alerts.all.first?.severity == .critical)
    #expect(watch.isAlarmed)
    let power = try #require(watch.standing.power)
    #expect(power.underVoltage && power.brownOuts == 1 && !power.throttled)
    try put("/sys/class/hwmon/hwmon3/in0_lcrit_alarm", "0\n")
    second()
    // It is over, and the record still says that it was.
    #expect(!watch.isAlarmed && watch.standing.power?.brownOuts == 1 && watch.standing.power?.underVoltage == false)
    #expect(SentinelReport.supplyFinding(watch.report.power).outcome == .warn)
    #expect(alerts.all.count == 1)
  }

  @Test func aBoardThatTellsNothingOfItsSupplyIsNotSaidToBeWell() {
    let watch = SentinelWatch(stepMilliseconds: 10_000)
    let loop = loop(watch, CounterBoard(), Alerts())
    loop.look(at: clock.now())
    #expect(watch.report.power == nil && SentinelReport.supplyFinding(nil).outcome == .skip)
  }

  /// Half an hour of quiet, then wrong signatures one a step: told within three minutes, the parts named, the record marked;
  /// and over when they end.
  @Test func badSignaturesAreToldWithTheirPartAndEnd() throws {
    try quietBoard()
    let (watch, counters, alerts) = (SentinelWatch(stepMilliseconds: 10_000), CounterBoard(), Alerts())
    let loop = loop(watch, counters, alerts, judge: try judge())
    func step(_ number: Int, _ attack: Bool = false) {
      clock.advance(seconds: 10)
      live(counters, number)
      if attack {
        counters.count(.commandsReceived, 2)
        counters.count(.commandsBadlySigned, 2)
      }
      loop.step(at: clock.now())
    }
    for number in 0..<31 {
      step(number)
      #expect(watch.report.state == .filling)
    }
    for number in 31..<180 { step(number) }
    #expect(watch.report.state == .normal && alerts.all.isEmpty, "\(alerts.all.map(\.detail))")
    #expect(watch.standing == CaptureStanding())
    var steps = 0
    while alerts.all.isEmpty, steps < 40 {
      step(steps, true)
      steps += 1
    }
    #expect(steps <= 18, "\(steps) steps")
    let alert = try #require(alerts.all.first)
    #expect(alert.code == "sentinel-attack" && alert.severity == .critical)
    #expect(alert.detail.contains("commands and logins"))
    #expect(watch.report.parts?.contains("commands") == true)
    let standing = try #require(watch.standing.sentinel)
    #expect(standing.state == .attack && standing.cyberProbability > standing.healthProbability + standing.delta)
    #expect(!watch.standing.isSensingIll && watch.isAlarmed)
    #expect(watch.report.finding.outcome == .fail && watch.report.finding.what.contains("commands"))
    for number in 0..<200 where watch.report.state != .normal { step(number) }
    #expect(watch.report.state == .normal && watch.standing == CaptureStanding() && alerts.all.count == 1)
  }

  /// A frozen camera: the sensing is ill, a capture says so and its outcome is withheld whatever gates are hard.
  @Test func aFrozenCameraWithholdsOutcomes() throws {
    try quietBoard()
    let (watch, counters, alerts) = (SentinelWatch(stepMilliseconds: 10_000), CounterBoard(), Alerts())
    let loop = loop(watch, counters, alerts, judge: try judge())
    for number in 0..<120 {
      clock.advance(seconds: 10)
      if number < 60 { live(counters, number) } else { counters.measured(movementCelsius: 0, ambientCelsius: 24.1) }
      loop.step(at: clock.now())
    }
    #expect(alerts.all.map(\.code) == ["sentinel-sensing"])
    #expect(watch.standing.isSensingIll && watch.report.parts?.contains { $0.hasPrefix("camera") } == true)
    var conditions = AcquisitionConditions()
    conditions.settling = false
    conditions.sensingIsIll = watch.standing.isSensingIll
    var limits = GateLimits()
    limits.hardGates = []
    let gates = QualityGate.evaluate(subject: nil, conditions: conditions, limits: limits)
    let settling = gates.filter { $0.code == .settling }
    #expect(settling.count == 1 && settling[0].severity == .hard && !settling[0].passed)
    #expect(settling[0].sentence.contains("cannot be trusted"))
    conditions.sensingIsIll = nil
    #expect(QualityGate.evaluate(subject: nil, conditions: conditions, limits: limits)[0].passed)
  }

  @Test func anAttackLocksDownAndOnlyARelease() throws {
    try quietBoard()
    let path = scratch.file("lock-down")
    let lockDown = LockDown(path: path, isAllowed: true, logger: logger)
    let (watch, counters, alerts) = (SentinelWatch(stepMilliseconds: 10_000), CounterBoard(), Alerts())
    let loop = loop(watch, counters, alerts, judge: try judge(), lockDown: lockDown)
    for number in 0..<80 {
      clock.advance(seconds: 10)
      live(counters, number)
      if number >= 50 {
        counters.count(.commandsReceived, 5)
        counters.count(.commandsBadlySigned, 5)
      }
      loop.step(at: clock.now())
    }
    #expect(alerts.all.map(\.code) == ["sentinel-attack"])
    #expect(lockDown.isLockedDown && lockDown.refusal?.contains("sentinel release") == true)
    for number in 0..<200 {
      clock.advance(seconds: 10)
      live(counters, number)
      loop.step(at: clock.now())
    }
    // The attack is over; the lock-down is not, nor after a restart.
    #expect(watch.report.state == .normal && lockDown.isLockedDown)
    let restarted = LockDown(path: path, isAllowed: true, logger: logger)
    #expect(restarted.since == lockDown.since)
    #expect(try restarted.release("the test") && !restarted.isLockedDown)
    #expect(try !restarted.release("again") && !FileManager.default.fileExists(atPath: path))
  }

  /// A damaged file is still a lock-down; where the technician took the permission away there is none.
  @Test func aLockDownIsSafeByConstruction() throws {
    let path = scratch.file("lock-down")
    for content in [Data(), Data([0, 255, 10]), Data(repeating: 65, count: 10_000)] {
      try content.write(to: URL(fileURLWithPath: path))
      #expect(LockDown(path: path, isAllowed: true, logger: logger).isLockedDown, "\(content.count) bytes")
    }
    #expect(!LockDown(path: path, isAllowed: false, logger: logger).isLockedDown)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(!LockDown(path: path, isAllowed: true, logger: logger).isLockedDown)
    let lockDown = LockDown(path: scratch.path + "/no-such-folder/x", isAllowed: true, logger: logger)
    lockDown.enter("a disk that takes nothing", at: clock.now())
    #expect(lockDown.isLockedDown)
  }

  /// What was gathered survives a restart of the program, and what was missed is missing.
  @Test func aRestartGoesOnWhereItWas() throws {
    try quietBoard()
    let (counters, alerts) = (CounterBoard(), Alerts())
    var watch = SentinelWatch(stepMilliseconds: 10_000)
    var loop = loop(watch, counters, alerts, judge: try judge())
    for number in 0..<40 {
      clock.advance(seconds: 10)
      live(counters, number)
      loop.step(at: clock.now())
    }
    loop.save(at: clock.now())
    clock.advance(seconds: 45)
    watch = SentinelWatch(stepMilliseconds: 10_000)
    loop = self.loop(watch, counters, alerts, judge: try judge())
    #expect(watch.newest == 39 + 4)
    clock.advance(seconds: 10)
    loop.step(at: clock.now())
    // The window is full: the device is not blind for five minutes after each restart.
    #expect(watch.report.state == .normal)
  }
}
