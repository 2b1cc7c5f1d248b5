/// Judges what the broker sends down before anybody acts on it, and bounds what is said of what is refused.
package struct DownlinkReader: Sendable {
  package enum Meaning: Sendable, Equatable {
    case receipt(Receipt)
    /// A message on `dn/command`, not believed yet.
    case command(IncomingMessage)
    /// A message on `dn/trust`, not believed yet.
    case trust(IncomingMessage)
    /// A message on `dn/config`, not believed yet.
    case configuration(IncomingMessage)
    /// A message on `dn/result`, not believed yet.
    case result(IncomingMessage)
    /// A message below `dn/model`, not believed yet.
    case model(IncomingMessage)
    /// Why the message is refused, for the log; nil when enough was said of others of its kind. And whether it came as
    /// a receipt.
    case refused(String?, isReceipt: Bool)
  }

  private enum Fault: CaseIterable {
    case retained, unusedTopic, unbelieved
  }

  /// Of what kind a refused message was, for whoever counts them.
  package enum Refusal: Sendable, Equatable {
    case retained, unusedTopic
    /// A receipt that is none, and one whose word does not count.
    case malformed, untrusted
  }

  private let topics: TopicSchema
  private let takesCommands: Bool
  private let takesConfigurations: Bool
  private let takesTrust: Bool
  private let takesModels: Bool
  private let takesResults: Bool
  package private(set) var receipts: ReceiptReader
  private var counts: [Fault: Int] = [:]
  /// Of the newest message that was refused.
  package private(set) var lastRefusal: Refusal?

  package init(
    _ topics: TopicSchema, receipts: ReceiptReader, takesCommands: Bool = false, takesConfigurations: Bool = false,
    takesTrust: Bool = false, takesModels: Bool = false, takesResults: Bool = false
  ) {
    self.topics = topics
    self.takesCommands = takesCommands
    self.takesConfigurations = takesConfigurations
    self.takesTrust = takesTrust
    self.takesModels = takesModels
    self.takesResults = takesResults
    self.receipts = receipts
  }

  /// From now on receipts are judged by these.
  package mutating func judge(by rules: ReceiptReader.Rules) { receipts.rules = rules }

  /// A retained message is refused: a broker keeps it for ever and gives it to whoever subscribes, so it proves nothing
  /// of the present.
  package mutating func read(_ message: IncomingMessage) -> Meaning {
    guard !message.retain else {
      lastRefusal = .retained
      return refuse(.retained, "a retained message on \(message.topic)")
    }
    if takesCommands, message.topic == topics.commands { return .command(message) }
    if takesResults, message.topic == topics.results { return .result(message) }
    if takesTrust, message.topic == topics.trust { return .trust(message) }
    if takesConfigurations, message.topic == topics.configurations { return .configuration(message) }
    if takesModels, message.topic.hasPrefix(topics.models + "/") { return .model(message) }
    guard message.topic == topics.receipts else {
      lastRefusal = .unusedTopic
      return refuse(.unusedTopic, "a message on \(message.topic.prefix(128)), which is not in use")
    }
    do throws(ReceiptError) {
      return .receipt(try receipts.read(message.payload))
    } catch {
      lastRefusal = error.isMalformed ? .malformed : .untrusted
      return refuse(.unbelieved, "\(error); it frees nothing")
    }
  }

  /// Of each kind the first is told, then the second, the fourth, the eighth and so on.
  private mutating func refuse(_ fault: Fault, _ what: String) -> Meaning {
    let count = (counts[fault] ?? 0) + 1
    counts[fault] = count
    let isReceipt = fault == .unbelieved
    guard count & (count - 1) == 0 else { return .refused(nil, isReceipt: isReceipt) }
    return .refused(count == 1 ? what : "\(what); \(count) of this kind so far", isReceipt: isReceipt)
  }
}
