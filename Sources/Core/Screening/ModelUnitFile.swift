/// A model's files as one file: an archive of the POSIX format `ustar`, as `tar --format=ustar` and Python's `tarfile` write
/// it. It holds plain files only, each once: `manifest.json` and what the manifest names.
package struct ModelUnitFile: Sendable, Equatable {
  private static let blockBytes = 512
  private static let space = UInt8(ascii: " ")
  private static let filesMaximum = 64
  package static let manifestName = "manifest.json"

  /// By their paths.
  package let files: [String: [UInt8]]

  /// Reads an archive, and holds it against its manifest: nothing may be missing, and nothing may come along.
  ///
  /// - Throws: `ModelUnitError` that names the file within, what is wrong and what was expected.
  package init(archive: [UInt8]) throws(ModelUnitError) {
    var files: [String: [UInt8]] = [:]
    var position = 0
    while true {
      guard position + Self.blockBytes <= archive.count else { throw ModelUnitError("it ends without an end mark") }
      let header = Array(archive[position..<position + Self.blockBytes])
      if header.allSatisfy({ $0 == 0 }) { break }
      let (name, size) = try Self.entry(header)
      position += Self.blockBytes
      guard size <= archive.count - position else {
        throw ModelUnitError("\(name): says \(size) bytes where \(archive.count - position) follow")
      }
      guard files.updateValue(Array(archive[position..<position + size]), forKey: name) == nil else {
        throw ModelUnitError("\(name): stands there twice")
      }
      guard files.count <= Self.filesMaximum else { throw ModelUnitError("more than \(Self.filesMaximum) files") }
      position += (size + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
    }
    guard archive[position...].allSatisfy({ $0 == 0 }) else {
      throw ModelUnitError("something follows its end mark")
    }
    self.files = files
    try checkAgainstManifest()
  }

  /// Name and size of a file.
  private static func entry(_ header: [UInt8]) throws(ModelUnitError) -> (name: String, size: Int) {
    let magic = header[257..<263]
    guard magic.elementsEqual("ustar\0".utf8) || magic.elementsEqual("ustar ".utf8) else {
      throw ModelUnitError("is no archive; expected one as `tar --format=ustar` writes it")
    }
    guard let stated = octal(header[148..<156]) else { throw ModelUnitError("a header has no checksum") }
    var sum = 0
    for (index, byte) in header.enumerated() { sum += (148..<156).contains(index) ? Int(space) : Int(byte) }
    guard sum == stated else { throw ModelUnitError("a header is damaged (checksum \(sum), expected \(stated))") }
    let name = String(decoding: header[0..<100].prefix { $0 != 0 }, as: UTF8.self)
    guard ModelManifest.isPlainPath(name), header[345] == 0 else {
      throw ModelUnitError("'\(name.prefix(100))': expected a plain file name, or golden/ and one")
    }
    guard header[156] == UInt8(ascii: "0") || header[156] == 0 else {
      throw ModelUnitError("\(name): is no plain file; expected one")
    }
    guard let size = octal(header[124..<136]) else { throw ModelUnitError("\(name): has no size") }
    return (name, size)
  }

  /// Octal digits up to a space or a zero byte; nil for anything else.
  private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
    let digits = field.drop { $0 == space }.prefix { $0 != space && $0 != 0 }
    guard (1...11).contains(digits.count), digits.allSatisfy({ (48...55).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 << 3 | Int($1 - 48) }
  }

  private func checkAgainstManifest() throws(ModelUnitError) {
    guard let json = files[Self.manifestName] else { throw ModelUnitError("there is no \(Self.manifestName)") }
    let manifest: ModelManifest
    do throws(ModelManifestError) { manifest = try ModelManifest(json: json) } catch {
      throw ModelUnitError("\(Self.manifestName): \(error)")
    }
    let named = Set(manifest.files.map(\.path) + [Self.manifestName])
    if let missing = named.subtracting(files.keys).min() { throw ModelUnitError("\(missing): is missing") }
    if let more = Set(files.keys).subtracting(named).min() {
      throw ModelUnitError("\(more): the manifest does not name it")
    }
    for file in manifest.files where files[file.path]?.count != file.bytes {
      throw ModelUnitError("\(file.path): \(files[file.path]?.count ?? 0) bytes; expected \(file.bytes)")
    }
  }

  /// The archive of these files: the manifest first, then by name; no times, no owners, so that equal files are equal bytes.
  ///
  /// - Precondition: paths of at most 99 bytes.
  package static func archive(of files: [String: [UInt8]]) -> [UInt8] {
    var bytes: [UInt8] = []
    let names = files.keys.sorted { ($0 != manifestName ? 1 : 0, $0) < ($1 != manifestName ? 1 : 0, $1) }
    for name in names {
      let content = files[name] ?? []
      bytes += header(name, size: content.count) + content
      bytes += [UInt8](repeating: 0, count: (blockBytes - content.count % blockBytes) % blockBytes)
    }
    return bytes + [UInt8](repeating: 0, count: 2 * blockBytes)
  }

  private static func header(_ name: String, size: Int) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: blockBytes)
    func put(_ text: String, at offset: Int) {
      for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
    }
    func octal(_ value: Int, _ digits: Int) -> String {
      let text = String(value, radix: 8)
      return String(repeating: "0", count: digits - text.utf8.count) + text
    }
    put(name, at: 0)
    put(octal(0o644, 7), at: 100)
    put(octal(0, 7), at: 108)
    put(octal(0, 7), at: 116)
    put(octal(size, 11), at: 124)
    put(octal(0, 11), at: 136)
    put("        0", at: 148)
    put("ustar", at: 257)
    put("00", at: 263)
    put(octal(header.reduce(0) { $0 + Int($1) }, 6), at: 148)
    (header[154], header[155]) = (0, space)
    return header
  }
}

/// Why a file is no model's unit; the owner adds the path.
package struct ModelUnitError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

extension ModelManifest {
  /// Every file of the model beside the manifest.
  package var files: [File] {
    [model, golden.input] + golden.outputs
      + [golden.frames, golden.counters, golden.residuals, subspaces?.bases].compactMap { $0 }
  }
}
