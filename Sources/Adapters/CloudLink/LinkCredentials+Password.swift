import Forwarding
import LocalFiles

extension LinkCredentials {
  /// The longest password in bytes (MQTT 5 section 3.1.3.6 allows 65535).
  static let passwordBytesMaximum = 4096

  /// The password as its file has it now, without the end of the line; nil when there is no file.
  func password() throws(FileError) -> String? {
    guard let passwordFile else { return nil }
    let bytes = try BoundedFile.read(passwordFile, maximumBytes: Self.passwordBytesMaximum)
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    return String(decoding: line, as: UTF8.self)
  }
}
