import CLinux
import Glibc

/// A thread with a name that `top -H`, `ps -L` and a core dump show. For the loops that wait in system calls, which
/// must not occupy a thread of the concurrency pool.
package final class NamedThread: Sendable {
  private let handle: pthread_t

  /// Starts a thread that runs `body` once. Its stack has 512 KiB.
  ///
  /// - Parameter name: at most 15 bytes of ASCII, the kernel's limit; the rest is cut off.
  package init(_ name: String, body: @escaping @Sendable () -> Void) throws(SystemCallError) {
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 512 * 1024)
    var handle = pthread_t()
    let failure = pthread_create(&handle, &attributes, runNamedThread, start.toOpaque())
    guard failure == 0 else {
      start.release()
      throw SystemCallError(call: "pthread_create", subject: "thread \(name)", errorNumber: failure)
    }
    self.handle = handle
  }

  /// Waits until the body has returned. Must be called exactly once, from another thread.
  package func join() {
    pthread_join(handle, nil)
  }

  fileprivate final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}

/// The C entry point: a free function, since a callback literal in isolated code traps when C calls it.
private func runNamedThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<NamedThread.Start>.fromOpaque(argument).takeRetainedValue()
  // A thread without its name is still the thread; only the list in `top` is poorer.
  _ = clinux_name_current_thread(start.name)
  start.body()
  return nil
}
