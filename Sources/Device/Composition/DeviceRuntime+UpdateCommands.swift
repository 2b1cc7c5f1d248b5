import Forwarding
import Logging
import Provenance
import Remote
import Storage
import Trust

// What commands from afar do to the models.
extension DeviceRuntime {
  /// Begins the trial of a unit that lies on the device, or asks for its parts, if the vendor's metadata that is trusted here
  /// names it.
  func install(
    _ target: UnitTarget, _ window: SyncWindow?, _ command: RandomIdentifier, _ vendor: RepositoryTrust?
  ) -> CommandEffects.Outcome {
    let store = updateStore
    do {
      guard let vendor, let trusted = try vendor.repository() else {
        return .refused("no vendor's root is installed on this device")
      }
      if case .expired(let role) = vendor.freshness(of: trusted) {
        return .refused(
          "the vendor's \(role) metadata on this device has expired; newer is needed (dn/trust, or a stick)")
      }
      guard let description = try trusted.description(of: ExactText(target.path)), let length = description.length,
        let sha256 = description.sha256
      else {
        return .refused("the vendor's metadata on this device does not name \(target.path) by length and SHA-256")
      }
      guard length <= UpdateRules.unitBytesMaximum else {
        return .refused("\(target.path) has \(length) bytes; expected at most \(UpdateRules.unitBytesMaximum)")
      }
      guard let bytes = try store.held(target) else {
        let order = UpdateOrder(
          target, fileSHA256: sha256, bytes: length, command: "\(command)", window: window?.text)
        try store.apply(.ordered(order))
        return .done(["\(target.path): wanted; its \(order.parts) parts are asked for on up/reply"])
      }
      try description.check(bytes, target.path, OpenSSLDigests())
      let unit = try UpdateImporter(settings).unit(of: bytes, as: target)
      let book = try store.stage(unit, bytes, command: "\(command)", window: window?.text)
      return .done(book.update.map { [$0.text] } ?? [])
    } catch let error as UpdateStoreError {
      return Self.outcome(error)
    } catch {
      return .refused("\(error)")
    }
  }

  func rollBack(_ slot: ModelSlot) -> CommandEffects.Outcome {
    do throws(UpdateStoreError) {
      let book = try updateStore.apply(.rollback(slot, reason: "taken back by a command"))
      return .done(["\(slot.rawValue): \(book[slot].active.text)"])
    } catch {
      return Self.outcome(error)
    }
  }

  private static func outcome(_ error: UpdateStoreError) -> CommandEffects.Outcome {
    guard case .refused(let refusal) = error else { return .failed("\(error)") }
    return .refused("\(refusal)")
  }
}
