import Forwarding
import Storage

// From orders to messages: payloads are opened, composed and handed to the client.
extension DeliveryService {
  /// Payloads held in memory at a time on their way to the client, at least one message.
  private static let batchBytes = 1 << 20

  /// - Returns: what became of orders that could not be handed over.
  func publish(_ orders: [PublishOrder]) async -> [DeliveryEvent] {
    var failures: [DeliveryEvent] = []
    var rest = orders[...]
    while !rest.isEmpty {
      var bytes = 0
      let batch = rest.prefix { order in
        defer { bytes += order.range.count }
        return bytes < Self.batchBytes
      }
      rest = rest.dropFirst(batch.count)
      failures += await publish(batch: batch)
    }
    return failures
  }

  private func publish(batch orders: ArraySlice<PublishOrder>) async -> [DeliveryEvent] {
    // Parts of one message stand together and are cut from one payload.
    var items: [OutboxItem] = []
    for order in orders where items.last?.id != order.item.id { items.append(order.item) }
    let payloads = await outbox.payloads(of: items)
    var failures: [DeliveryEvent] = []
    var messages: [(message: OutgoingMessage, token: PublishToken)] = []
    messages.reserveCapacity(orders.count)
    var index = 0
    for order in orders {
      if items[index].id != order.item.id { index += 1 }
      switch payloads[index] {
      case .success(let bytes):
        do throws(TopicError) {
          messages.append((try composer.message(for: order, payload: bytes), order.token))
        } catch {
          failures.append(.unreadable(order.token, reason: "\(error)"))
        }
      case .failure(.missing): failures.append(.vanished(order.token))
      case .failure(.sealing(.notAuthentic, let id)):
        failures.append(.unreadable(order.token, reason: "\(OutboxError.sealing(.notAuthentic, id: id))"))
      case .failure(let error):
        // The disk or a key that is not loaded: the message itself may be whole, so it waits.
        logger.error("a message cannot be read now; it waits", metadata: ["reason": "\(error)"])
        failures.append(.unavailable(order.token))
      }
    }
    if let published { for item in items { published(item) } }
    counters?.awaitReceipts(items.count { $0.deliveryClass == .capture || $0.deliveryClass == .image })
    handOver(messages)
    return failures
  }
}
