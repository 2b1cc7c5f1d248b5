import Configuration
import Forwarding
import Logging
import Provenance
import Remote
import Storage
import Trust

// What the far side may ask of the device.
extension DeviceRuntime {
  /// nil: no command is taken.
  var commandKeysPath: String? { settings.remote.commands ? settings.remote.commandKeysFile : nil }

  /// The keys by which commands are signed; nil: none is taken. A file that cannot be read withholds commands and nothing
  /// else.
  func commandKeys(_ board: StatusBoard) -> TrustedKeys? {
    guard let path = commandKeysPath else { return nil }
    do {
      return try TrustedKeys(listIn: path)
    } catch {
      logger.error(
        "no command is taken: the keys cannot be read",
        metadata: ["remote.command_keys_file": "\(path)", "reason": "\(error)"])
      board.note(.commandKeys, "no command is taken: remote.command_keys_file: \(error)")
      return nil
    }
  }

  func commandService(
    _ intake: CommandIntake, _ parts: Supervised, delivery: DeliveryService, clockFloor: ClockFloor
  ) throws -> CommandService {
    let outbox = parts.outbox
    let doctor = doctor(parts, receiptMilliseconds: nil)
    return CommandService(
      intake: intake, outbox: outbox, topics: try topics,
      effects: CommandEffects(
        announce: { await delivery.announceAgain(challenge: $0) },
        diagnose: { await doctor.findings($0) },
        resend: { captures in
          let count = try await outbox.resend(captures)
          delivery.outboxChanged()
          return count
        },
        holdImages: { delivery.holdImages(seconds: $0) },
        logLevel: TimedLogLevel(level, configured: { [live] in Logger.Level(live.settings.log.level) }),
        isIdle: { parts.session.snapshot.state == .idle }),
      time: parts.common.time, clockFloor: clockFloor, generator: SystemRandomNumberGenerator(), logger: logger)
  }
}
