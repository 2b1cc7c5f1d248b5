import Forwarding
import Identification
import Logging
import Provenance
import Remote
import Storage
import Synchronization

/// What commands do to the running device.
package struct CommandEffects: Sendable {
  struct Outcome: Sendable, Equatable {
    var state: CommandReply.State
    var reason: String?
    var details: [String] = []

    init(state: CommandReply.State, reason: String? = nil, details: [String] = []) {
      self.state = state
      self.reason = reason
      self.details = details
    }

    init(_ reply: SessionReply) {
      switch reply {
      case .refused(let reason): self = .refused(reason)
      case .waiting(let seconds): self = .done(["for \(seconds) seconds"])
      case .accepted, .held: self = .done()
      }
    }

    static func done(_ details: [String] = []) -> Self { Self(state: .done, details: details) }
    static func refused(_ reason: String) -> Self { Self(state: .refused, reason: reason) }
    static func failed(_ reason: String) -> Self { Self(state: .failed, reason: reason) }
  }

  /// Publishes the birth message with this challenge.
  var announce: @Sendable (_ challenge: String?) async -> Void
  var diagnose: @Sendable (_ parts: [DoctorPart]) async -> [DoctorFinding]
  /// Makes captures wait for delivery again; returns how many messages.
  var resend: @Sendable (_ captures: [RandomIdentifier]) async throws -> Int
  var holdImages: @Sendable (_ seconds: Int) -> Void
  var logLevel: TimedLogLevel
  /// Lets a session wait for this patient.
  var captureRequest: @Sendable (_ patient: PatientReference) async -> SessionReply
  var identify: @Sendable (_ seconds: Int) async -> SessionReply
  /// Nobody is before the device.
  var isIdle: @Sendable () -> Bool
  /// Orders a unit, under the command's id.
  var install: @Sendable (_ target: UnitTarget, _ window: SyncWindow?, _ command: RandomIdentifier) async -> Outcome = {
    _, _, _ in .refused("this device takes no updates")
  }
  /// Why nothing with an effect is done now; nil when it is.
  var lockDownRefusal: @Sendable () -> String? = { nil }
  var release: @Sendable () async -> Outcome = { .refused("this device is never locked down") }
  var rollBack: @Sendable (_ slot: ModelSlot) async -> Outcome = { _ in .refused("this device takes no updates") }
  /// Takes over patients' earlier sessions.
  var restorePatients: @Sendable (_ sealed: [UInt8]) async -> Outcome = { _ in
    .refused("this device compares with no earlier sessions")
  }

  /// - Parameter id: the command's.
  func perform(_ action: CommandAction, id: RandomIdentifier) async -> Outcome {
    if let refusal = lockDownRefusal(), !action.isTakenInLockDown { return .refused(refusal) }
    switch action {
    case .status:
      await announce(nil)
      return .done()
    case .doctor(let names):
      let known = DoctorPart.allCases.filter { ServiceDoctor.heldParts.contains($0) && $0 != .tag }
      let parts = names.isEmpty ? known : known.filter { names.contains($0.rawValue) }
      guard names.isEmpty || parts.count == Set(names).count else {
        return .refused("a part that cannot be asked for; expected of \(known.map(\.rawValue).joined(separator: ", "))")
      }
      return .done(await diagnose(parts).map(\.text))
    case .resend(let captures):
      do {
        let count = try await resend(captures)
        return .done(["\(count) messages wait again"])
      } catch { return .failed("\(error)") }
    case .holdImages(let seconds):
      holdImages(seconds)
      return .done()
    case .logLevel(let name, let minutes):
      guard let level = Logger.Level(rawValue: name) else { return .refused("no such level") }
      logLevel.set(level, minutes: minutes)
      return .done()
    case .captureRequest(let text):
      guard let patient = PatientReference(text) else { return .refused("'patient_ref' is no patient's id") }
      return Outcome(await captureRequest(patient))
    case .identify(let seconds): return Outcome(await identify(seconds))
    case .restart:
      return isIdle() ? .done() : .refused("a session is open")
    case .updateInstall(let target, let window): return await install(target, window, id)
    case .updateRollback(let slot): return await rollBack(slot)
    case .sentinelRelease: return await release()
    case .patientRestore(let sealed): return await restorePatients(sealed)
    }
  }
}

/// The log's level for a while, then as it was.
package final class TimedLogLevel: Sendable {
  private let level: LogLevel
  private let configured: @Sendable () -> Logger.Level
  private let sleep: @Sendable (Duration) async throws -> Void
  private let reverting = Mutex<Task<Void, Never>?>(nil)

  /// - Parameter configured: the level to go back to.
  package init(
    _ level: LogLevel, configured: @escaping @Sendable () -> Logger.Level,
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.level = level
    self.configured = configured
    self.sleep = sleep
  }

  func set(_ wanted: Logger.Level, minutes: Int) {
    level.value = wanted
    let task = Task { [level, configured, sleep] in
      do { try await sleep(.seconds(60 * minutes)) } catch { return }
      level.value = configured()
    }
    reverting.withLock { former in
      former?.cancel()
      former = task
    }
  }
}
