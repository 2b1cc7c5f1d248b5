import Provenance

/// One image of a capture on its way into the outbox.
package struct CaptureImage: Sendable, Equatable {
  /// `[a-z0-9.-]{1,36}`, e.g. `master.png`.
  package var name: String
  package var contentType: String
  package var bytes: [UInt8]

  package init(name: String, contentType: String, bytes: [UInt8]) {
    self.name = name
    self.contentType = contentType
    self.bytes = bytes
  }
}

/// The number under which a capture is stored: unique for ever, so that a receiver's insert is idempotent.
package struct CaptureNumber: Sendable, Hashable {
  package let outboxID: RandomIdentifier
  /// From 1, without gaps within `outboxID`.
  package let sequence: Int64

  package init(outboxID: RandomIdentifier, sequence: Int64) {
    self.outboxID = outboxID
    self.sequence = sequence
  }
}

/// A capture to be stored as a whole or not at all.
package struct NewCapture: Sendable {
  package var captureID: RandomIdentifier
  package var created: Timestamp
  package var images: [CaptureImage]
  /// Whose it is, for what comes back to it; nil keeps no note of the capture.
  package var belonging: Belonging?
  /// Builds the record's JSON once the number is known. Called inside the transaction, again when the transaction has
  /// to be repeated; it must be pure and quick.
  package var record: @Sendable (CaptureNumber) throws -> [UInt8]

  package init(
    captureID: RandomIdentifier, created: Timestamp, images: [CaptureImage],
    record: @escaping @Sendable (CaptureNumber) throws -> [UInt8]
  ) {
    self.captureID = captureID
    self.created = created
    self.images = images
    self.record = record
  }

  /// Session and patient as the record has them.
  package struct Belonging: Sendable, Equatable {
    package var sessionID: RandomIdentifier
    package var patientRef: String

    package init(sessionID: RandomIdentifier, patientRef: String) {
      self.sessionID = sessionID
      self.patientRef = patientRef
    }
  }
}

/// An alert, event, reply or health message: JSON without images.
package struct NewMessage: Sendable, Equatable {
  package var deliveryClass: DeliveryClass
  /// The topic below `.../up/`.
  package var topicSuffix: String
  package var contentType: String
  package var payload: [UInt8]
  package var created: Timestamp
  /// `OutboxItem.name`.
  package let name: String?

  private init(
    _ deliveryClass: DeliveryClass, _ suffix: String, _ payload: [UInt8], _ created: Timestamp, name: String? = nil
  ) {
    self.name = name
    self.deliveryClass = deliveryClass
    topicSuffix = suffix
    contentType = "application/json"
    self.payload = payload
    self.created = created
  }

  package static func alert(_ json: [UInt8], created: Timestamp) -> Self { Self(.alert, "alert", json, created) }
  package static func event(_ json: [UInt8], created: Timestamp) -> Self { Self(.event, "event", json, created) }
  /// An event that the outbox keeps for good: what was stored before is read by it.
  package static func correction(_ json: [UInt8], created: Timestamp) -> Self {
    Self(.event, "event", json, created, name: CorrectionMessage.name)
  }
  package static func reply(_ json: [UInt8], created: Timestamp) -> Self { Self(.event, "reply", json, created) }
  /// A newer health message replaces the ones that still wait.
  package static func health(_ json: [UInt8], created: Timestamp) -> Self { Self(.health, "health", json, created) }
}

/// What was stored of a capture, on disk when the caller sees it.
package struct StoredCapture: Sendable, Equatable {
  package let number: CaptureNumber
  /// Record first, then the images in their order.
  package let itemIDs: [Int64]

  package init(number: CaptureNumber, itemIDs: [Int64]) {
    self.number = number
    self.itemIDs = itemIDs
  }
}

/// Where a stored message stands; the raw value is stored and must not change.
package enum DeliveryState: Int, Sendable, CaseIterable, Codable {
  /// Waits for its turn, or is on the wire.
  case pending = 0
  /// The broker has it, the receiver has not said so.
  case awaitingReceipt = 1
  /// Delivered; kept until the retention time is over.
  case delivered = 2
  /// Cannot be delivered and is kept for a person: damaged, too large, refused for good.
  case quarantined = 3

  package var name: String {
    switch self {
    case .pending: "pending"
    case .awaitingReceipt: "awaiting-receipt"
    case .delivered: "delivered"
    case .quarantined: "quarantined"
    }
  }
}

extension DeliveryClass {
  /// The name in JSON, metrics and on the command line.
  package var name: String {
    switch self {
    case .alert: "alert"
    case .capture: "capture"
    case .image: "image"
    case .event: "event"
    case .health: "health"
    }
  }
}

/// Rows and sealed bytes in one state.
package struct OutboxUsage: Sendable, Equatable {
  package var rows = 0
  package var bytes = 0

  package init(rows: Int = 0, bytes: Int = 0) {
    self.rows = rows
    self.bytes = bytes
  }

  package static func + (left: Self, right: Self) -> Self {
    Self(rows: left.rows + right.rows, bytes: left.bytes + right.bytes)
  }
}

/// What the outbox holds, by class and state; always exact, kept up to date with every transaction.
package struct OutboxAccounts: Sendable, Equatable {
  private var table: [[OutboxUsage]]

  package init() {
    table = DeliveryClass.allCases.map { _ in DeliveryState.allCases.map { _ in OutboxUsage() } }
  }

  package subscript(deliveryClass: DeliveryClass, state: DeliveryState) -> OutboxUsage {
    get { table[deliveryClass.rawValue][state.rawValue] }
    set { table[deliveryClass.rawValue][state.rawValue] = newValue }
  }

  package func total(_ deliveryClass: DeliveryClass) -> OutboxUsage {
    table[deliveryClass.rawValue].reduce(OutboxUsage(), +)
  }

  /// What is stored in all, whatever its state.
  package var total: OutboxUsage {
    DeliveryClass.allCases.reduce(OutboxUsage()) { $0 + total($1) }
  }

  /// What is not delivered yet.
  package func backlog(_ deliveryClass: DeliveryClass) -> OutboxUsage {
    self[deliveryClass, .pending] + self[deliveryClass, .awaitingReceipt]
  }

  package mutating func add(_ bytes: Int, to deliveryClass: DeliveryClass, _ state: DeliveryState) {
    self[deliveryClass, state].rows += 1
    self[deliveryClass, state].bytes += bytes
  }

  package mutating func remove(_ bytes: Int, from deliveryClass: DeliveryClass, _ state: DeliveryState) {
    self[deliveryClass, state].rows -= 1
    self[deliveryClass, state].bytes -= bytes
  }
}
