/// Judges what the broker sends down before anybody acts on it, and bounds what is said of what is refused.
package struct DownlinkReader: Sendable {
  package enum Meaning: Sendable, Equatable {
    case receipt(Receipt)
    /// Why the message is refused, for the log; nil when enough was said of others of its kind.
    case refused(String?)
  }

  private enum Fault: CaseIterable {
    case retained, unusedTopic, unreadable
  }

  private let topics: TopicSchema
  private var counts: [Fault: Int] = [:]

  package init(_ topics: TopicSchema) { self.topics = topics }

  /// A retained message is refused: a broker keeps it for ever and gives it to whoever subscribes, so it proves nothing
  /// of the present.
  package mutating func read(_ message: IncomingMessage) -> Meaning {
    guard !message.retain else { return refuse(.retained, "a retained message on \(message.topic)") }
    guard message.topic == topics.receipts else {
      return refuse(.unusedTopic, "a message on \(message.topic.prefix(128)), which is not in use")
    }
    do throws(ReceiptError) {
      return .receipt(try Receipt(decoding: message.payload))
    } catch {
      return refuse(.unreadable, "\(error)")
    }
  }

  /// Of each kind the first is told, then the second, the fourth, the eighth and so on.
  private mutating func refuse(_ fault: Fault, _ what: String) -> Meaning {
    let count = (counts[fault] ?? 0) + 1
    counts[fault] = count
    guard count & (count - 1) == 0 else { return .refused(nil) }
    return .refused(count == 1 ? what : "\(what); \(count) of this kind so far")
  }
}
