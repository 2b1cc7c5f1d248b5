import Provenance
import Storage

// A patient's earlier sessions, brought back by a command as by a stick.
extension DeviceRuntime {
  /// What is kept here stays; what is new is added. Nothing comes back of those who do not agree.
  ///
  /// - Parameter sealed: a piece of `patient export --pieces`.
  func restorePatients(_ sealed: [UInt8]) async -> CommandEffects.Outcome {
    do {
      guard let configuration = try BaselineConfiguration(settings, secrets: secrets) else {
        return .refused("this device compares with no earlier sessions (change.enabled)")
      }
      let transfer = try BaselineTransfer(
        file: sealed, path: "transfer", siteKey: try secrets.bytes(of: settings.patients.siteKeyFile), OpenSSLDigests())
      let policy = SessionService.Policy(live.settings, logger: logger)
      // A list that cannot be read says nothing of who agrees.
      if let problem = policy.rosterProblem { return .failed(problem) }
      let refusing = Set((policy.roster?.withoutConsent ?? []).map(\.text))
      let patients = transfer.patients.flatMap { [$0.patient, $0.mergedInto].compactMap(\.self) }
      guard refusing.isDisjoint(with: patients) else {
        return .refused("a patient of the transfer does not agree to captures; nothing of it is taken over")
      }
      let restored = try await BaselineStore(configuration).restore(transfer)
      guard restored.problems.isEmpty else {
        return .failed("\(restored.problems.count) of \(transfer.patients.count) patients could not be taken over")
      }
      return .done(["\(transfer.patients.count) patients; for \(restored.changed) of them something was new"])
    } catch {
      return .refused("\(error)")
    }
  }
}
