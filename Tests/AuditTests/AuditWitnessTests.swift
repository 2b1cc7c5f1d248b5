import Audit
import Provenance
import TestSupport
import Testing

/// What a receiver can tell of a device's log by the heads that records carry.
@Suite struct AuditWitnessTests {
  private struct Device {
    let outbox: RandomIdentifier
    /// In the order of their numbers.
    var sightings: [AuditSighting] = []

    init(using generator: inout SeededGenerator, captures: Int, salt: UInt8 = 0) {
      outbox = RandomIdentifier(using: &generator)
      var size: UInt64 = 2
      for number in 1...captures {
        size += .random(in: 0...3, using: &generator)
        sightings.append(Self.sighting(outbox, Int64(number), size, salt))
      }
    }

    static func sighting(_ outbox: RandomIdentifier, _ sequence: Int64, _ size: UInt64, _ salt: UInt8) -> AuditSighting
    {
      AuditSighting(
        outboxID: outbox, sequence: sequence,
        head: AuditHead(size: size, digest: (0..<32).map { UInt8(truncatingIfNeeded: size) &+ $0 &+ salt }))
    }
  }

  /// 500 devices whose captures come in any order, again and again, with some that never come: nothing is found, and what
  /// may be cosigned is the greatest head that was seen.
  @Test func anHonestDeviceRaisesNoAlarm() throws {
    for seed in 0..<UInt64(500) {
      var generator = SeededGenerator(seed: seed)
      let device = Device(using: &generator, captures: 40)
      var arrivals = device.sightings + device.sightings.shuffled(using: &generator).prefix(20)
      arrivals.shuffle(using: &generator)
      var witness = AuditWitness()
      for sighting in arrivals.dropFirst(5) {
        #expect(witness.see(sighting).alarm == nil, "seed \(seed)")
      }
      let greatest = arrivals.dropFirst(5).map(\.head.size).max()
      #expect(witness.cosignable(outbox: device.outbox)?.size == greatest, "seed \(seed)")
    }
  }

  /// A new enrolment is a new outbox: its log begins at nothing, beside the former one's captures that still come.
  @Test func aNewEnrolmentBeginsAnew() {
    var generator = SeededGenerator(seed: 7)
    let (former, present) = (Device(using: &generator, captures: 30), Device(using: &generator, captures: 5, salt: 9))
    var witness = AuditWitness()
    for sighting in (former.sightings + present.sightings).shuffled(using: &generator) {
      #expect(witness.see(sighting).alarm == nil)
    }
    #expect(witness.cosignable(outbox: former.outbox) != witness.cosignable(outbox: present.outbox))
  }

  @Test func whatContradictsIsToldOnceAndNothingIsCosignedAnyMore() throws {
    var generator = SeededGenerator(seed: 3)
    let device = Device(using: &generator, captures: 30)
    let last = try #require(device.sightings.last)
    let outbox = device.outbox
    let cases: [(AuditAlarm, AuditSighting)] = [
      (.fork, Device.sighting(outbox, 31, last.head.size, 1)),
      (.shrunk, Device.sighting(outbox, 31, last.head.size - 1, 1)),
      (.cloned, Device.sighting(outbox, 30, last.head.size + 1, 1)),
      (.cloned, Device.sighting(outbox, 30, last.head.size, 1)),
    ]
    for (alarm, forged) in cases {
      for forgedComesFirst in [false, true] {
        var witness = AuditWitness()
        let order = forgedComesFirst ? [forged] + device.sightings : device.sightings + [forged]
        let told = order.compactMap { witness.see($0).alarm?.0 }
        #expect(told.contains(alarm), "\(alarm) \(forgedComesFirst)")
        #expect(Set(told).count == told.count)
        #expect(witness.cosignable(outbox: outbox) == nil)
      }
    }
  }

  /// A copied card: both devices go on from one point, each honest by itself, and their captures mix.
  @Test func aCopiedCardIsFound() throws {
    for seed in 0..<UInt64(100) {
      var generator = SeededGenerator(seed: seed)
      let device = Device(using: &generator, captures: 20)
      var copies: [[AuditSighting]] = []
      for salt in [UInt8(0), 1] {
        var size = try #require(device.sightings.last).head.size
        var own: [AuditSighting] = []
        for number in 21...30 {
          // A start and a session are written before anything is captured.
          size += .random(in: 2...4, using: &generator)
          own.append(Device.sighting(device.outbox, Int64(number), size, salt))
        }
        copies.append(own)
      }
      var witness = AuditWitness()
      let alarms = (device.sightings + copies[0] + copies[1]).shuffled(using: &generator).compactMap {
        witness.see($0).alarm
      }
      #expect(!alarms.isEmpty, "seed \(seed)")
    }
  }

  @Test func staysWithinItsBounds() {
    var generator = SeededGenerator(seed: 5)
    var witness = AuditWitness()
    for _ in 0..<20 {
      for sighting in Device(using: &generator, captures: 600).sightings { _ = witness.see(sighting) }
    }
    #expect(witness.logs.count == AuditWitness.maximumOutboxes)
    #expect(witness.logs.allSatisfy { $0.sightings.count <= AuditWitness.maximumSightings })
  }
}
