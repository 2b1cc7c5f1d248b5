import Glibc

/// A small file of the kernel's (procfs, sysfs) that is read again and again. It is opened once; a reading allocates nothing.
package final class GaugeFile {
  /// What these files say is shorter; more is cut.
  private static let bytesMaximum = 1024

  package let path: String
  private let descriptor: OwnedDescriptor
  private let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: GaugeFile.bytesMaximum)

  /// nil when there is no such file: a board without this gauge.
  package init?(ifThere path: String) throws(FileError) {
    do throws(FileError) {
      descriptor = OwnedDescriptor(
        takingOver: try fileCall("open", on: path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) })
    } catch {
      if error.isMissing { return nil }
      throw error
    }
    self.path = path
  }

  deinit { buffer.deallocate() }

  /// Hands over what the file says now.
  package func read<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) throws(FileError) -> Result {
    let count = try fileCall("read", on: path) { pread(descriptor.number, buffer.baseAddress, buffer.count, 0) }
    return body(UnsafeBufferPointer(rebasing: buffer[..<count]))
  }

  /// The number at its beginning, in decimal or after `0x` in hexadecimal; nil when there is none.
  package func integer() throws(FileError) -> Int? { try read(Self.integer) }

  package static func integer(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
    var rest = text[...]
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest = rest.dropFirst() }
    var radix = 10
    if rest.count > 2, rest[rest.startIndex] == UInt8(ascii: "0"), rest[rest.startIndex + 1] | 0x20 == UInt8(ascii: "x")
    {
      radix = 16
      rest = rest.dropFirst(2)
    }
    var value = 0
    var digits = 0
    for byte in rest {
      guard let digit = Self.digit(byte), digit < radix else { break }
      let (product, overflow) = value.multipliedReportingOverflow(by: radix)
      let (sum, carry) = product.addingReportingOverflow(digit)
      guard !overflow, !carry else { return nil }
      value = sum
      digits += 1
    }
    return digits == 0 ? nil : isNegative ? -value : value
  }

  private static func digit(_ byte: UInt8) -> Int? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 48
    case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte) - 87
    case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte) - 55
    default: nil
    }
  }
}
