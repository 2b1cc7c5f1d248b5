import Forwarding
import Panel

/// The texts that a key may take.
package enum TextForm: Sendable, Equatable {
  /// A level of an MQTT topic.
  case identifier
  /// A folder or file name without directories.
  case label
  case absolutePath
  case host
  /// What a person is told: one line.
  case sentence
  /// What stands before or after the digits of a line reader; may be empty.
  case affix
  /// Steps of colour letters and milliseconds; see `PanelPattern`.
  case panelPattern
  /// Part of a day.
  case timeWindow
  /// A name that another system gave.
  case printable

  static let maximumPathBytes = 1024
  static let maximumHostBytes = 253
  static let maximumSentenceBytes = 200

  package var expectation: String {
    switch self {
    case .identifier: "1 to 36 of a-z, 0-9 and -"
    case .label: "1 to 64 of A-Z, a-z, 0-9, ., _ and -, not starting with a dot"
    case .absolutePath: "an absolute path of at most \(Self.maximumPathBytes) bytes"
    case .host: "a host name or address without mqtt:// and without a port"
    case .sentence: "a line of text of 1 to \(Self.maximumSentenceBytes) bytes"
    case .affix: "at most 16 printable ASCII characters"
    case .panelPattern:
      "1 to \(PanelPattern.stepsMaximum) steps such as \"G200 -800 *\": R, G, B, z in this order or -, then 20 to 10000 "
        + "milliseconds; * at the end repeats"
    case .timeWindow: "HH:MM-HH:MM in UTC, e.g. 22:00-05:30"
    case .printable: "1 to 256 printable ASCII characters without spaces"
    }
  }

  /// ECMA-262 regular expression for the JSON Schema; says the same as `accepts` (a test compares them).
  package var pattern: String {
    switch self {
    case .identifier: "^[a-z0-9-]{1,36}$"
    case .label: "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"
    case .absolutePath: "^/[^\\u0000-\\u001f\\u007f]*$"
    case .sentence: "^(?=[\\s\\S]{1,\(Self.maximumSentenceBytes)}$)[^\\u0000-\\u001f\\u007f]+$"
    case .affix: "^[ -~]{0,16}$"
    case .panelPattern:
      "^(\(Self.panelStep) ){0,\(PanelPattern.stepsMaximum - 1)}\(Self.panelStep)( \\*)?$"
    case .timeWindow: "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
    case .printable: "^[!-~]{1,256}$"
    case .host: "^([A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$"
    }
  }

  private static let panelStep = "(-|(?=[RGBz])R?G?B?z?)([2-9][0-9]|[1-9][0-9]{2,3}|10000)"

  package func accepts(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    switch self {
    case .sentence:
      return (1...Self.maximumSentenceBytes).contains(bytes.count) && bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    case .affix:
      return bytes.count <= 16 && bytes.allSatisfy { (0x20...0x7E).contains($0) }
    case .panelPattern:
      // One way to write each pattern, so that the effective listing shows what the file says.
      return PanelPattern(text)?.text == text
    case .identifier:
      return (1...36).contains(bytes.count)
        && bytes.allSatisfy { isLowercase($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    case .label:
      return (1...64).contains(bytes.count) && bytes.first != UInt8(ascii: ".") && bytes.allSatisfy(isLabelByte)
    case .absolutePath:
      return bytes.first == UInt8(ascii: "/") && bytes.count <= Self.maximumPathBytes
        && bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    case .timeWindow:
      return SyncWindow.minutes(of: text) != nil
    case .printable:
      return (1...256).contains(bytes.count) && bytes.allSatisfy { (0x21...0x7E).contains($0) }
    case .host:
      guard (1...Self.maximumHostBytes).contains(bytes.count) else { return false }
      // Two colons or more make an IPv6 address; one would be a port.
      if bytes.filter({ $0 == UInt8(ascii: ":") }).count >= 2 {
        return bytes.allSatisfy { isHexadecimal($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }
          && bytes.prefix { $0 != UInt8(ascii: ":") }.allSatisfy(isHexadecimal)
      }
      return bytes.allSatisfy(isLabelByte)
    }
  }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

private func isLowercase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

private func isHexadecimal(_ byte: UInt8) -> Bool {
  isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
}

private func isLabelByte(_ byte: UInt8) -> Bool {
  isDigit(byte) || isLowercase(byte | 0x20) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
    || byte == UInt8(ascii: "-")
}
