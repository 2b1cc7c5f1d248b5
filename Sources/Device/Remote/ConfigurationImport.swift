import Configuration
import ConfigurationFiles
import Cryptography
import Forwarding
import Logging
import Provenance
import Remote
import Storage
import Trust

/// A configuration that is brought to the device by a person: the same statement and the same checks as over the line, and
/// in force on the spot, because somebody is there to see what comes of it.
package struct ConfigurationImport {
  private let files: ConfigurationFolder
  private let settings: Settings
  private let folder: RemoteConfigurationFolder
  private let time: any TimeSource
  private let clockFloor: ClockFloor

  package init(_ files: ConfigurationFolder, settings: Settings, time: any TimeSource, logger: Logger) {
    self.files = files
    self.settings = settings
    self.time = time
    folder = RemoteConfigurationFolder(stateDirectory: settings.paths.stateDirectory)
    clockFloor = ClockFloor(
      path: settings.paths.stateDirectory + "/" + StateFiles.trustedTime, logger: logger)
  }

  private var clock: CommandClock {
    let now = time.now()
    return CommandClock(
      nowSeconds: now.utcNanoseconds / 1_000_000_000, isProven: clockFloor.believes(now),
      floorSeconds: clockFloor.seconds)
  }

  /// What was put in force.
  package struct Installed: Sendable, Equatable {
    package var version: Int64
    /// What of it has no effect, and why.
    package var remarks: [String]
  }

  /// By the site's list where its root is installed, else of the configuration's file.
  private func keys() throws -> TrustedKeys {
    switch RepositoryTrust(.site, settings, time: time, clockFloor: clockFloor).keys(for: .configuration) {
    case .keys(let keys) where settings.remote.configuration: return keys
    case .none(let reason): throw ControlRefusal("no configuration of others is taken: \(reason)")
    case .keys, .noRoot:
      guard settings.remote.configuration, let path = settings.remote.configurationKeysFile else {
        throw ControlRefusal(
          "this device takes no configuration from others: remote.configuration is false, or remote.configuration_keys_file is not set"
        )
      }
      return try TrustedKeys(listIn: path)
    }
  }

  /// - Parameter envelope: the file's content.
  /// - Throws: `ControlRefusal` with every reason, a line each; then nothing has changed.
  package func install(_ envelope: [UInt8]) throws -> Installed {
    var reader = StatementReader<ConfigurationStatement>(
      try keys(), site: settings.device.site, device: settings.device.id,
      verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
    let statement: ConfigurationStatement
    let digest: [UInt8]
    switch reader.read(envelope, isRetained: false, now: 0) {
    case .statement(let read, let hash): (statement, digest) = (read, hash)
    case .refused(let refusal, _): throw ControlRefusal("not believed: \(refusal)")
    case .ignored: throw ControlRefusal("not believed")
    }
    let record = try folder.open(at: clock.seconds).record
    if let attempt = record.attempt, attempt.isTrying {
      throw ControlRefusal(
        "version \(attempt.text.version) is being tried; wait until it is confirmed or taken back, or take it back: thermograph config rollback"
      )
    }
    if let reason = ConfigurationDesk.refusal(statement, record: record, clock: clock) { throw ControlRefusal(reason) }
    guard statement.challenge == nil else {
      throw ControlRefusal("it is meant for one start of the device, over the line; make one without for_boot")
    }
    let faults = files.faults(ofProposed: statement.toml)
    guard faults.isEmpty else { throw ControlRefusal(faults.joined(separator: "\n")) }
    let freshness: CommandReply.Freshness = clock.isProven ? .clock : .unproven
    var reply = CommandReply(to: statement, .done, reason: "brought to the device by a person", at: time.now())
    reply.freshness = freshness
    let bytes = try reply.encoded()
    let sha256 = OpenSSLDigests().sha256(statement.toml)
    _ = try folder.change(taking: statement.toml) { record in
      record.accept(statement, digest: digest, sha256: sha256, freshness: freshness)
      record.confirm(reply: bytes)
    }
    return Installed(version: statement.version, remarks: files.remarksOnRemote())
  }

  /// Takes back what is tried or waits; with nothing open, goes back to what was in force before.
  /// - Parameter isAll: nothing from afar stays in force.
  /// - Returns: a line for a person.
  package func rollBack(isAll: Bool = false) throws -> String {
    guard let record = try folder.read(),
      record.inForce != nil || record.previous != nil || record.attempt?.isOpen == true
    else { throw ControlRefusal("no configuration ever came from afar; there is nothing to go back from") }
    if let attempt = record.attempt, attempt.isOpen {
      let state: CommandReply.State = attempt.isTrying ? .rolledBack : .refused
      let reply = CommandReply(
        configuration: attempt.text, state, reason: "taken back at the device by a person", at: time.now())
      let bytes = try reply.encoded()
      let after = try folder.change { record in
        record.end(state, reply: bytes)
        if isAll { record.clear() }
      }
      guard after.active != nil || !isAll else { return Self.nothing }
      return "version \(attempt.text.version) is taken back"
    }
    let after = try folder.change { record in
      if isAll { record.clear() } else { record.goBack() }
    }
    return after.active.map { "version \($0.version) is in force again" } ?? Self.nothing
  }

  private static let nothing = "nothing from afar is in force; the device's own files say everything"

  /// How it stands.
  package func standing() throws -> DeviceReport.RemoteConfiguration? { try folder.standing() }

  /// The text that is in force; nil: nothing from afar is.
  package func text() throws -> String? { try folder.read()?.inForce.map { try folder.lines(of: $0) } }
}

extension RemoteConfigurationFolder {
  /// For `status`; nil when nothing ever came from afar.
  func standing() throws -> DeviceReport.RemoteConfiguration? {
    guard let record = try read(), record.highestVersion > 0 else { return nil }
    var report = DeviceReport.RemoteConfiguration(highest: record.highestVersion)
    report.version = record.inForce?.version
    report.previous = record.previous?.version
    if let attempt = record.attempt {
      report.newest = attempt.text.version
      switch attempt.phase {
      case .waiting: report.state = "waiting"
      case .trying: (report.state, report.confirmMinutes) = ("trying", Int(attempt.confirmMinutes))
      case .ended(let state): report.state = state.rawValue
      }
    }
    return report
  }
}
