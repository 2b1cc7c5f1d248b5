/// One I2C bus as a driver sees it: a single combined transaction is all that a 16-bit addressed sensor needs.
///
/// On the wire: `S addr+W write[0] ... write[n-1] [Sr addr+R read[0] ... read[m-1]] P`. An empty `read` makes a
/// plain write. The repeated start is never replaced by a stop, and NOSTART is never used.
package protocol I2CBus {
  /// Performs one transaction. On return every byte of `read` was received from the device.
  ///
  /// - Parameters:
  ///   - address: the 7-bit device address (0x08...0x77).
  ///   - write: bytes sent first, at least one.
  ///   - read: filled with the bytes received after the repeated start; may be empty.
  mutating func transaction(
    address: UInt8, write: UnsafeRawBufferPointer, read: UnsafeMutableRawBufferPointer
  ) throws(I2CError)

  /// Closes and opens the bus anew: what a driver does when retries on the open bus have failed.
  mutating func reopen() throws(I2CError)
}

/// Why a transaction did not happen, as a small closed set on which a driver can decide.
package struct I2CError: Error, Equatable, Sendable {
  package enum Kind: Sendable, Equatable, CaseIterable {
    /// Nobody answered at the address (ENXIO, EREMOTEIO).
    case noAcknowledgeAddress
    /// The device stopped acknowledging inside the data.
    case noAcknowledgeData
    /// Another master won the bus (EAGAIN).
    case arbitrationLost
    /// The bus or the controller failed (EIO).
    case bus
    /// The controller gave up waiting (ETIMEDOUT): a clock line held low.
    case timeout
    /// The controller transferred fewer messages than asked.
    case shortTransfer
    /// The device node vanished or was never there (ENODEV, ENOENT, EACCES).
    case unavailable
    /// Anything else; `systemErrorNumber` says what.
    case other
  }

  package var kind: Kind
  /// The device node or the simulated bus's name, e.g. `/dev/i2c-1`.
  package var device: String
  /// errno of the failed call, 0 when there was none.
  package var systemErrorNumber: Int32

  package init(kind: Kind, device: String, systemErrorNumber: Int32 = 0) {
    self.kind = kind
    self.device = device
    self.systemErrorNumber = systemErrorNumber
  }
}

extension I2CError: CustomStringConvertible {
  package var description: String {
    let what =
      switch kind {
      case .noAcknowledgeAddress: "nobody answers at the address; check power, wiring and the address"
      case .noAcknowledgeData: "the device stopped acknowledging inside a transfer"
      case .arbitrationLost: "another master won the bus"
      case .bus: "bus error; check the wiring, its length and the pull-up resistors"
      case .timeout: "the controller timed out; a line may be held low"
      case .shortTransfer: "the controller transferred less than asked"
      case .unavailable: "the bus cannot be opened; is I2C enabled, does the node exist, is the user in group i2c?"
      case .other: "the transfer failed"
      }
    return systemErrorNumber == 0 ? "\(device): \(what)" : "\(device): \(what) (errno \(systemErrorNumber))"
  }
}
