/// Where a repository's files come from: a stick, a message that came over MQTT, or a test's web server. What it hands out
/// is not believed yet.
package protocol MetadataSource {
  /// The bytes of a metadata file of the repository, or nil when it has none of that name.
  ///
  /// - Parameters:
  ///   - name: e.g. `2.root.json`; role names in it are percent-encoded, so it has no slash.
  ///   - maximumBytes: more are not taken.
  func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]?

  /// The bytes of a target, or nil when it has none of that name.
  ///
  /// - Parameters:
  ///   - path: with the hash in front of its last level where snapshots are consistent, e.g. `models/9f86....fold.tflite`.
  ///   - maximumBytes: more are not taken.
  func fetchTarget(_ path: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]?
}

extension MetadataSource {
  package func fetchTarget(_ path: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? { nil }
}

/// A source, and where what is trusted of it is kept.
package protocol MetadataStore: MetadataSource {
  /// A file that was kept, byte for byte, or nil.
  func kept(_ name: String) throws(MetadataFault) -> [UInt8]?

  /// Keeps a trusted file, replaced as a whole.
  func keep(_ bytes: [UInt8], as name: String) throws(MetadataFault)
}
