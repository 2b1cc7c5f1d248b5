import Provenance

/// Which of the two repositories a file belongs to. Neither can do the other's work.
package enum TrustRoot: String, Sendable, CaseIterable {
  /// Whoever makes the program and its models.
  case vendor
  /// Whoever runs the clinic's far side.
  case site
}

/// A small repository in one piece: what comes on `dn/trust`, and what is kept on the disk.
///
/// ```
/// {"schema": "thermograph.trust.v1", "id": UUID (optional), "root": "site", "metadata": {"timestamp.json": BASE64, ...},
///  "targets": {"3f1c....online-keys.json": BASE64}}
/// ```
///
/// Nobody signed the piece itself: what lies in it is verified as if it came from a stick.
package struct MetadataBundle: Sendable, Equatable {
  package static let schema: ExactText = "thermograph.trust.v1"
  /// A message on `dn/trust` has at most so many bytes.
  package static let messageBytesMaximum = 64 * 1024
  private static let mostFiles = 300

  package let root: TrustRoot
  /// What the sender calls this message; the reply names it.
  package private(set) var id: RandomIdentifier?
  /// By name.
  var metadata: [ExactText: [UInt8]]
  /// By path.
  var targets: [ExactText: [UInt8]]
  /// SHA-256, in hexadecimal digits, of the root that a person installed; only on the disk.
  var installedRoot: String?

  package init(
    root: TrustRoot, metadata: [ExactText: [UInt8]] = [:], targets: [ExactText: [UInt8]] = [:],
    installedRoot: String? = nil
  ) {
    self.root = root
    self.metadata = metadata
    self.targets = targets
    self.installedRoot = installedRoot
  }

  /// Reads a bundle without believing it.
  package init(reading bytes: [UInt8], maximumBytes: Int = messageBytesMaximum) throws(MetadataFault) {
    let limits = JSONLimits(bytes: maximumBytes, depth: 3, values: 2 * Self.mostFiles + 8)
    let tree: JSONValue
    do throws(JSONFault) { tree = try JSONValue(reading: bytes, within: limits) } catch {
      throw .malformed("trust: \(error)")
    }
    guard case .object(let object) = tree else { throw .malformed("trust: \(tree.kind); expected an object") }
    self = try Self.read(object)
  }

  private static func read(_ object: JSONObject) throws(MetadataFault) -> MetadataBundle {
    do throws(ShapeFault) {
      guard try object.text("schema") == schema else { throw ShapeFault("'schema' is another; expected \(schema)") }
      guard let root = TrustRoot(rawValue: try object.text("root").string) else {
        throw ShapeFault("'root' is none; expected site or vendor")
      }
      var bundle = MetadataBundle(
        root: root, metadata: try files(object, "metadata"), targets: try files(object, "targets"),
        installedRoot: try object.optionalText("installed_root")?.string)
      if let text = try object.optionalText("id") {
        guard let id = RandomIdentifier(text.string) else { throw ShapeFault("'id' is no UUID of 36 characters") }
        bundle.id = id
      }
      return bundle
    } catch { throw .malformed("trust: \(error)") }
  }

  private static func files(_ object: JSONObject, _ name: ExactText) throws(ShapeFault) -> [ExactText: [UInt8]] {
    let members = try object.object(name).members
    guard members.count <= mostFiles else { throw ShapeFault("'\(name)' has more than \(mostFiles) files") }
    var files: [ExactText: [UInt8]] = [:]
    for member in members {
      guard case .string(let text) = member.value, let bytes = Base64Text.bytes(of: text) else {
        throw ShapeFault("'\(name)' holds a file that is not base64")
      }
      files[member.name] = bytes
    }
    return files
  }

  /// The JSON text, the same for the same files.
  package func encoded() -> [UInt8] {
    func table(_ files: [ExactText: [UInt8]]) -> JSONValue {
      .object(
        JSONObject(files.sorted { $0.key < $1.key }.map { .init($0.key, .string(Base64Text.text(of: $0.value))) }))
    }
    var members: [JSONObject.Member] = [
      .init("schema", .string(Self.schema)), .init("root", .string(root.rawValue)),
      .init("metadata", table(metadata)), .init("targets", table(targets)),
    ]
    if let installedRoot { members.append(.init("installed_root", .string(installedRoot))) }
    return JSONValue.object(JSONObject(members)).encoded()
  }

  private static func bounded(_ bytes: [UInt8]?, _ name: String, _ maximum: Int) throws(MetadataFault) -> [UInt8]? {
    guard let bytes, bytes.count > maximum else { return bytes }
    throw .content("\(name): has \(bytes.count) bytes; expected at most \(maximum)")
  }
}

extension MetadataBundle: MetadataSource {
  package func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    try Self.bounded(metadata[ExactText(name)], name, maximumBytes)
  }

  package func fetchTarget(_ path: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    try Self.bounded(targets[ExactText(path)], path, maximumBytes)
  }
}
