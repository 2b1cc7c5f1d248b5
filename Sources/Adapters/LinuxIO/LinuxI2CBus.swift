import CI2C
import Glibc
import LocalFiles
import Thermography

/// A bus through the kernel's i2c-dev interface (`/dev/i2c-N`): each transaction is one `I2C_RDWR` call.
package struct LinuxI2CBus: I2CBus {
  private let path: String
  /// Nil between a failed opening and the next.
  private var handle: Handle?

  /// Closes with the last copy: a driver owns its bus, but an existential may be copied on the way there.
  private final class Handle: Sendable {
    let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
  }

  /// Opens the bus. Throws `.unavailable` when the node is missing or forbidden, `.other` when the adapter only speaks
  /// SMBus, which cannot address a sensor with 16-bit registers.
  package init(path: String) throws(I2CError) {
    self.path = path
    handle = try Self.open(path)
  }

  package mutating func reopen() throws(I2CError) {
    handle = nil
    handle = try Self.open(path)
  }

  package mutating func transaction(
    address: UInt8, write: UnsafeRawBufferPointer, read: UnsafeMutableRawBufferPointer
  ) throws(I2CError) {
    guard let handle else { throw I2CError(kind: .unavailable, device: path, systemErrorNumber: ENODEV) }
    let transferred: Int32
    do {
      transferred = try systemCall("ioctl I2C_RDWR", on: path) {
        ci2c_transaction(
          handle.descriptor.number, address, write.bindMemory(to: UInt8.self).baseAddress, write.count,
          read.bindMemory(to: UInt8.self).baseAddress, read.count)
      }
    } catch {
      throw Self.transferError(errorNumber: error.errorNumber, path: path)
    }
    guard transferred == (read.isEmpty ? 1 : 2) else { throw I2CError(kind: .shortTransfer, device: path) }
  }

  private static func open(_ path: String) throws(I2CError) -> Handle {
    do throws(SystemCallError) {
      let descriptor = OwnedDescriptor(
        takingOver: try systemCall("open", on: path) { Glibc.open(path, O_RDWR | O_CLOEXEC) })
      let capable = try systemCall("ioctl I2C_FUNCS", on: path) { ci2c_has_transactions(descriptor.number) }
      guard capable == 1 else { throw SystemCallError(call: "ioctl", subject: path, errorNumber: EOPNOTSUPP) }
      return Handle(descriptor)
    } catch {
      let kind: I2CError.Kind = error.errorNumber == EOPNOTSUPP ? .other : .unavailable
      throw I2CError(kind: kind, device: path, systemErrorNumber: error.errorNumber)
    }
  }

  /// What an errno of `I2C_RDWR` means (kernel documentation, i2c/fault-codes; the Pi's controller answers EREMOTEIO
  /// where others answer ENXIO).
  package static func transferError(errorNumber: Int32, path: String) -> I2CError {
    let kind: I2CError.Kind =
      switch errorNumber {
      case ENXIO, EREMOTEIO: .noAcknowledgeAddress
      case EPROTO: .noAcknowledgeData
      case EAGAIN: .arbitrationLost
      case EIO: .bus
      case ETIMEDOUT: .timeout
      case ENODEV, ENOENT, EACCES, EBADF: .unavailable
      default: .other
      }
    return I2CError(kind: kind, device: path, systemErrorNumber: errorNumber)
  }
}
