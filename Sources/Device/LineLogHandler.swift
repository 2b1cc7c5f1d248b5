import Glibc
import Logging

/// Log lines on standard error: `level message key=value ...`, or with the priority that journald reads from a
/// `<N>` prefix when it is listening (sd-daemon(3)).
package struct LineLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level
  private let journal: Bool

  /// - Parameter journal: standard error is connected to journald, which adds the time itself.
  package init(level: Logger.Level, journal: Bool) {
    logLevel = level
    self.journal = journal
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
    var text = journal ? "<\(event.level.journalPriority)>" : "\(event.level.rawValue): "
    text += "\(event.message)"
    for (key, value) in fields { text += " \(key)=\(Self.quoted("\(value)"))" }
    // One write a line, so that lines of several threads never mix.
    var bytes = Array(text.utf8).map { $0 == 10 ? 32 : $0 } + [10]
    bytes.withUnsafeMutableBytes { buffer in
      var sent = 0
      while sent < buffer.count {
        let count = write(STDERR_FILENO, buffer.baseAddress.map { $0 + sent }, buffer.count - sent)
        if count < 0, errno == EINTR { continue }
        // A closed standard error leaves nobody to tell.
        if count <= 0 { return }
        sent += count
      }
    }
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
