import CLinux
import Glibc
import LocalFiles

/// One entry for journald's native protocol: a message with fields that `journalctl FIELD=value` finds.
package struct JournalEntry: Sendable, Equatable {
  /// 0 (emergency) ... 7 (debug), syslog(3).
  package var priority: Int
  package var message: String
  /// Names in any case; on the wire they are `THERMOGRAPH_NAME`.
  package var fields: [(name: String, value: String)]

  package init(priority: Int, message: String, fields: [(name: String, value: String)]) {
    self.priority = priority
    self.message = message
    self.fields = fields
  }

  package static func == (left: Self, right: Self) -> Bool { left.datagram == right.datagram }

  /// `NAME=value` lines; a value with a line end is written as its length in 8 bytes, little-endian, and its bytes
  /// (systemd, Native Journal Protocol).
  package var datagram: [UInt8] {
    var bytes: [UInt8] = []
    func add(_ name: String, _ value: String) {
      let content = Array(value.utf8)
      bytes += Array(name.utf8)
      if content.contains(UInt8(ascii: "\n")) {
        bytes.append(UInt8(ascii: "\n"))
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: UInt64(content.count) >> UInt64(8 * shift))) }
      } else {
        bytes.append(UInt8(ascii: "="))
      }
      bytes += content
      bytes.append(UInt8(ascii: "\n"))
    }
    add("MESSAGE", message)
    add("PRIORITY", "\(priority)")
    add("SYSLOG_IDENTIFIER", "thermograph")
    for field in fields { add(Self.wireName(field.name), field.value) }
    return bytes
  }

  /// journald takes A-Z, 0-9 and `_`, at most 64 bytes.
  private static func wireName(_ name: String) -> String {
    let text = name.uppercased().utf8.map { byte -> UInt8 in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
      default: UInt8(ascii: "_")
      }
    }
    return String(decoding: Array("THERMOGRAPH_".utf8) + text.prefix(48), as: UTF8.self)
  }
}

/// journald's socket.
package struct JournalSocket: Sendable {
  package static let systemPath = "/run/systemd/journal/socket"

  private let path: String

  /// nil when standard error is not what `journalStream` (`$JOURNAL_STREAM`, `device:inode`) names: it was redirected, and
  /// whoever redirected it wants the lines.
  package init?(journalStream: String?, path: String = Self.systemPath, descriptor: Int32 = STDERR_FILENO) {
    var status = stat()
    guard let journalStream, fstat(descriptor, &status) == 0,
      journalStream == "\(status.st_dev):\(status.st_ino)"
    else { return nil }
    self.path = path
  }

  package init(path: String) {
    self.path = path
  }

  package func send(_ entry: JournalEntry) throws(SystemCallError) {
    let datagram = entry.datagram
    try systemCall("sendto", on: path) { clinux_send_unix_datagram(path, datagram, datagram.count) }
  }
}
