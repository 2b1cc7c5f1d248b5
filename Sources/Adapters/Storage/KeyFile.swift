import FoundationEssentials
import Glibc
import LocalFiles
import Provenance

/// A key in a file of mode 0600: 32 raw bytes, 64 hexadecimal digits or 44 characters of base64 (a newline may follow).
package enum KeyFile {
  /// No key form is longer than base64 with CR LF.
  private static let maximumBytes = 128

  /// Reads the key that seals the outbox; see `loadBytes`.
  package static func load(
    path: String, digests: some MessageDigests, requirePrivate: Bool = true
  ) throws(KeyFileError) -> SealingKey {
    let bytes = try loadBytes(path: path, requirePrivate: requirePrivate)
    guard let key = SealingKey(bytes: bytes, digests: digests) else {
      throw KeyFileError(path: path, .content(byteCount: bytes.count))
    }
    return key
  }

  /// Reads the 32 bytes of a key. The file must be a regular file that belongs to us or to root and is closed to everyone else.
  /// Root, who looks after the service's files, also reads what belongs to the owner of the folder that holds it: that owner could
  /// exchange the file anyway.
  ///
  /// - Parameter requirePrivate: read a systemd credential with `false`, everything else with `true`. A credential may
  ///   show a readable group, which is the mask of the access list by which systemd lets the service's user read it.
  package static func loadBytes(path: String, requirePrivate: Bool = true) throws(KeyFileError) -> [UInt8] {
    let (status, read) = try onFile(path) { () throws(FileError) in
      let file = try OpenFile(path)
      let status = try file.status()
      // One byte too many is no key either; what is longer is not read.
      return (status, status.byteCount > maximumBytes ? [] : try file.read(maximumBytes: maximumBytes))
    }
    var content = read
    defer { for index in content.indices { content[index] = 0 } }
    guard status.permissions & (requirePrivate ? 0o077 : 0o037) == 0 else {
      throw KeyFileError(path: path, .mode(status.permissions & 0o777))
    }
    guard try isTrusted(owner: status.owner, of: path) else {
      throw KeyFileError(path: path, .owner(uid: status.owner))
    }
    guard let bytes = key(in: content), bytes.count == SealingKey.byteCount else {
      throw KeyFileError(path: path, .content(byteCount: status.byteCount))
    }
    return bytes
  }

  private static func isTrusted(owner: UInt32, of path: String) throws(KeyFileError) -> Bool {
    if owner == geteuid() || owner == 0 { return true }
    guard geteuid() == 0 else { return false }
    let folder = try onFile(path) { () throws(FileError) in try BoundedFile.status(Folder.holding(path)) }
    return folder?.owner == owner
  }

  /// Makes a new key file of mode 0600 that did not exist before, on disk when this returns.
  package static func create(
    path: String, digests: some MessageDigests, using generator: inout some RandomNumberGenerator
  ) throws(KeyFileError) -> SealingKey {
    let bytes = (0..<SealingKey.byteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    guard let key = SealingKey(bytes: bytes, digests: digests) else {
      throw KeyFileError(path: path, .content(byteCount: 0))
    }
    do throws(FileError) {
      try BoundedFile.createPrivate(path, with: Array((Hexadecimal.text(of: bytes) + "\n").utf8))
    } catch {
      throw KeyFileError(path: path, .create(error.systemErrorNumber))
    }
    return key
  }

  /// The key of `path`, made when the file does not exist: for simulation, tests and the installer.
  package static func loadOrCreate(
    path: String, digests: some MessageDigests, using generator: inout some RandomNumberGenerator
  ) throws(KeyFileError) -> SealingKey {
    guard try onFile(path, { () throws(FileError) in try BoundedFile.exists(path) }) else {
      return try create(path: path, digests: digests, using: &generator)
    }
    return try load(path: path, digests: digests)
  }

  /// Destroys a key, and with it everything that only this key can open: overwritten, synced, unlinked. Flash may
  /// keep the old block; whoever fears a soldering iron keeps the key in a TPM or an encrypted credential.
  package static func erase(path: String) throws(KeyFileError) {
    guard try onFile(path, { () throws(FileError) in try BoundedFile.erase(path) }) else {
      throw KeyFileError(path: path, .open(ENOENT))
    }
  }

  /// Work on the file in this module's terms.
  private static func onFile<Result>(
    _ path: String, _ body: () throws(FileError) -> Result
  ) throws(KeyFileError) -> Result {
    do throws(FileError) { return try body() } catch {
      throw KeyFileError(path: path, error.systemErrorNumber == 0 ? .notAFile : .open(error.systemErrorNumber))
    }
  }

  /// Whether `content` is a key in one of the three forms.
  package static func isKey(_ content: [UInt8]) -> Bool { key(in: content)?.count == SealingKey.byteCount }

  /// The 32 bytes that `content` writes in one of the three forms, or nil.
  static func key(in content: [UInt8]) -> [UInt8]? {
    if content.count == SealingKey.byteCount { return content }
    var text = content[...]
    while let last = text.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { text.removeLast() }
    if text.count == 2 * SealingKey.byteCount { return Hexadecimal.bytes(of: String(decoding: text, as: UTF8.self)) }
    if text.count == 44 {
      return Data(base64Encoded: Data(text)).flatMap { $0.count == SealingKey.byteCount ? [UInt8]($0) : nil }
    }
    return nil
  }
}

/// What is wrong with a key file. It never says anything of the content.
package struct KeyFileError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Problem: Sendable, Equatable {
    case open(Int32)
    case create(Int32)
    case notAFile
    case mode(UInt32)
    case owner(uid: UInt32)
    case content(byteCount: Int)
  }

  package let path: String
  package let problem: Problem

  init(path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  package var description: String {
    switch problem {
    case .open(ENOENT):
      "key file \(path): does not exist; make it with: (umask 077; head -c 32 /dev/urandom > \(path))"
    case .open(let code):
      "key file \(path): \(SystemCallError.text(of: code)); expected a readable file with a 32-byte key"
    case .create(let code): "key file \(path): cannot be written: \(SystemCallError.text(of: code))"
    case .notAFile: "key file \(path): is not a regular file"
    case .mode(let mode): "key file \(path): mode 0\(String(mode, radix: 8)) lets others read it; run chmod 600 \(path)"
    case .owner(let uid): "key file \(path): belongs to uid \(uid); expected our own user or root"
    case .content(let count):
      "key file \(path): \(count) bytes are no key; expected 32 raw bytes, 64 hexadecimal digits or base64 of 32 bytes"
    }
  }
}
