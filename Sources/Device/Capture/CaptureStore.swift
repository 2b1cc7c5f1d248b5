import Forwarding
import Provenance
import Storage

/// What became of a capture that was to be stored.
enum CaptureStoring: Sendable, Equatable {
  /// On disk, under this number.
  case saved(sequence: Int64)
  /// Not on disk. `isFull`: because there is no room for it.
  case failed(isFull: Bool, reason: String)
}

/// Where captures and messages are made durable: the outbox, or a folder of the terminal's.
protocol CaptureStore: Sendable {
  var outboxID: RandomIdentifier { get }
  /// Returns after the capture is on disk, or says why it is not.
  func store(_ capture: NewCapture) async -> CaptureStoring
  /// Throws what keeps the message from being on disk.
  func store(_ message: NewMessage) async throws
  /// Whether there is no room for so many more captures: a session begins only where all of it can be saved.
  func isFull(captures: Int) async -> Bool
}

/// The outbox as a store of captures.
struct OutboxStore: CaptureStore {
  let outbox: Outbox

  var outboxID: RandomIdentifier { outbox.outboxID }

  func store(_ capture: NewCapture) async -> CaptureStoring {
    do throws(OutboxError) {
      return .saved(sequence: try await outbox.enqueue(capture).number.sequence)
    } catch {
      switch error {
      case .refused, .noSpace: return .failed(isFull: true, reason: "\(error)")
      default: return .failed(isFull: false, reason: "\(error)")
      }
    }
  }

  func store(_ message: NewMessage) async throws {
    try await outbox.enqueue(message)
  }

  func isFull(captures: Int) async -> Bool {
    do {
      return try await outbox.captureRefusalReason(captures: captures) != nil
    } catch {
      // An outbox that cannot be asked takes no capture either.
      return true
    }
  }
}
