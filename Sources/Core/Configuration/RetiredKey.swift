/// A key of an earlier release. A file that holds it still works, and a note says what to write instead.
package struct RetiredKey: Sendable, Equatable {
  /// `table.key` as it was.
  package let path: String
  /// The release that retired it.
  package let since: String
  /// The key that took its place and its values; nil when it has no effect any more.
  package let successor: String?

  package init(path: String, since: String, successor: String?) {
    self.path = path
    self.since = since
    self.successor = successor
  }

  package var table: String { String(path.prefix { $0 != "." }) }
  package var name: String { String(path.drop { $0 != "." }.dropFirst()) }

  /// Every retired key, oldest first. One leaves this list when `Settings.schemaVersion` rises.
  package static let all: [RetiredKey] = []
}
