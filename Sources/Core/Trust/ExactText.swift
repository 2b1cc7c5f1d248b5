/// Text of which every byte counts.
///
/// Two `String`s are equal when they look the same: "é" in one code point or in two, and even the Kelvin sign U+212A and
/// the letter K. Whoever signs and whoever checks must mean the same bytes, so names and keys are compared as UTF-8.
package struct ExactText: Sendable, Hashable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral {
  package let string: String

  package init(_ string: String) {
    self.string = string
  }

  package init(stringLiteral value: String) {
    string = value
  }

  package var description: String { string }
  package var utf8: String.UTF8View { string.utf8 }

  package static func == (left: Self, right: Self) -> Bool {
    left.utf8.elementsEqual(right.utf8)
  }

  /// In the order of the bytes, which for UTF-8 is the order of the code points.
  package static func < (left: Self, right: Self) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    var string = string
    string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}
