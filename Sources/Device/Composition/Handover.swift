import Synchronization

/// Hands a value that cannot be shared to the one thread, or actor, that will own it.
final class Handover<Value>: @unchecked Sendable {
  // Its maker lets go of it, and it is given out once: nobody else can reach it.
  private let value: Mutex<Box>

  private struct Box: @unchecked Sendable { var value: Value? }

  /// - Parameter value: nobody else may keep a reference to it.
  init(_ value: Value) {
    self.value = Mutex(Box(value: value))
  }

  /// The value, the first time.
  func take() -> Value? {
    value.withLock { box in
      let taken = box
      box.value = nil
      return taken
    }.value
  }
}
