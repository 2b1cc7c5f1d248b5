import Provenance

/// A level of a topic that names a site or a device: `[a-z0-9-]{1,36}`.
package struct TopicIdentifier: Sendable, Hashable, CustomStringConvertible {
  package let text: String

  /// Refuses anything that does not match `[a-z0-9-]{1,36}`, wildcards and separators included.
  package init(_ text: String) throws(TopicError) {
    let bytes = text.utf8
    let allowed = bytes.allSatisfy {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        || $0 == UInt8(ascii: "-")
    }
    guard allowed, (1...36).contains(bytes.count) else { throw TopicError.identifier(text) }
    self.text = text
  }

  package var description: String { text }
}

/// Why a text is no topic of this schema.
package enum TopicError: Error, Sendable, Equatable, CustomStringConvertible {
  case identifier(String)
  case imageName(String)
  case part(index: Int, count: Int)

  package var description: String {
    switch self {
    case .identifier(let text):
      "topic: '\(text)' cannot name a site or device; expected 1 to 36 of a-z, 0-9 and '-'"
    case .imageName(let text):
      "topic: '\(text)' cannot name an image; expected 1 to 36 of a-z, 0-9, '-' and '.', e.g. master.png"
    case .part(let index, let count):
      "topic: part \(index) of \(count) does not exist; expected 1...count and at most \(TopicSchema.maximumParts)"
    }
  }
}

/// The topics of one device: `tg/v1/{site}/{device}/{up|dn}/...` (`Docs/decisions/0005-no-json-in-topics.md`).
///
/// The direction is a level, so that two ACL lines suffice for a broker. A whole message has at most 7 levels; the
/// part of an image has an eighth, the seven separators that AWS IoT Core allows.
package struct TopicSchema: Sendable, Hashable {
  /// Parts of one message; 1024 parts of 96 KiB are far beyond the outbox's largest payload.
  package static let maximumParts = 1024

  package let site: TopicIdentifier
  package let device: TopicIdentifier

  package init(site: TopicIdentifier, device: TopicIdentifier) {
    self.site = site
    self.device = device
  }

  /// `tg/v1/{site}/{device}`, the CloudEvents source.
  package var root: String { "tg/v1/\(site)/\(device)" }
  package var status: String { up("status") }
  package var receipts: String { "\(root)/dn/receipt" }
  package var commands: String { "\(root)/dn/command" }
  package var configurations: String { "\(root)/dn/config" }
  package var results: String { "\(root)/dn/result" }
  /// The metadata of a repository in one piece.
  package var trust: String { "\(root)/dn/trust" }
  /// Parts of models are below it: `.../{sha256}/{i}-of-{n}`.
  package var models: String { "\(root)/dn/model" }
  /// What a device subscribes to: the topics that it acts on, and no more.
  package func downlinks(
    takesCommands: Bool, takesConfigurations: Bool = false, takesTrust: Bool = false, takesModels: Bool = false,
    takesResults: Bool = false
  ) -> [String] {
    [receipts] + (takesCommands ? [commands] : []) + (takesConfigurations ? [configurations] : [])
      + (takesTrust ? [trust] : []) + (takesModels ? [models + "/+/+"] : [])
      + (takesResults ? [results] : [])
  }

  /// The complete topic of an uplink suffix, e.g. `capture` or `image/{capture_id}_master_png`.
  package func up(_ suffix: String) -> String { "\(root)/up/\(suffix)" }

  /// The topic of one part, `.../{index}-of-{count}`; `index` counts from 1.
  package func up(_ suffix: String, part index: Int, of count: Int) throws(TopicError) -> String {
    guard (1...Self.maximumParts).contains(count), (1...count).contains(index) else {
      throw TopicError.part(index: index, count: count)
    }
    return "\(up(suffix))/\(index)-of-\(count)"
  }

  /// The suffix of an image: `image/{capture_id}_{name}` with each `.` of the name written `_`, because RabbitMQ and NATS
  /// make a level of every dot. `name` is `[a-z0-9.-]{1,36}`, so `_` leads back to the dot.
  package static func imageSuffix(captureID: RandomIdentifier, name: String) throws(TopicError) -> String {
    let allowed = name.utf8.allSatisfy {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
    }
    guard allowed, (1...36).contains(name.utf8.count), !name.hasPrefix(".") else { throw TopicError.imageName(name) }
    return "image/\(captureID)_\(String(name.map { $0 == "." ? "_" : $0 }))"
  }
}

/// An uplink topic taken apart, as a receiver sees it.
package struct UplinkTopic: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case status, alert, capture, event, reply, health
    case image(captureID: RandomIdentifier, name: String, part: Part?)
  }

  /// One part of a divided message.
  package struct Part: Sendable, Hashable {
    /// 1...count
    package let index: Int
    /// 1...`TopicSchema.maximumParts`
    package let count: Int

    package init(index: Int, count: Int) {
      self.index = index
      self.count = count
    }
  }

  package let schema: TopicSchema
  package let kind: Kind

  /// Takes `topic` apart; nil when it is no uplink topic of this schema.
  package init?(_ topic: String) {
    guard topic.utf8.count <= 256 else { return nil }
    let levels = topic.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard levels.count >= 6, levels[0] == "tg", levels[1] == "v1", levels[4] == "up",
      let site = try? TopicIdentifier(levels[2]), let device = try? TopicIdentifier(levels[3])
    else { return nil }
    schema = TopicSchema(site: site, device: device)
    switch (levels[5], levels.count) {
    case ("status", 6): kind = .status
    case ("alert", 6): kind = .alert
    case ("capture", 6): kind = .capture
    case ("event", 6): kind = .event
    case ("reply", 6): kind = .reply
    case ("health", 6): kind = .health
    case ("image", 7...8):
      let text = levels[6]
      guard text.utf8.count > 37, let id = RandomIdentifier(String(text.prefix(36))),
        let name = Self.imageName(text.dropFirst(36)),
        (try? TopicSchema.imageSuffix(captureID: id, name: name)) != nil
      else { return nil }
      if levels.count == 7 {
        kind = .image(captureID: id, name: name, part: nil)
      } else {
        guard let part = Self.part(levels[7]) else { return nil }
        kind = .image(captureID: id, name: name, part: part)
      }
    default: return nil
    }
  }

  /// The name behind a capture's id. The form until 0.1.0, `.master.png`, stands beside `_master_png`: devices that were
  /// not updated yet send it.
  private static func imageName(_ text: Substring) -> String? {
    let name = text.dropFirst()
    switch text.first {
    case "_" where !name.contains("."): return String(name.map { $0 == "_" ? "." : $0 })
    case "." where !name.contains("_"): return String(name)
    default: return nil
    }
  }

  private static func part(_ text: String) -> Part? {
    guard let separator = text.firstRange(of: "-of-"), text.utf8.count <= 16,
      let index = Int(text[..<separator.lowerBound]), let count = Int(text[separator.upperBound...]),
      (1...TopicSchema.maximumParts).contains(count), (1...count).contains(index),
      text == "\(index)-of-\(count)"
    else { return nil }
    return Part(index: index, count: count)
  }
}
