import Forwarding

/// Where the house's topics lie at a broker that prescribes its own, such as Azure IoT Hub.
///
/// The delivery logic knows only `tg/v1/{site}/{device}/{up|dn}/{suffix}`; a template turns an uplink topic into the
/// broker's on the way out and a downlink topic back on the way in.
package struct TopicTemplate: Sendable, Equatable {
  /// Pattern of uplink topics. `{site}`, `{device}`, `{suffix}` (what follows `up/`) and `{suffix-encoded}` (the same
  /// with everything but letters, digits, `-`, `.` and `_` percent-encoded, so that it is one level) are filled in.
  package var uplink: String
  /// Filter to subscribe to instead of `.../dn/#`; `{site}` and `{device}` are filled in.
  package var downlinkFilter: String
  /// What stands before the (percent-encoded) suffix in an incoming topic, e.g. `topic=`; it ends at `&` or the end.
  /// nil: the suffix is what the filter's `#` stands for.
  package var downlinkMarker: String?

  package init(uplink: String, downlinkFilter: String, downlinkMarker: String? = nil) {
    self.uplink = uplink
    self.downlinkFilter = downlinkFilter
    self.downlinkMarker = downlinkMarker
  }

  /// Azure IoT Hub (MQTT 3.1.1): the suffix travels as a message property within the topic.
  package static let azureIoTHub = TopicTemplate(
    uplink: "devices/{device}/messages/events/topic={suffix-encoded}",
    downlinkFilter: "devices/{device}/messages/devicebound/#", downlinkMarker: "topic=")

  /// The broker's topic for one of ours; other topics stay as they are.
  func outgoing(_ topic: String) -> String {
    guard let (site, device, direction, suffix) = Self.levels(topic), direction == "up" else { return topic }
    return fill(uplink, site: site, device: device)
      .replacing("{suffix-encoded}", with: Self.encoded(suffix)).replacing("{suffix}", with: suffix)
  }

  /// The broker's filter for one of ours.
  func filter(_ filter: String) -> String {
    guard let (site, device, direction, _) = Self.levels(filter), direction == "dn" else { return filter }
    return fill(downlinkFilter, site: site, device: device)
  }

  /// Our topic for one of the broker's, given the filter of ours that was subscribed to; nil when there is no suffix
  /// in it.
  func incoming(_ topic: String, subscribed filter: String) -> String? {
    guard let (site, device, direction, _) = Self.levels(filter), direction == "dn" else { return topic }
    let prefix = fill(downlinkFilter, site: site, device: device).prefix { $0 != "#" }
    guard topic.hasPrefix(prefix) else { return nil }
    let rest = topic.dropFirst(prefix.count)
    var suffix = String(rest)
    if let downlinkMarker {
      guard let marker = rest.firstRange(of: downlinkMarker) else { return nil }
      guard let decoded = Self.decoded(rest[marker.upperBound...].prefix { $0 != "&" }) else { return nil }
      suffix = decoded
    }
    guard !suffix.isEmpty else { return nil }
    return "tg/v1/\(site)/\(device)/dn/\(suffix)"
  }

  private func fill(_ pattern: String, site: String, device: String) -> String {
    pattern.replacing("{site}", with: site).replacing("{device}", with: device)
  }

  private static func levels(_ topic: String) -> (site: String, device: String, direction: String, suffix: String)? {
    let levels = topic.split(separator: "/", maxSplits: 5, omittingEmptySubsequences: false).map(String.init)
    guard levels.count == 6, levels[0] == "tg", levels[1] == "v1" else { return nil }
    return (levels[2], levels[3], levels[4], levels[5])
  }

  private static func encoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return result
  }

  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        return nil
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
