import Configuration
import LocalFiles
import Provenance
import Remote
import Storage
import Trust

/// A text of a configuration from afar, and the file that it stands in.
struct RemoteText: Sendable, Equatable {
  var file: String
  var bytes: [UInt8]
}

/// Why what came from afar could not be read or written down.
package enum RemoteConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  case file(FileError)
  /// The record, or a text that it names, is not what was written.
  case damaged(path: String, reason: String)

  package var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .damaged(let path, let reason): "\(path): damaged: \(reason)"
    }
  }
}

/// Configurations from afar on the disk, below the state directory: `remote/config/record.json` decides, and
/// `pending.toml`, `active.toml` and `previous.toml` hold the texts.
///
/// The record is replaced first and the texts are put in order after it: a text is found by its SHA-256 under whichever of
/// the three names it still stands. So a process that is killed at any write leaves the old configuration or the new one,
/// whole, and `tidy` does the rest later.
package struct RemoteConfigurationFolder: Sendable {
  package static let relativePath = StateFiles.remoteConfiguration
  static let pending = "pending.toml"
  static let active = "active.toml"
  static let previous = "previous.toml"
  static let record = "record.json"
  static let lock = "lock"
  private static let names = [active, pending, previous]
  private static let lockMilliseconds = 5000
  /// Readings while another process puts the files in order.
  private static let attempts = 3

  package let path: String

  package init(stateDirectory: String) {
    path = "\(stateDirectory)/\(Self.relativePath)"
  }

  private func place(_ name: String) -> String { "\(path)/\(name)" }

  // MARK: - Reading

  /// nil: nothing ever came from afar.
  package func read() throws(RemoteConfigurationError) -> ConfigurationRecord? {
    let bytes: [UInt8]
    do throws(FileError) {
      guard
        let found = try BoundedFile.readIfThere(
          place(Self.record), maximumBytes: ConfigurationRecord.bytesMaximum)
      else { return nil }
      bytes = found
    } catch { throw .file(error) }
    do throws(ShapeFault) { return try ConfigurationRecord(reading: bytes) } catch {
      throw .damaged(path: place(Self.record), reason: "\(error)")
    }
  }

  /// What stands between the main file and the drop-ins, and what a person should know when it cannot be had.
  func text(isTrialIgnored: Bool) -> (text: RemoteText?, notices: [ConfigurationFault]) {
    func without(_ what: String, expected: String) -> (RemoteText?, [ConfigurationFault]) {
      (nil, [ConfigurationFault(at: SourcePlace(file: place(Self.record)), what, expected: expected)])
    }
    do throws(RemoteConfigurationError) {
      guard let record = try read(), let wanted = isTrialIgnored ? record.active : record.inForce else {
        return (nil, [])
      }
      return (try text(of: wanted), [])
    } catch {
      if case .file(let error) = error, error.isForbidden {
        return without(
          "what came from afar may not be read by this user, so that it is not shown here", expected: "root to read it")
      }
      return without("what came from afar has no effect: \(error)", expected: "thermograph config show to say more")
    }
  }

  /// The text that has this SHA-256, under the first name that has it.
  func text(of wanted: ConfigurationRecord.Text) throws(RemoteConfigurationError) -> RemoteText {
    for _ in 0..<Self.attempts {
      for name in Self.names {
        let found = try bytes(name)
        if let found, OpenSSLDigests().sha256(found) == wanted.sha256 {
          return RemoteText(file: place(name), bytes: found)
        }
      }
    }
    throw .damaged(path: path, reason: "the text of version \(wanted.version) is not there as it was written")
  }

  /// Its lines, for a person.
  package func lines(of wanted: ConfigurationRecord.Text) throws(RemoteConfigurationError) -> String {
    String(decoding: try text(of: wanted).bytes, as: UTF8.self)
  }

  private func bytes(_ name: String) throws(RemoteConfigurationError) -> [UInt8]? {
    do throws(FileError) {
      return try BoundedFile.readIfThere(place(name), maximumBytes: ConfigurationStatement.tomlBytesMaximum)
    } catch { throw .file(error) }
  }

  // MARK: - Writing

  /// Makes the folder and its record where there are none, or the record is damaged. A damaged one is set aside: what was in
  /// force is not any more, and what was issued before `seconds` is not taken again.
  ///
  /// - Returns: the record, and what was damaged.
  package func open(
    at seconds: Int64
  ) throws(RemoteConfigurationError) -> (record: ConfigurationRecord, damage: String?) {
    try locked { () throws(RemoteConfigurationError) in
      var damage: String?
      do throws(RemoteConfigurationError) {
        if let record = try read() {
          try tidy(record)
          return (record, nil)
        }
      } catch {
        guard case .damaged(_, let reason) = error else { throw error }
        damage = reason
        try onFiles { () throws(FileError) in
          try BoundedFile.rename(place(Self.record), to: place("record.damaged"))
        }
      }
      let record = ConfigurationRecord(beganSeconds: seconds)
      try write(record)
      return (record, damage)
    }
  }

  /// Changes the record; when this returns, the change is on the disk. Only one process at a time does.
  /// - Throws: also what `body` throws; then nothing has changed.
  package func change<Failure: Error>(
    _ body: (inout ConfigurationRecord) throws(Failure) -> Void
  ) throws -> ConfigurationRecord {
    let lock = try lock()
    defer { lock.release() }
    guard var record = try read() else {
      throw RemoteConfigurationError.damaged(path: place(Self.record), reason: "it is gone")
    }
    let before = record
    try body(&record)
    guard record != before else { return record }
    try prepare(for: record)
    try write(record)
    try tidy(record)
    return record
  }

  /// Takes a text in: it is on the disk before the record names it.
  package func change(
    taking text: [UInt8], _ body: (inout ConfigurationRecord) -> Void
  ) throws -> ConfigurationRecord {
    let lock = try lock()
    defer { lock.release() }
    guard var record = try read() else {
      throw RemoteConfigurationError.damaged(path: place(Self.record), reason: "it is gone")
    }
    // What waited is given up first: its text makes room for the new one.
    if record.attempt?.isOpen == true {
      record.attempt = nil
      try write(record)
    }
    try tidy(record)
    try replace(Self.pending, text)
    body(&record)
    try write(record)
    try tidy(record)
    return record
  }

  /// Before two texts change places both must be there once more than they will be needed.
  private func prepare(for record: ConfigurationRecord) throws(RemoteConfigurationError) {
    guard let active = record.active, record.attempt?.isOpen != true else { return }
    let text = try text(of: active)
    if text.file == place(Self.previous) { try replace(Self.pending, text.bytes) }
  }

  /// Brings the texts under the names that the record gives them. Each step leaves every text that is needed under one name
  /// at least.
  private func tidy(_ record: ConfigurationRecord) throws(RemoteConfigurationError) {
    try settle(Self.previous, record.previous)
    try settle(Self.active, record.active)
    try settle(Self.pending, record.attempt.flatMap { $0.isOpen ? $0.text : nil })
    try onFiles { () throws(FileError) in
      for name in try Folder.names(in: path, maximumNames: 1000) where name.hasPrefix(".") {
        // Of a write that was cut off.
        try BoundedFile.remove(place(name), isDurable: false)
      }
    }
  }

  private func settle(_ name: String, _ wanted: ConfigurationRecord.Text?) throws(RemoteConfigurationError) {
    guard let wanted else {
      return try onFiles { () throws(FileError) in
        if try BoundedFile.exists(place(name)) { try BoundedFile.remove(place(name)) }
      }
    }
    if let present = try bytes(name), OpenSSLDigests().sha256(present) == wanted.sha256 { return }
    try replace(name, try text(of: wanted).bytes)
  }

  private func write(_ record: ConfigurationRecord) throws(RemoteConfigurationError) {
    try replace(Self.record, record.encoded())
  }

  private func replace(_ name: String, _ bytes: [UInt8]) throws(RemoteConfigurationError) {
    try onFiles { () throws(FileError) in try BoundedFile.replace(place(name), with: bytes, mode: 0o600) }
  }

  private func lock() throws(RemoteConfigurationError) -> FileLock {
    do throws(FileError) {
      try Folder.makeAll(path, mode: 0o700)
      return try FileLock(place(Self.lock), waitMilliseconds: Self.lockMilliseconds)
    } catch { throw .file(error) }
  }

  private func locked<Value>(
    _ body: () throws(RemoteConfigurationError) -> Value
  ) throws(RemoteConfigurationError) -> Value {
    let lock = try lock()
    defer { lock.release() }
    return try body()
  }

  private func onFiles(_ body: () throws(FileError) -> Void) throws(RemoteConfigurationError) {
    do throws(FileError) { try body() } catch { throw .file(error) }
  }
}

extension RemoteConfigurationFolder {
  /// The program starts: what is tried has its one start, or is taken back because it had it.
  ///
  /// - Parameters:
  ///   - reply: what is answered when it is taken back.
  ///   - isConfirmable: false where nobody could confirm it in this run: then it is taken back too.
  /// - Returns: whether it was taken back.
  package func start(takingBackWith reply: [UInt8], isConfirmable: Bool = true) throws -> Bool {
    var isTakenBack = false
    _ = try change { record in
      isTakenBack = record.start() || !isConfirmable
      if isTakenBack { record.end(.rolledBack, reply: reply) }
    }
    return isTakenBack
  }
}
