import Forwarding
import Glibc
import LocalFiles
import Synchronization
import Threads

/// Turns a name into addresses on a thread of its own, because `getaddrinfo` cannot be interrupted and may hang for
/// minutes. There is at most one such thread: a look-up that still hangs is waited for again, not doubled.
final class NameResolver: Sendable {
  /// Addresses tried of one name.
  static let addressesMaximum = 8

  enum Answer: Sendable, Equatable {
    case addresses([String])
    case failure(LinkFailure)
  }

  private struct State {
    var pendingName: String?
    var answer: (name: String, result: Answer)?
  }

  private let state = Mutex(State())
  private let wake: WakeSignal

  init(wake: WakeSignal) {
    self.wake = wake
  }

  /// Begins to look `name` up; `answer(for:)` has the result after the next wake-up.
  func begin(_ name: String) {
    let mustStart = state.withLock { state in
      state.answer = nil
      guard state.pendingName == nil else { return false }
      state.pendingName = name
      return true
    }
    if mustStart { start(name) }
  }

  /// The answer, once it is there. An answer to a question of the past starts the present one.
  func answer(for name: String) -> Answer? {
    let (answer, mustStart): (Answer?, Bool) = state.withLock { state in
      guard let answer = state.answer else { return (nil, false) }
      state.answer = nil
      if answer.name == name { return (answer.result, false) }
      state.pendingName = name
      return (nil, true)
    }
    if mustStart { start(name) }
    return answer
  }

  private func start(_ name: String) {
    do throws(SystemCallError) {
      _ = try NamedThread("resolver") { self.finish(name, Self.lookUp(name, onlyNumeric: false)) }
    } catch {
      finish(name, .failure(LinkFailure(kind: .nameResolution, detail: "looking \(name) up: \(error)")))
    }
  }

  private func finish(_ name: String, _ result: Answer) {
    state.withLock { state in
      state.pendingName = nil
      state.answer = (name, result)
    }
    wake.signal()
  }

  /// The address when `name` is one already, without any look-up.
  static func numericAddress(_ name: String) -> String? {
    guard case .addresses(let addresses) = lookUp(name, onlyNumeric: true) else { return nil }
    return addresses.first
  }

  private static func lookUp(_ name: String, onlyNumeric: Bool) -> Answer {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = onlyNumeric ? AI_NUMERICHOST : AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name, nil, &hints, &list)
    guard code == 0 else {
      let reason = code == EAI_SYSTEM ? SystemCallError.text(of: errno) : String(cString: gai_strerror(code))
      return .failure(LinkFailure(kind: .nameResolution, detail: "\(name): \(reason)"))
    }
    defer { freeaddrinfo(list) }
    var addresses: [String] = []
    var position = list
    while let entry = position?.pointee, addresses.count < addressesMaximum {
      position = entry.ai_next
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard
        getnameinfo(
          entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      else { continue }
      let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if !addresses.contains(address) { addresses.append(address) }
    }
    guard !addresses.isEmpty else {
      return .failure(LinkFailure(kind: .nameResolution, detail: "\(name): no address of IPv4 or IPv6"))
    }
    return .addresses(addresses)
  }

  /// Whether an address as `getnameinfo` writes it is of this machine alone (127.0.0.0/8, ::1).
  static func isLoopback(_ address: String) -> Bool {
    address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
  }
}
