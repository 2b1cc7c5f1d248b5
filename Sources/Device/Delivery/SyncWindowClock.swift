import Forwarding
import Provenance

/// Tells delivery when the sync window opens and closes.
struct SyncWindowClock: Sendable {
  private static let period = Duration.seconds(20)

  private let time: any TimeSource
  private let changed: @Sendable (_ isOpen: Bool) -> Void
  private var watch: SyncWindowWatch

  init(_ window: SyncWindow, time: any TimeSource, changed: @escaping @Sendable (_ isOpen: Bool) -> Void) {
    watch = SyncWindowWatch(window)
    self.time = time
    self.changed = changed
  }

  mutating func look() {
    if let isOpen = watch.change(at: time.now()) { changed(isOpen) }
  }

  /// Looks until the task is cancelled.
  mutating func run() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.period)
      look()
    }
  }
}
