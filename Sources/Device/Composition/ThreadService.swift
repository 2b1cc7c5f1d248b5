import LinuxIO
import ServiceLifecycle
import Synchronization
import Threads

/// Whether a loop on a thread of its own shall end.
final class StopFlag: Sendable {
  private let raised = Atomic<Bool>(false)

  var isRaised: Bool { raised.load(ordering: .acquiring) }

  func raise() { raised.store(true, ordering: .releasing) }
}

/// A blocking loop on a named thread, as a service: drivers stay synchronous values, and the service group still
/// starts and stops them in order.
struct ThreadService: Service {
  /// At most 15 bytes: the kernel's limit for a thread's name.
  let name: String
  /// Returns soon after the flag is raised; an error it throws ends the device.
  let loop: @Sendable (StopFlag) throws -> Void
  /// Called after the flag was raised, to wake a loop that waits.
  var wake: @Sendable () -> Void = {}

  func run() async throws {
    let stop = StopFlag()
    let raise: @Sendable () -> Void = {
      stop.raise()
      wake()
    }
    let (finished, continuation) = AsyncThrowingStream.makeStream(of: Never.self)
    let thread = try NamedThread(name) {
      do {
        try loop(stop)
        continuation.finish()
      } catch {
        continuation.finish(throwing: error)
      }
    }
    defer { thread.join() }
    try await withTaskCancellationHandler {
      try await withGracefulShutdownHandler {
        for try await _ in finished {}
      } onGracefulShutdown: {
        raise()
      }
    } onCancel: {
      raise()
    }
  }
}
