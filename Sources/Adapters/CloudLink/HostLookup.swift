import Forwarding
import Glibc
import LocalFiles
import Threads

/// A name's addresses, for tools that may wait.
package enum HostLookup {
  /// Waits for at most `timeoutMilliseconds`. A numeric address is its own answer.
  package static func addresses(of host: String, timeoutMilliseconds: Int) throws(LinkFailure) -> [String] {
    if let address = NameResolver.numericAddress(host) { return [address] }
    let wake: WakeSignal
    do throws(SystemCallError) { wake = try WakeSignal() } catch {
      throw LinkFailure(kind: .nameResolution, detail: "\(error)")
    }
    let resolver = NameResolver(wake: wake)
    resolver.begin(host)
    var descriptor = pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)
    guard poll(&descriptor, 1, Int32(clamping: timeoutMilliseconds)) > 0 else {
      throw LinkFailure(kind: .nameResolution, detail: "\(host): no answer within \(timeoutMilliseconds) ms")
    }
    switch resolver.answer(for: host) {
    case .addresses(let addresses): return addresses
    case .failure(let failure): throw failure
    case nil: throw LinkFailure(kind: .nameResolution, detail: "\(host): no answer")
    }
  }
}
