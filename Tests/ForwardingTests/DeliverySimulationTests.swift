import Forwarding
import Provenance
import Testing

/// A thousand messages through a line that fails at random, many times over: nothing is lost, nothing is delivered
/// that was not sent, and the first deliveries of a class come in the order of storing.
@Suite struct DeliverySimulationTests {
  @Test(arguments: 1...12)
  func nothingIsLostAndOrderIsKept(seed: Int) {
    var dice = SeededGenerator(seed: UInt64(seed))
    let receiptMode = seed % 2 == 0
    var bench = Bench(
      quick {
        $0.confirm = receiptMode ? .receipt : .broker
        $0.window = 1 + seed * 3
        $0.settlementBatch = 7
        $0.settlementDelayMilliseconds = 50
        $0.partBytes = 8192
        $0.receiptTimeoutSeconds = 40
      }, seed: UInt64(seed))
    bench.send(.start)
    var stored: [OutboxItem] = []
    var arrived: [DeliveryClass: [Int64]] = [:]
    var parts: [Int64: Set<Int>] = [:]
    var connected = false
    let classes: [DeliveryClass] = [.alert, .capture, .capture, .image, .image, .event]
    var steps = 0
    while steps < 60_000 && (stored.count < 1000 || !bench.waiting.isEmpty || !bench.awaitingReceipt.isEmpty) {
      steps += 1
      switch Int.random(in: 0..<100, using: &dice) {
      case 0..<12 where stored.count < 1000:
        let item = makeItem(
          Int64(stored.count + 1), classes[Int.random(in: 0..<classes.count, using: &dice)],
          bytes: [500, 6000, 60_000][Int.random(in: 0..<3, using: &dice)])
        stored.append(item)
        bench.store(item)
      case 12..<13 where connected:
        // Some that were received never get their acknowledgement.
        connected = false
        bench.lose()
      case 13..<60 where connected && !bench.wire.isEmpty:
        let order = bench.wire[0]
        var seen = parts[order.item.id] ?? []
        seen.insert(order.part?.index ?? 1)
        parts[order.item.id] = seen
        if seen.count == order.part?.count ?? 1, arrived[order.item.deliveryClass]?.contains(order.item.id) != true {
          arrived[order.item.deliveryClass, default: []].append(order.item.id)
        }
        if Int.random(in: 0..<10, using: &dice) > 0 { bench.answer() } else { bench.wire.removeFirst() }
      case 60..<70 where receiptMode && connected:
        // Every other receipt is lost.
        bench.awaitingReceipt.removeAll { _ in Bool.random(using: &dice) }
      default:
        if connected {
          bench.now += 30_000_000
          bench.send(.tick)
        } else {
          bench.sleep()
          if bench.connects > 0, Bool.random(using: &dice) {
            bench.send(.link(.connected(ConnectionLimits(receiveMaximum: 1 + Int.random(in: 0..<40, using: &dice)))))
            connected = bench.machine.isConnected
          } else {
            bench.send(.link(.connectionFailed(LinkFailure(kind: .unreachable, detail: "test"))))
          }
        }
      }
      if connected && bench.wire.isEmpty && !bench.waiting.isEmpty && bench.disconnects > 0 {
        // The machine gave the connection up because answers were missing.
        connected = bench.machine.isConnected
        if !connected { bench.lose(.requested) }
      }
    }
    #expect(stored.count == 1000)
    #expect(bench.waiting.isEmpty, "after \(steps) steps")
    #expect(bench.quarantined.isEmpty)
    for deliveryClass in DeliveryClass.allCases {
      let sentOrder = stored.filter { $0.deliveryClass == deliveryClass }.map(\.id)
      #expect(arrived[deliveryClass] ?? [] == sentOrder, "\(deliveryClass.name)")
    }
  }
}
