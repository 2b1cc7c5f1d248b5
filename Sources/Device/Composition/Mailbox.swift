import Synchronization

/// A bounded queue between two threads. A full mailbox refuses: the sender decides what that means.
final class Mailbox<Letter: Sendable>: Sendable {
  private let capacity: Int
  private let letters = Mutex<[Letter]>([])

  init(capacity: Int) {
    self.capacity = capacity
  }

  /// Returns false, and keeps what it has, when `capacity` letters are waiting.
  func put(_ letter: Letter) -> Bool {
    letters.withLock { letters in
      guard letters.count < capacity else { return false }
      letters.append(letter)
      return true
    }
  }

  /// The oldest letter, or nil.
  func take() -> Letter? {
    letters.withLock { $0.isEmpty ? nil : $0.removeFirst() }
  }
}
