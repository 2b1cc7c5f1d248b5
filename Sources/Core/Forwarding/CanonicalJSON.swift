import FoundationEssentials

/// The one way the house writes JSON: sorted keys and no white space, so equal values are equal bytes.
package enum CanonicalJSON {
  package static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}
