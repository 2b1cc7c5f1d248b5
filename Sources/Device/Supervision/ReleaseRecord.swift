import FoundationEssentials
import LocalFiles
import Logging
import Provenance
import Synchronization

/// Which release runs, which one ran before it, and whether the running one passed its health check after the update.
package struct ReleaseRecord: Sendable, Equatable, Codable {
  package static let schema = "thermograph.release.v1"

  package enum Line: String, Sendable, Codable {
    /// No broker is configured.
    case unconfigured
    /// There has been no connection in this run.
    case never
    /// Connected when the run was last seen.
    case connected
    /// Was connected, and was not at the end.
    case lost
  }

  /// How a release last ran.
  package struct Run: Sendable, Equatable, Codable {
    package var firmware: String
    package var line: Line

    package init(firmware: String, line: Line) {
      self.firmware = firmware
      self.line = line
    }
  }

  package var schema = ReleaseRecord.schema
  package var running: Run
  /// The last run of another release before this one; nil where no release before this one kept a record.
  package var before: Run?
  /// The release that passed `doctor --after-update` last.
  package var confirmed: String?

  package init(running: Run, before: Run? = nil, confirmed: String? = nil) {
    self.running = running
    self.before = before
    self.confirmed = confirmed
  }
}

/// Keeps the record in the state directory. It is written when a release starts for the first time, when the line comes
/// up for the first time in a run, at the end, and when the release is confirmed: a few times a run.
///
/// A device whose record cannot be kept still captures: the fault is told, and the release counts as not confirmed.
final class ReleaseKeeper: Sendable {
  private static let maximumBytes = 4096

  private struct State {
    var record: ReleaseRecord
    /// As `DeviceReport.Line.state` says it.
    var line = ""
    var isTrusted = true
  }

  private let path: String
  private let logger: Logger
  private let state: Mutex<State>

  init(path: String, firmware: String, logger: Logger) {
    self.path = path
    self.logger = logger
    var record = ReleaseRecord(running: .init(firmware: firmware, line: .never))
    var isTrusted = true
    do {
      if let last = try Self.read(path) {
        record.confirmed = last.confirmed
        record.before = last.running.firmware == firmware ? last.before : last.running
      }
    } catch {
      isTrusted = false
      logger.warning(
        "which release ran before is not known; it counts as not confirmed", metadata: ["reason": "\(error)"])
    }
    state = Mutex(State(record: record, isTrusted: isTrusted))
    write(record)
  }

  var record: ReleaseRecord { state.withLock { $0.record } }

  /// The running release passed its health check.
  var isConfirmed: Bool { state.withLock { $0.isTrusted && $0.record.confirmed == $0.record.running.firmware } }

  /// How the line is now.
  func note(line: String) {
    let news: ReleaseRecord? = state.withLock { state in
      state.line = line
      let present: ReleaseRecord.Line
      switch (line, state.record.running.line) {
      case ("unconfigured", .never): present = .unconfigured
      case ("connected", .never), ("connected", .unconfigured): present = .connected
      default: return nil
      }
      state.record.running.line = present
      return state.record
    }
    if let news { write(news) }
  }

  /// The device ends in order.
  func end() {
    let news: ReleaseRecord? = state.withLock { state in
      guard state.record.running.line == .connected, state.line != "connected" else { return nil }
      state.record.running.line = .lost
      return state.record
    }
    if let news { write(news) }
  }

  /// - Returns: what is on disk now.
  func confirm() throws -> ReleaseRecord {
    let confirmed = state.withLock { state in
      var record = state.record
      record.confirmed = record.running.firmware
      return record
    }
    try Self.write(confirmed, to: path)
    return state.withLock { state in
      state.record.confirmed = confirmed.confirmed
      state.isTrusted = true
      return state.record
    }
  }

  private func write(_ record: ReleaseRecord) {
    do { try Self.write(record, to: path) } catch {
      logger.error("the record of this release could not be written", metadata: ["reason": "\(error)"])
    }
  }

  private static func write(_ record: ReleaseRecord, to path: String) throws {
    try BoundedFile.replace(path, with: CanonicalJSON.bytes(of: record), mode: 0o640)
  }

  /// nil: there is none.
  private static func read(_ path: String) throws -> ReleaseRecord? {
    guard let bytes = try BoundedFile.readIfThere(path, maximumBytes: maximumBytes) else { return nil }
    let record: ReleaseRecord
    do { record = try JSONDecoder().decode(ReleaseRecord.self, from: Data(bytes)) } catch {
      throw FileError(path: path, reason: "is no record of a release; it is made anew")
    }
    guard record.schema == ReleaseRecord.schema else {
      throw FileError(path: path, reason: "has schema \(record.schema); expected \(ReleaseRecord.schema)")
    }
    return record
  }
}
