import Provenance

/// Says once when the sync window opens and once when it closes. A clock that nobody vouches for closes nothing.
package struct SyncWindowWatch: Sendable {
  package let window: SyncWindow
  private var isOpen = true

  package init(_ window: SyncWindow) { self.window = window }

  /// Whether the window has opened or closed by `now`; nil when nothing changed. It is open before the first look.
  package mutating func change(at now: Timestamp) -> Bool? {
    let present = !now.synchronised || window.contains(utcNanoseconds: now.utcNanoseconds)
    guard present != isOpen else { return nil }
    isOpen = present
    return present
  }
}
