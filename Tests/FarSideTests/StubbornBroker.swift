import Foundation
import Synchronization
import TestSupport

/// A broker of MQTT 5 that does what a test says: refuses subscriptions, or grants them and delivers nothing.
final class StubbornBroker: Sendable {
  enum Answer: Sendable {
    /// SUBACK with this reason.
    case refuses(UInt8)
    /// SUBACK, and then silence.
    case forgets
    /// SUBACK, and then these messages.
    case delivers([(topic: String, payload: [UInt8])])
  }

  let port: UInt16
  private let listener: Int32
  private let answers: Mutex<[Answer]>
  private let connections = Mutex(0)
  private let published = Mutex<[(topic: String, payload: [UInt8])]>([])
  private let isStopped = Mutex(false)

  /// - Parameter answers: for one connection after the other; the last holds for all that follow.
  init(_ answers: [Answer]) throws {
    self.answers = Mutex(answers)
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = FreePort.loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let isBound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 8) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound else { throw TestFault(description: "no listener: \(errno)") }
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [self] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0, !isStopped.withLock({ $0 }) else { return }
        let answer = self.answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
        self.connections.withLock { $0 += 1 }
        Thread.detachNewThread { self.serve(client, answer) }
      }
    }
  }

  func stop() {
    isStopped.withLock { $0 = true }
    shutdown(listener, Int32(SHUT_RDWR))
  }

  var connectionCount: Int { connections.withLock { $0 } }
  var publishedByClient: [(topic: String, payload: [UInt8])] { published.withLock { $0 } }

  private func serve(_ client: Int32, _ answer: Answer) {
    defer { close(client) }
    var pending: [UInt8] = []
    func take(_ count: Int) -> [UInt8]? {
      while pending.count < count {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let got = recv(client, &buffer, buffer.count, 0)
        guard got > 0 else { return nil }
        pending += buffer.prefix(got)
      }
      defer { pending.removeFirst(count) }
      return Array(pending.prefix(count))
    }
    func send(_ bytes: [UInt8]) { _ = Foundation.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    while let head = take(1)?.first {
      var length = 0
      var shift = 0
      while let byte = take(1)?.first {
        length |= Int(byte & 127) << shift
        shift += 7
        if byte < 128 { break }
      }
      guard let body = take(length) else { return }
      switch head >> 4 {
      case 1: send([0x20, 3, 0, 0, 0])
      case 8:
        switch answer {
        case .refuses(let reason): send([0x90, 4, body[0], body[1], 0, reason])
        case .forgets: send([0x90, 4, body[0], body[1], 0, 1])
        case .delivers(let messages):
          send([0x90, 4, body[0], body[1], 0, 1])
          for (number, message) in messages.enumerated() {
            send(Self.publish(message.topic, message.payload, UInt16(number + 1)))
          }
        }
      case 3:
        let count = Int(body[0]) << 8 | Int(body[1])
        let topic = String(decoding: body[2..<(2 + count)], as: UTF8.self)
        send([0x40, 2, body[2 + count], body[3 + count]])
        // Content type and user properties lie before the payload; their length takes one byte here or two.
        var at = 4 + count
        var properties = Int(body[at] & 127)
        if body[at] > 127 {
          at += 1
          properties |= Int(body[at]) << 7
        }
        published.withLock { $0.append((topic, Array(body[(at + 1 + properties)...]))) }
      case 12: send([0xd0, 0])
      case 14: return
      default: break
      }
    }
  }

  private static func publish(_ topic: String, _ payload: [UInt8], _ identifier: UInt16) -> [UInt8] {
    let name = Array(topic.utf8)
    let body =
      [UInt8(name.count >> 8), UInt8(name.count & 255)] + name + [UInt8(identifier >> 8), UInt8(identifier & 255), 0]
      + payload
    var length: [UInt8] = []
    var rest = body.count
    repeat {
      length.append(UInt8(rest & 127) | (rest > 127 ? 128 : 0))
      rest >>= 7
    } while rest > 0
    return [0x32] + length + body
  }
}
