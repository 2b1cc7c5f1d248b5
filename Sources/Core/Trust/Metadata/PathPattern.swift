/// A shell pattern over a target's path: `*` and `?` stand for anything within one level, `[abc]`, `[a-c]` and `[!abc]` for
/// one of the bytes. A pattern matches only paths of as many levels as it has itself.
struct PathPattern: Sendable {
  private enum Element: Sendable {
    case byte(UInt8)
    case anyByte
    case anyBytes
    case oneOf([ClosedRange<UInt8>], isInverted: Bool)
  }

  private let levels: [[Element]]

  init(_ text: ExactText) {
    levels = Array(text.utf8).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { Self.elements(Array($0)) }
  }

  func matches(_ path: ExactText) -> Bool {
    let parts = Array(path.utf8).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count == levels.count else { return false }
    return zip(levels, parts).allSatisfy { Self.matches($0, Array($1)) }
  }

  private static func elements(_ text: [UInt8]) -> [Element] {
    var elements: [Element] = []
    var index = 0
    while index < text.count {
      switch text[index] {
      case UInt8(ascii: "*"): elements.append(.anyBytes)
      case UInt8(ascii: "?"): elements.append(.anyByte)
      case UInt8(ascii: "["):
        if let (set, end) = set(text, from: index + 1) {
          elements.append(set)
          index = end
        } else {
          elements.append(.byte(text[index]))
        }
      default: elements.append(.byte(text[index]))
      }
      index += 1
    }
    return elements
  }

  /// A set in brackets and the place of its closing one; nil when none closes it: the bracket then stands for itself.
  private static func set(_ text: [UInt8], from start: Int) -> (Element, end: Int)? {
    var index = start
    let isInverted = index < text.count && text[index] == UInt8(ascii: "!")
    if isInverted { index += 1 }
    var ranges: [ClosedRange<UInt8>] = []
    let first = index
    while index < text.count {
      if text[index] == UInt8(ascii: "]"), index > first { return (.oneOf(ranges, isInverted: isInverted), index) }
      if index + 2 < text.count, text[index + 1] == UInt8(ascii: "-"), text[index + 2] != UInt8(ascii: "]") {
        if text[index] <= text[index + 2] { ranges.append(text[index]...text[index + 2]) }
        index += 3
      } else {
        ranges.append(text[index]...text[index])
        index += 1
      }
    }
    return nil
  }

  /// Goes back at most to the last star, so its time is bounded by the product of both lengths.
  private static func matches(_ pattern: [Element], _ text: [UInt8]) -> Bool {
    var (element, byte) = (0, 0)
    var star: (element: Int, byte: Int)?
    while byte < text.count {
      if element < pattern.count, case .anyBytes = pattern[element] {
        star = (element, byte)
        element += 1
      } else if element < pattern.count, matches(pattern[element], text[byte]) {
        element += 1
        byte += 1
      } else if let (last, matched) = star {
        star = (last, matched + 1)
        (element, byte) = (last + 1, matched + 1)
      } else {
        return false
      }
    }
    return pattern[element...].allSatisfy { if case .anyBytes = $0 { true } else { false } }
  }

  private static func matches(_ element: Element, _ byte: UInt8) -> Bool {
    switch element {
    case .byte(let expected): byte == expected
    case .anyByte, .anyBytes: true
    case .oneOf(let ranges, let isInverted): ranges.contains { $0.contains(byte) } != isInverted
    }
  }
}
