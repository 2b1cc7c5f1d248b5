import Forwarding
import Glibc
import TestSupport
import Testing

@testable import FarSide

/// What a worker holds and says at most.
@Suite struct BoundsTests {
  private func message(_ bytes: Int) -> IncomingMessage {
    IncomingMessage(topic: "tg/v1/clinic/unit-1/up/event", payload: [UInt8](repeating: 1, count: bytes))
  }

  /// Nothing more is read then, until a batch is taken.
  @Test func theInboxSaysWhenItIsFull() throws {
    let limits = Inbox.Limits()
    let inbox = try Inbox(limits)
    func fill(_ bytes: Int) { while inbox.hasRoom { inbox.add(message(bytes), from: 0) } }
    #expect(inbox.fullMilliseconds == 0)
    fill(1 << 20)
    #expect(!inbox.isHalfEmpty)
    #expect(inbox.filling.items == 48 && inbox.filling.bytes == limits.bytes)
    usleep(5000)
    #expect(inbox.fullMilliseconds > 0)
    #expect(inbox.take(3, bytes: 8 << 20, waiting: 0) {}.count == 3)
    #expect(inbox.hasRoom && inbox.fullMilliseconds == 0)
    while !inbox.isHalfEmpty { #expect(inbox.take(3, bytes: 8 << 20, waiting: 0) {}.count == 3) }
    #expect(inbox.filling.bytes < limits.bytes / 2)
    fill(0)
    #expect(inbox.filling.items == limits.messages)
  }

  @Test func batchesAreBoundedByBytesAndNeverEmpty() throws {
    let inbox = try Inbox()
    for bytes in [9000, 600, 500, 400] { inbox.add(message(bytes), from: 0) }
    #expect(inbox.take(10, bytes: 1000, waiting: 0) {}.map(\.message.payload.count) == [9000])
    #expect(inbox.take(10, bytes: 1000, waiting: 0) {}.map(\.message.payload.count) == [600])
    #expect(inbox.take(10, bytes: 1000, waiting: 0) {}.map(\.message.payload.count) == [500, 400])
    #expect(inbox.take(10, bytes: 1000, waiting: 0) {}.isEmpty)
  }

  /// A hostile device fills no log, and takes nobody else's lines away.
  @Test func tenLinesADeviceAndMinute() throws {
    func place(_ number: Int) throws -> TopicSchema {
      TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-\(number)"))
    }
    var meter = NoteMeter()
    let hostile = try place(1)
    let honest = try place(2)
    /// Of a thousand attempts from `start` on, within a minute.
    func told(_ place: TopicSchema?, from start: Int64) -> Int {
      var told = 0
      for moment in start..<(start + 1000) where meter.mayTell(of: place, at: moment) { told += 1 }
      return told
    }
    #expect(told(hostile, from: 0) == 10)
    #expect(told(honest, from: 2000) == 10)
    // Messages of no device share one account.
    #expect(told(nil, from: 4000) == 10)
    #expect(told(hostile, from: 6000) == 0)
    #expect(told(hostile, from: 60_000) == 10)
  }
}
