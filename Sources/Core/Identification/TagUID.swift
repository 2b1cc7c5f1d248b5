/// The identity a tag reports: 5 bytes for EM4100 (version byte first), 4, 7 or 10 for ISO 14443A, 8 for ISO 15693.
///
/// It never leaves the device: it has no textual description, so that it cannot slip into a log or an error.
package struct TagUID: Sendable, Hashable {
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) {
    self.bytes = bytes
  }
}

extension TagUID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "TagUID(hidden)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
