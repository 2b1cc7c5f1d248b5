import CMosquitto
import Forwarding
import Glibc

extension LinkCredentials {
  /// The longest password in bytes (MQTT 5 section 3.1.3.6 allows 65535).
  static let passwordBytesMaximum = 4096

  /// The password as its file has it now, without the end of the line; nil when there is no file.
  func password() throws(LinkLibraryError) -> String? {
    guard let passwordFile else { return nil }
    let descriptor = open(passwordFile, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw LinkLibraryError(call: passwordFile, code: Int32(MOSQ_ERR_ERRNO.rawValue), errnoCode: errno)
    }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: Self.passwordBytesMaximum + 1)
    var count = 0
    while count < bytes.count {
      let more = bytes.withUnsafeMutableBytes { buffer in
        read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
      }
      if more < 0, errno == EINTR { continue }
      guard more >= 0 else {
        throw LinkLibraryError(call: passwordFile, code: Int32(MOSQ_ERR_ERRNO.rawValue), errnoCode: errno)
      }
      guard more > 0 else { break }
      count += more
    }
    guard count <= Self.passwordBytesMaximum else {
      throw LinkLibraryError(call: passwordFile, code: Int32(MOSQ_ERR_ERRNO.rawValue), errnoCode: EFBIG)
    }
    let line = bytes[..<count].prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    return String(decoding: line, as: UTF8.self)
  }
}
