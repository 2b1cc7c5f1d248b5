import Provenance

/// What happens to the delivery logic.
package enum DeliveryEvent: Sendable, Equatable {
  /// Begin: connect at once.
  case start
  /// The client reports.
  case link(LinkEvent)
  /// Something was stored; `highestID` is the newest message of the outbox.
  case stored(highestID: Int64)
  /// The answer to `DeliveryAction.load`, in order; fewer than asked means that there are no more.
  case loaded(LoadOrder, [OutboxItem])
  /// A receiver has, or will never take, what the receipt names; what is believed of it is the outbox's to say.
  case receipt(Receipt)
  /// A message on `dn/receipt` is not believed.
  case receiptRefused
  /// The answer to `DeliveryAction.apply`.
  case applied(ReceiptOutcome)
  /// The answer to `DeliveryAction.requeueUnreceipted`: how many wait again.
  case requeued(Int)
  /// A person or a tool made messages wait again, or the database was exchanged: look from the beginning.
  case outboxChanged
  /// The payload of a publish cannot be had at present: the disk fails, or its key is not loaded. Its class waits a
  /// while; nothing is set aside.
  case unavailable(PublishToken)
  /// The payload of a publish is damaged.
  case unreadable(PublishToken, reason: String)
  /// The message of a publish is gone: a tool freed it in the meantime.
  case vanished(PublishToken)
  /// A network interface came up: try at once.
  case networkCameUp
  /// Images wait for so long, as the far side asked; 0 ends it.
  case holdImages(seconds: Int)
  /// The sync window opened or closed; it is open until the first word.
  case syncWindow(isOpen: Bool)
  /// The time asked for by `DeliveryAction.wake` has come.
  case tick
  /// End: write down what is known and disconnect.
  case stop
}

/// What the delivery logic wants done, in this order. `settle` must be on disk before the next `load` is answered.
package enum DeliveryAction: Sendable, Equatable {
  case connect
  /// Publish the status: birth before the first message of a connection, farewell before its good-bye.
  case announce(StatusMessage.State)
  case disconnect(LinkFailure)
  /// Read waiting messages from the outbox and answer with `loaded`.
  case load(LoadOrder)
  /// Open the payloads and hand the messages to the client, in their order.
  case publish([PublishOrder])
  /// Write outcomes to the outbox.
  case settle(Settlement)
  /// Write the outcomes to the outbox and free there what receivers have, in one step: a receipt may follow at once on
  /// the PUBACK without which it counts for nothing. Then answer with `applied`.
  case apply([Receipt], after: Settlement)
  /// Make messages wait again whose receipt is overdue, then answer with `requeued`.
  case requeueUnreceipted(olderThanSeconds: Int)
  /// Store an alert.
  case alert(code: String, severity: AlertMessage.Severity, detail: String)
  /// A thing that a person should know of; for the log and the status.
  case report(DeliveryReport)
  /// Send `tick` at this monotonic time; replaces the wake asked for before. nil: no tick is needed.
  case wake(atNanoseconds: UInt64?)
}

/// Which waiting messages to read.
package struct LoadOrder: Sendable, Equatable {
  package let deliveryClass: DeliveryClass
  /// Messages with a greater id.
  package let after: Int64
  package let limit: Int
  /// Answers to older orders are thrown away.
  let generation: Int
}

/// One PUBLISH to be made.
package struct PublishOrder: Sendable, Equatable {
  package let token: PublishToken
  package let item: OutboxItem
  /// Which part, of a divided image.
  package let part: UplinkTopic.Part?
  /// The bytes of the payload to send.
  package let range: Range<Int>
  /// The message was stored before this connection came up: it is not live, and may have been sent before.
  package let replayed: Bool
}

