/// Finds calls of the C library in Swift text: a name and its arguments, none of which has a label.
enum RawCalls {
  struct Call: Equatable {
    var line: Int
    var name: String
    var argumentCount: Int
  }

  /// Calls on files, and how many arguments each takes.
  static let fileCalls: [String: ClosedRange<Int>] = [
    "open": 2...3, "openat": 3...4, "open64": 2...3, "creat": 2...2, "fopen": 2...2, "fdopen": 2...2, "freopen": 3...3,
    "read": 3...3, "write": 3...3, "pread": 4...4, "pwrite": 4...4, "readv": 3...3, "writev": 3...3, "fread": 4...4,
    "fwrite": 4...4, "fputs": 2...2, "fsync": 1...1, "fdatasync": 1...1, "sync": 0...0, "syncfs": 1...1,
    "rename": 2...2, "renameat": 4...4, "renameat2": 5...5, "unlink": 1...1, "unlinkat": 3...3, "remove": 1...1,
    "mkdir": 2...2, "mkdirat": 3...3, "rmdir": 1...1, "truncate": 2...2, "ftruncate": 2...2, "fallocate": 4...4,
    "posix_fallocate": 3...3, "link": 2...2, "linkat": 5...5, "symlink": 2...2, "symlinkat": 3...3, "readlink": 3...3,
    "opendir": 1...1, "fdopendir": 1...1, "scandir": 4...4, "stat": 2...2, "lstat": 2...2, "fstat": 2...2,
    "fstatat": 4...4, "statvfs": 2...2, "access": 2...2, "faccessat": 4...4, "chmod": 2...2, "fchmod": 2...2,
    "chown": 3...3, "fchown": 3...3, "lchown": 3...3, "mkstemp": 1...1, "mkostemp": 2...2, "mkdtemp": 1...1,
    "tmpfile": 0...0, "mknod": 3...3, "mkfifo": 2...2, "flock": 2...2, "lseek": 3...3, "copy_file_range": 6...6,
    "sendfile": 4...4, "utimensat": 4...4, "futimens": 2...2,
  ]

  /// The calls of `fileCalls` in `text`, `Glibc.`-qualified or not. Members (`file.write(...)`), declarations, comments and
  /// string literals are none; neither is a call with a label or another number of arguments.
  static func find(in text: String) -> [Call] {
    let bytes = Array(withoutCommentsAndLiterals(text).utf8)
    var calls: [Call] = []
    var line = 1
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "\n") { line += 1 }
      guard isNameByte(bytes[index]) else {
        index += 1
        continue
      }
      let start = index
      while index < bytes.count, isNameByte(bytes[index]) { index += 1 }
      let name = String(decoding: bytes[start..<index], as: UTF8.self)
      guard index < bytes.count, bytes[index] == UInt8(ascii: "("), let expected = fileCalls[name],
        isFreeCall(name, before: String(decoding: bytes[max(0, start - 80)..<start], as: UTF8.self)),
        let count = unlabelledArguments(bytes, from: index), expected.contains(count)
      else { continue }
      calls.append(Call(line: line, name: name, argumentCount: count))
    }
    return calls
  }

  /// `remove` of one argument is a method of many types: only the qualified one is surely the system's.
  private static func isFreeCall(_ name: String, before text: String) -> Bool {
    if text.hasSuffix("Glibc.") { return true }
    if text.hasSuffix(".") || name == "remove" { return false }
    return text.split(whereSeparator: \.isWhitespace).last != "func" || !(text.last?.isWhitespace ?? false)
  }

  /// The number of arguments behind an opening bracket; nil when one of them has a label, or the bracket stays open.
  private static func unlabelledArguments(_ bytes: [UInt8], from open: Int) -> Int? {
    var depth = 0
    var commas = 0
    var isEmpty = true
    // A colon behind nothing but a name, at the beginning of an argument, is a label.
    var argument: [UInt8] = []
    for byte in bytes[open...] {
      switch byte {
      case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        if depth == 1 { continue }
      case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
        depth -= 1
        if depth == 0 { return isEmpty ? 0 : commas + 1 }
      case UInt8(ascii: ",") where depth == 1:
        commas += 1
        argument = []
        continue
      case UInt8(ascii: ":") where depth == 1:
        if !argument.isEmpty, argument.allSatisfy(isNameByte) { return nil }
      default: break
      }
      let isSpace = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n")
      if !isSpace {
        isEmpty = false
        argument.append(byte)
      }
    }
    return nil
  }

  /// The same text with blanks in place of comments and of what string literals hold; line ends stay.
  static func withoutCommentsAndLiterals(_ text: String) -> String {
    enum Inside { case code, lineComment, blockComment, literal, longLiteral }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var inside = Inside.code
    var index = 0
    func follows(_ words: String) -> Bool { bytes[index...].starts(with: words.utf8) }
    func blank(_ count: Int) {
      for byte in bytes[index..<min(bytes.count, index + count)] {
        result.append(byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
      }
      index += count
    }
    while index < bytes.count {
      switch inside {
      case .code:
        if follows("//") {
          inside = .lineComment
        } else if follows("/*") {
          inside = .blockComment
        } else if follows("\"\"\"") {
          inside = .longLiteral
          blank(3)
        } else if follows("\"") {
          inside = .literal
          // What was an argument still is one.
          result.append(UInt8(ascii: "_"))
          index += 1
        } else {
          result.append(bytes[index])
          index += 1
        }
      case .lineComment:
        if follows("\n") { inside = .code }
        blank(1)
      case .blockComment:
        if follows("*/") {
          inside = .code
          blank(2)
        } else {
          blank(1)
        }
      case .literal:
        if follows("\\") {
          blank(2)
        } else {
          if follows("\"") || follows("\n") { inside = .code }
          blank(1)
        }
      case .longLiteral:
        if follows("\"\"\"") {
          inside = .code
          blank(3)
        } else {
          blank(1)
        }
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
