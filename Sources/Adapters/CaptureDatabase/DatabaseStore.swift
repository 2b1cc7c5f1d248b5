import Forwarding
import Provenance
import Receiving
import Storage

/// PostgreSQL as the receiver's store.
///
/// A batch takes two transactions. The first inserts what came; the second, with the captures' rows locked in the order of
/// their keys, finds what is complete. In one transaction two workers would not see each other's rows, and a receipt would
/// wait for the device to send again. What is vouched for was locked by a transaction that committed, so that also a row
/// which an earlier transaction left on the primary alone is on the standby by then.
package final class DatabaseStore: CaptureStore {
  /// What one device may keep waiting for, and how often it is answered that something is never taken.
  package struct Limits: Sendable {
    package var incompleteRows: Int64 = 4096
    package var incompleteBytes: Int64 = 64 << 20
    package var refusalsPerMinute = 60
    package var asideRows: Int64 = 1000
    package var asideBytes: Int64 = 16 << 20
    /// Alerts, events and replies of a day: more than a clinic's device gathers in a month without a line.
    package var messageRows: Int64 = 65_536
    package var messageBytes: Int64 = 256 << 20
    /// Births that are answered with receipts, each of them thousands at most.
    package var birthsPerMinute = 12

    package init() {}
  }

  private let target: DatabaseTarget
  let limits: Limits
  let digests: any MessageDigests
  let keys: SiteKeys
  private var connection: DatabaseConnection?
  var budget: DeviceBudget
  var messages: DeviceBudget
  var refusals = DeviceMeter()
  var births = DeviceMeter()

  /// Connects when there is something to do.
  package init(
    _ target: DatabaseTarget, masters: KeyRing, digests: any MessageDigests, limits: Limits = Limits()
  ) throws(DatabaseError) {
    self.target = target
    self.limits = limits
    self.digests = digests
    keys = try SiteKeys(masters: masters, digests: digests)
    budget = DeviceBudget(rowsMaximum: limits.incompleteRows, bytesMaximum: limits.incompleteBytes)
    messages = DeviceBudget(rowsMaximum: limits.messageRows, bytesMaximum: limits.messageBytes)
  }

  package func keep(_ deliveries: [Delivery]) throws(ReceiverError) -> [StoreOutcome] {
    do throws(DatabaseError) {
      return try keepOrDivide(deliveries)
    } catch {
      throw ReceiverError(error)
    }
  }

  /// Runs `body` with the standing connection, or a new one. After a failure of the server the next call connects anew.
  package func withConnection<Result>(
    _ body: (OpenDatabase) throws(DatabaseError) -> Result
  ) throws(DatabaseError) -> Result {
    let open: DatabaseConnection
    if let connection {
      open = connection
    } else {
      open = try DatabaseConnection(target)
      try DatabaseSchema.check(open)
      connection = open
    }
    do throws(DatabaseError) {
      return try body(OpenDatabase(connection: open))
    } catch {
      // After a commit of which nobody knows the end nothing more is asked on this connection.
      if error.kind != .values && error.kind != .collision { connection = nil }
      throw error
    }
  }

  /// A batch that holds a value which the database does not take is tried again one by one, so that a hostile device
  /// costs nobody else anything.
  private func keepOrDivide(_ deliveries: [Delivery]) throws(DatabaseError) -> [StoreOutcome] {
    var tries = 0
    while true {
      do throws(DatabaseError) {
        return try withConnection { open throws(DatabaseError) in
          try Batch(deliveries, self, open.connection).keep()
        }
      } catch {
        switch error.kind {
        case .collision where tries < 5: tries += 1
        case .values where deliveries.count > 1:
          var outcomes: [StoreOutcome] = []
          for delivery in deliveries { outcomes += try keepOrDivide([delivery]) }
          return outcomes
        case .values:
          return deliveries.map {
            StoreOutcome(rejected: $0.message, Rejection("the database does not take it: \(error)"))
          }
        default: throw error
        }
      }
    }
  }
}

/// A connection that only this module can use.
package struct OpenDatabase {
  let connection: DatabaseConnection
}

extension ReceiverError {
  init(_ error: DatabaseError) { self.init(inWords: error.description) }
}

/// A capture's key.
struct CaptureKey: Hashable, Comparable {
  let site: String
  let device: String
  let captureID: RandomIdentifier

  init(_ topics: TopicSchema, _ captureID: RandomIdentifier) {
    site = topics.site.text
    device = topics.device.text
    self.captureID = captureID
  }

  init(site: String, device: String, captureID: RandomIdentifier) {
    self.site = site
    self.device = device
    self.captureID = captureID
  }

  var owner: DeviceKey { DeviceKey(site: site, device: device) }

  /// The order in which rows are inserted and locked, so that two workers never wait for each other.
  static func < (left: Self, right: Self) -> Bool {
    (left.site, left.device, left.captureID) < (right.site, right.device, right.captureID)
  }

  /// What a content is sealed with: bytes that are exchanged for others do not open.
  func associated(_ name: String) -> [UInt8] { Array("thermograph|\(site)|\(device)|\(captureID)|\(name)".utf8) }
}

struct DeviceKey: Hashable, Comparable {
  let site: String
  let device: String

  init(site: String, device: String) {
    self.site = site
    self.device = device
  }

  init(_ topics: TopicSchema) { self.init(site: topics.site.text, device: topics.device.text) }

  static func < (left: Self, right: Self) -> Bool { (left.site, left.device) < (right.site, right.device) }
}
