/// Bounds what one device keeps: in incomplete captures, or as messages of a day.
///
/// Exact figures cost a query, so they are asked for only when a device has sent a sixteenth of a limit since the last
/// time. Every worker counts for itself: with W of them a device may exceed its limit by W sixteenths.
struct DeviceBudget {
  struct Usage: Equatable {
    var rows: Int64 = 0
    var bytes: Int64 = 0
  }

  private struct Account {
    /// As the database said last.
    var known = Usage()
    /// Sent since.
    var growth = Usage()
    /// Of it, in the batch that is not in the database yet.
    var batch = 0
    var inBatch = Usage()
    /// Something was refused since the database was asked.
    var isRefused = false
  }

  private static let devicesMaximum = 100_000

  private let rowsMaximum: Int64
  private let bytesMaximum: Int64
  private var accounts: [DeviceKey: Account] = [:]
  private var batch = 0

  init(rowsMaximum: Int64, bytesMaximum: Int64) {
    self.rowsMaximum = rowsMaximum
    self.bytesMaximum = bytesMaximum
  }

  /// What was taken before is in the database by now.
  mutating func beginBatch() { batch += 1 }

  /// Whether `device` may keep `bytes` more in one row. `count` asks the database, when that is due.
  mutating func take(
    _ bytes: Int, of device: DeviceKey, count: (DeviceKey) throws(DatabaseError) -> Usage
  ) throws(DatabaseError) -> Bool {
    if accounts.count >= Self.devicesMaximum { accounts.removeAll() }
    var account = accounts[device] ?? Account()
    // Who was refused is looked at again once a batch: a day may be over, or a capture complete.
    let isDue = account.batch != batch && account.isRefused
    if account.batch != batch {
      account.batch = batch
      account.inBatch = Usage()
    }
    account.growth.rows += 1
    account.growth.bytes += Int64(bytes)
    if isDue || account.growth.rows > rowsMaximum / 16 || account.growth.bytes > bytesMaximum / 16 {
      account.known = try count(device)
      account.isRefused = false
      account.growth = Usage(rows: account.inBatch.rows + 1, bytes: account.inBatch.bytes + Int64(bytes))
    }
    let isWithin =
      account.known.rows + account.growth.rows <= rowsMaximum
      && account.known.bytes + account.growth.bytes <= bytesMaximum
    if isWithin {
      account.inBatch.rows += 1
      account.inBatch.bytes += Int64(bytes)
    } else {
      // What is not kept does not count, but brings the next look at the database nearer.
      account.growth.bytes -= Int64(bytes)
      account.growth.rows += max(rowsMaximum / 256 - 1, 0)
      account.isRefused = true
    }
    accounts[device] = account
    return isWithin
  }
}

/// Bounds how often a device is answered in a minute.
struct DeviceMeter {
  private static let devicesMaximum = 10_000
  private var minute: Int64 = 0
  private var counts: [DeviceKey: Int] = [:]

  /// False when the device had `maximum` in the minute of `seconds`.
  mutating func take(_ device: DeviceKey, at seconds: Int64, maximum: Int) -> Bool {
    if seconds / 60 != minute || counts.count >= Self.devicesMaximum {
      minute = seconds / 60
      counts.removeAll(keepingCapacity: true)
    }
    let count = counts[device] ?? 0
    guard count < maximum else { return false }
    counts[device] = count + 1
    return true
  }
}