/// Things worth a line in the log. The texts name no patient.
package enum DeliveryReport: Sendable, Equatable, CustomStringConvertible {
  /// The broker refuses a class of messages; they wait.
  case refused(DeliveryClass, reason: UInt8, nextAttemptSeconds: Int)
  /// The broker has nobody to give a class of messages to; they wait. Told once a connection.
  case unheard(DeliveryClass, nextAttemptSeconds: Int)
  case quarantined(id: Int64, reason: String)
  case acknowledgementsStalled(seconds: Int)
  /// The peer hangs up whenever a large packet arrives; images are cut smaller from now on.
  case packetLimitAssumed(bytes: Int)
  /// The peer hangs up whenever the oldest message of this class is sent; the class waits, the others flow.
  case hangsUp(DeliveryClass, nextAttemptSeconds: Int)
  case receiptsOverdue(count: Int)
  /// Receipts freed so many messages.
  case delivered(count: Int)
  /// A receiver will never take this capture.
  case refusedForEver(capture: RandomIdentifier)
  /// Receipts name so many messages with another content than ours, this one first.
  case differ(count: Int, first: Receipt.Entry)
  /// Receipts have named so many messages so far that have not left this device.
  case unfounded(count: Int)
  /// So many rounds brought no receipt.
  case receiptsSilent

  package enum Severity: Sendable {
    case info, warning, error
  }

  package var severity: Severity {
    switch self {
    case .delivered: .info
    case .refusedForEver, .differ, .unfounded: .error
    default: .warning
    }
  }

  package var description: String {
    switch self {
    case .refused(let deliveryClass, let reason, let seconds):
      "the broker refuses \(deliveryClass.name) messages with reason 0x\(hex(reason)); they wait, next attempt in \(seconds) s"
    case .unheard(let deliveryClass, let seconds):
      "nobody listens at the broker to \(deliveryClass.name) messages; they wait, next attempt in \(seconds) s"
    case .quarantined(let id, let reason): "message \(id) is set aside: \(reason)"
    case .acknowledgementsStalled(let seconds): "no acknowledgement for \(seconds) s; connecting anew"
    case .packetLimitAssumed(let bytes): "the broker hangs up at large packets; assuming a limit of \(bytes) bytes"
    case .hangsUp(let deliveryClass, let seconds):
      "the broker hangs up at the oldest \(deliveryClass.name) message; the class waits, next attempt in \(seconds) s"
    case .receiptsOverdue(let count): "\(count) messages have no receipt in time and are sent again"
    case .delivered(let count): "delivered: \(count) messages"
    case .refusedForEver(let capture):
      "a receiver will never take capture \(capture), it is set aside; see thermograph outbox list --state quarantined"
    case .differ(let count, let first):
      "receipts name another content than ours \(count) times, first for \(first.name) of capture \(first.captureID); it "
        + "stays in the outbox"
    case .unfounded(let count):
      "receipts have named \(count) messages so far that this device has neither published nor exported; they stay. "
        + "Somebody who is no receiver may have written them"
    case .receiptsSilent: "no receipt in two rounds; connecting anew"
    }
  }

  private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

/// What the delivery logic has counted since it began.
package struct DeliveryCounters: Sendable, Equatable {
  /// Per class, by `DeliveryClass.rawValue`.
  package var published = [Int](repeating: 0, count: DeliveryClass.allCases.count)
  package var acknowledged = [Int](repeating: 0, count: DeliveryClass.allCases.count)
  package var refused = [Int](repeating: 0, count: DeliveryClass.allCases.count)
  package var quarantined = [Int](repeating: 0, count: DeliveryClass.allCases.count)
  package var replayed = 0
  /// Messages on `dn/receipt` that were not believed.
  package var receiptsRefused = 0
  /// Words of receipts on messages that had not left this device.
  package var receiptsUnfounded = 0
  /// PUBACKs by reason code.
  package var acknowledgementsByReason: [UInt8: Int] = [:]
  package var connections = 0
  /// Ends of connections and failed attempts, by `LinkFailure.Kind`.
  package var failures: [LinkFailure.Kind: Int] = [:]

  package init() {}
}
