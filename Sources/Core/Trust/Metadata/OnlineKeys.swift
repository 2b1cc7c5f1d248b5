import Provenance

/// What a key of the site's list may sign. One key may have several roles.
package enum KeyRole: String, Sendable, CaseIterable {
  /// Commands on `dn/command`.
  case command
  /// Configuration on `dn/config` and on a stick.
  case configuration
  /// Results for a patient on `dn/result`.
  case result
  /// Receipts on `dn/receipt`.
  case receipt
  /// Heads of the audit chain, cosigned elsewhere.
  case witness

  /// Whether the role's word lasts when the list has expired. A receipt names content that is stored and is good for ever;
  /// a result is shown to a person and marked. The others change the device.
  package var outlivesExpiry: Bool {
    switch self {
    case .receipt, .result, .witness: true
    case .command, .configuration: false
    }
  }
}

/// The site's target `online-keys.json`: the keys that lie on machines with a line, and what each is for
/// (`Docs/schemas/online-keys-1.schema.json`).
///
/// ```
/// {"schema": "thermograph.online-keys.v1", "keys": [{"role": "command", "key": "-----BEGIN PUBLIC KEY-----\n..."}]}
/// ```
package struct OnlineKeys: Sendable, Equatable {
  package static let name: ExactText = "online-keys.json"
  package static let schema: ExactText = "thermograph.online-keys.v1"
  package static let maximumBytes = 32 * 1024
  private static let mostKeys = KeyRole.allCases.count * TrustedKeys.maximum

  private let keys: [KeyRole: TrustedKeys]

  /// Members and roles that are unknown here are passed over: a later version may add some.
  ///
  /// - Throws: what is wrong with the list. A weak key spoils all of it: whoever signed it should hear.
  package init(reading bytes: [UInt8], digests: some MessageDigests) throws(ShapeFault) {
    let tree: JSONValue
    do throws(JSONFault) {
      tree = try JSONValue(
        reading: bytes, within: JSONLimits(bytes: Self.maximumBytes, depth: 6, values: 2048, decimals: .kept))
    } catch { throw ShapeFault("\(error)") }
    guard case .object(let object) = tree else { throw ShapeFault("\(tree.kind); expected an object") }
    let schema = try object.text("schema")
    guard schema == Self.schema else { throw ShapeFault("'schema' is another; expected \(Self.schema)") }
    var found: [KeyRole: [PublicKey]] = [:]
    for (index, entry) in try object.objects("keys", maximum: Self.mostKeys).enumerated() {
      guard let role = KeyRole(rawValue: try entry.text("role").string) else { continue }
      let pem = try entry.text("key").string
      do throws(KeyFault) { found[role, default: []].append(try PublicKey(pem: pem)) } catch {
        throw ShapeFault("'keys' element \(index): \(error)")
      }
    }
    var keys: [KeyRole: TrustedKeys] = [:]
    for (role, list) in found {
      do throws(KeyFault) { keys[role] = try TrustedKeys(list, digests: digests) } catch {
        throw ShapeFault("'keys' of the role \(role.rawValue): \(error)")
      }
    }
    self.keys = keys
  }

  /// The keys of a role; nil when the list has none.
  package func keys(for role: KeyRole) -> TrustedKeys? { keys[role] }
}

/// Whose signatures count for a role on this device.
package enum SiteKeys: Sendable, Equatable {
  /// No site root is installed: keys that the configuration names count, if it names any.
  case noRoot
  /// A site root is installed and nobody's signature counts; why, for a person.
  case none(String)
  /// These and no others, whatever the configuration names.
  case keys(TrustedKeys)
}
