import Forwarding
import LocalFiles
import Provenance

/// One capture's files: `{site}/{device}/{capture_id}/` with `record.json`, the images and, once everything is there
/// and checked, `receipt.json`. `rendered.json` names pictures that were not sent and were drawn here.
struct CaptureFolder {
  static let receiptName = "receipt.json"
  static let renderedName = "rendered.json"
  static let ownNames: Set<String> = [OutboxItem.recordName, receiptName, renderedName]
  /// The largest image in bytes: what `TopicSchema.maximumParts` parts of 96 KiB hold.
  static let imageBytesMaximum = TopicSchema.maximumParts * 96 * 1024

  let path: String
  let captureID: RandomIdentifier

  init(root: String, topics: TopicSchema, captureID: RandomIdentifier) {
    path = "\(root)/\(topics.site)/\(topics.device)/\(captureID)"
    self.captureID = captureID
  }

  func make() throws(FileError) {
    try Folder.makeAll(path, mode: 0o755)
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func has(_ name: String) throws(FileError) -> Bool { try BoundedFile.exists(file(name), followingLink: false) }

  func read(_ name: String) throws(FileError) -> [UInt8]? {
    try BoundedFile.readIfThere(file(name), maximumBytes: Self.imageBytesMaximum)
  }

  func write(_ bytes: [UInt8], as name: String) throws(FileError) {
    try BoundedFile.replace(file(name), with: bytes, isDurable: false)
  }

  func remove(_ name: String) throws(FileError) {
    try BoundedFile.remove(file(name), isDurable: false)
  }

  /// The receipt that was made when the capture was complete, or nil.
  func receipt() throws(FileError) -> Receipt? {
    guard let bytes = try read(Self.receiptName) else { return nil }
    do {
      return try Receipt(decoding: bytes)
    } catch {
      throw FileError(path: file(Self.receiptName), reason: "\(error)")
    }
  }

  // MARK: Parts

  private func partsFolder(_ name: String) -> String { file(".\(name).parts") }

  /// Keeps one part. Returns the whole when every part is there.
  func keep(_ bytes: [UInt8], part: UplinkTopic.Part, of name: String) throws(FileError) -> [UInt8]? {
    let folder = partsFolder(name)
    try Folder.makeAll(folder, mode: 0o755)
    try BoundedFile.replace("\(folder)/\(part.index)-of-\(part.count)", with: bytes, isDurable: false)
    for index in 1...part.count {
      guard try BoundedFile.exists("\(folder)/\(index)-of-\(part.count)") else { return nil }
    }
    var whole: [UInt8] = []
    for index in 1...part.count {
      let path = "\(folder)/\(index)-of-\(part.count)"
      guard let bytes = try BoundedFile.readIfThere(path, maximumBytes: Self.imageBytesMaximum) else { return nil }
      guard whole.count + bytes.count <= Self.imageBytesMaximum else {
        throw FileError(path: folder, reason: "the parts have more than \(Self.imageBytesMaximum) bytes")
      }
      whole += bytes
    }
    return whole
  }

  /// Forgets the parts of `name`.
  func removeParts(of name: String, count: Int) throws(FileError) {
    let folder = partsFolder(name)
    for index in 1...count { try BoundedFile.remove("\(folder)/\(index)-of-\(count)", isDurable: false) }
    // Parts of another division may still lie there; the folder then stays.
    try Folder.removeIfEmpty(folder)
  }
}
