/// Where a broker listens, as people write it: `host:port`, `[v6 address]:port`.
package struct BrokerAddress: Sendable, Equatable, CustomStringConvertible {
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// The address written as `text`; without a port `defaultPort` (1883 plain, 8883 TLS). nil when it is none.
  package init?(_ text: String, defaultPort: UInt16 = 1883) {
    var host = text
    var port = defaultPort
    // A bare IPv6 address has several colons and no port.
    let bracketed = text.hasPrefix("[")
    let colons = text.utf8.filter { $0 == UInt8(ascii: ":") }.count
    if bracketed {
      guard let end = text.firstIndex(of: "]") else { return nil }
      host = String(text[text.index(after: text.startIndex)..<end])
      let rest = text[text.index(after: end)...]
      if !rest.isEmpty {
        guard rest.first == ":", let number = UInt16(rest.dropFirst()) else { return nil }
        port = number
      }
    } else if colons == 1, let colon = text.firstIndex(of: ":") {
      host = String(text[..<colon])
      guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
      port = number
    }
    let isPlausible = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
    guard port > 0, (1...253).contains(host.utf8.count), isPlausible else { return nil }
    self.init(host: host, port: port)
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
