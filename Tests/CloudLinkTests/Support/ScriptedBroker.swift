import Foundation
import Synchronization
import TestSupport

/// As much of an MQTT 5 broker as a device needs, whose PUBACKs say what a test wants: mosquitto has no quota to run
/// out of. One connection at a time, QoS 1 only.
final class ScriptedBroker: Sendable {
  private struct State {
    var accepted: [String] = []
    var refused: [String] = []
    var connects: [[UInt8]] = []
    var subscribed: [String] = []
    var isStopped = false
  }

  private final class Holder: Sendable {
    let state = Mutex(State())
  }

  let port: UInt16
  private let listener: Int32
  private let holder = Holder()

  /// - Parameters:
  ///   - subscription: the reason of a SUBACK; nil for a broker that does not answer.
  ///   - answer: the reason of the PUBACK for a topic; `number` counts the publishes from 1.
  init(
    subscription: UInt8? = 1, answer: @escaping @Sendable (_ topic: String, _ number: Int) -> UInt8 = { _, _ in 0 }
  ) throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = FreePort.loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isReady = withUnsafeMutablePointer(to: &address) { [listener] pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &size) == 0
      }
    }
    guard isReady else { throw TestFault(description: "scripted broker: \(errno)") }
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [listener, holder] in
      var number = 0
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        let note: (UInt8, [UInt8]) -> Void = { kind, body in
          holder.state.withLock { state in
            if kind >> 4 == 1 { state.connects.append(body) }
            // Packet identifier, no properties, then length and filter (MQTT 5 section 3.8).
            if kind >> 4 == 8 { state.subscribed.append(String(decoding: body[5..<(5 + Int(body[4]))], as: UTF8.self)) }
          }
        }
        Self.serve(client, subscription: subscription, note) { topic in
          number += 1
          let reason = answer(topic, number)
          holder.state.withLock { state in
            if reason < 0x80 { state.accepted.append(topic) } else { state.refused.append(topic) }
          }
          return reason
        }
        close(client)
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  var accepted: [String] { holder.state.withLock { $0.accepted } }
  var refused: [String] { holder.state.withLock { $0.refused } }

  /// CONNECT packets without their fixed headers.
  var connects: [[UInt8]] { holder.state.withLock { $0.connects } }
  /// Filters that were asked for.
  var subscribed: [String] { holder.state.withLock { $0.subscribed } }

  private static func serve(
    _ client: Int32, subscription: UInt8?, _ note: (UInt8, [UInt8]) -> Void, _ answer: (String) -> UInt8
  ) {
    while let (kind, body) = packet(from: client) {
      note(kind, body)
      var reply: [UInt8]
      switch kind >> 4 {
      case 1: reply = [0x20, 3, 0, 0, 0]  // CONNACK
      case 3:  // PUBLISH
        let length = Int(body[0]) << 8 | Int(body[1])
        let topic = String(decoding: body[2..<(2 + length)], as: UTF8.self)
        guard kind & 0x06 != 0 else { continue }
        reply = [0x40, 3, body[2 + length], body[3 + length], answer(topic)]
      case 8:  // SUBACK
        guard let subscription else { continue }
        reply = [0x90, 4, body[0], body[1], 0, subscription]
      case 12: reply = [0xD0, 0]  // PINGRESP
      default: return
      }
      guard send(client, &reply, reply.count, Int32(MSG_NOSIGNAL)) == reply.count else { return }
    }
  }

  /// The first byte and the rest of a packet (MQTT 5 section 2.1), nil at the end.
  private static func packet(from client: Int32) -> (UInt8, [UInt8])? {
    guard let first = bytes(1, from: client)?.first else { return nil }
    var length = 0
    for shift in stride(from: 0, through: 21, by: 7) {
      guard let byte = bytes(1, from: client)?.first else { return nil }
      length |= Int(byte & 0x7F) << shift
      if byte & 0x80 == 0 { break }
    }
    return bytes(length, from: client).map { (first, $0) }
  }

  private static func bytes(_ count: Int, from client: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let more = bytes.withUnsafeMutableBytes { recv(client, $0.baseAddress?.advanced(by: filled), count - filled, 0) }
      guard more > 0 else { return nil }
      filled += more
    }
    return bytes
  }
}
