import Audit
import Synchronization

/// An audit log that keeps what it is told, or cannot be written.
final class RecordingTrail: AuditTrail {
  private struct State {
    var events: [AuditEvent] = []
    var refuses = false
    var wasFirst = true
  }

  struct Full: Error {}

  private let state = Mutex(State())
  /// Whether what an entry speaks of has not happened yet.
  private let isAhead: @Sendable (AuditEvent) async throws -> Bool

  init(_ isAhead: @escaping @Sendable (AuditEvent) async throws -> Bool = { _ in true }) { self.isAhead = isAhead }

  var events: [AuditEvent] { state.withLock { $0.events } }
  /// Each entry that was written came before what it speaks of.
  var wasFirst: Bool { state.withLock { $0.wasFirst } }
  var refuses: Bool {
    get { state.withLock { $0.refuses } }
    set { state.withLock { $0.refuses = newValue } }
  }

  func write(_ event: AuditEvent) async throws {
    if refuses { throw Full() }
    let isAhead = try await isAhead(event)
    state.withLock {
      $0.events.append(event)
      $0.wasFirst = $0.wasFirst && isAhead
    }
  }

  func post(_ event: AuditEvent) { state.withLock { $0.events.append(event) } }
  var head: AuditHead? { nil }
  var refusalFromAfar: String? { refuses ? "full" : nil }
}
