import LinuxIO
import LocalFiles
import Logging

/// Log lines on standard error, `level message key=value ...`; under systemd entries of the journal, in which the metadata
/// are fields too: `journalctl -u thermograph THERMOGRAPH_CAPTURE=...`.
package struct LineLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level {
    get { level.value }
    set { level = LogLevel(newValue) }
  }
  private var level: LogLevel
  private let journal: JournalSocket?

  /// - Parameters:
  ///   - level: shared, so that a reload changes it for every logger.
  ///   - journal: nil when journald does not listen.
  package init(level: LogLevel, journal: JournalSocket?) {
    self.level = level
    self.journal = journal
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    let fields = metadata.merging(event.metadata ?? [:]) { $1 }.map { ($0, "\($1)") }.sorted { $0.0 < $1.0 }
    var text = "\(event.message)"
    for (key, value) in fields { text += " \(key)=\(Self.quoted(value))" }
    guard let journal else { return Self.write("\(event.level.rawValue): " + text) }
    do throws(SystemCallError) {
      try journal.send(JournalEntry(priority: event.level.journalPriority, message: text, fields: fields))
    } catch {
      // journald reads standard error too and takes the priority from this prefix (sd-daemon(3)).
      Self.write("<\(event.level.journalPriority)>" + text)
    }
  }

  /// One write a line, so that lines of several threads never mix.
  private static func write(_ text: String) {
    StandardError.write(Array(text.utf8).map { $0 == 10 ? 32 : $0 } + [10])
  }

  private static func quoted(_ value: String) -> String {
    value.contains(where: { $0 == " " || $0 == "=" || $0 == "\"" }) ? "\"\(value)\"" : value
  }
}

extension Logger.Level {
  /// syslog(3) priorities.
  fileprivate var journalPriority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
