import Screening
import Synchronization

/// Where the scored captures lie beside the training of the screening model: counted by the session, told by the health
/// messages.
final class InputDriftCounter: Sendable {
  private let drift: Mutex<InputDrift>

  init(model: String) { drift = Mutex(InputDrift(model: model)) }

  /// nil where there is nothing to hold captures against.
  convenience init?(_ manifest: ModelManifest?) {
    guard let manifest, manifest.input.statistics != nil else { return nil }
    self.init(model: manifest.id)
  }

  func note(_ change: SessionService.Change) {
    guard case .saved(_, let assessment) = change, let position = assessment.inputs else { return }
    drift.withLock { $0.add(position) }
  }

  var now: InputDrift { drift.withLock { $0 } }
}
