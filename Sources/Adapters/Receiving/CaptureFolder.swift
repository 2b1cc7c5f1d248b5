import Forwarding
import Glibc
import Provenance

/// One capture's files: `{site}/{device}/{capture_id}/` with `record.json`, the images and, once everything is there
/// and checked, `receipt.json`.
struct CaptureFolder {
  static let receiptName = "receipt.json"
  static let ownNames: Set<String> = [OutboxItem.recordName, receiptName]
  /// The largest image in bytes: what `TopicSchema.maximumParts` parts of 96 KiB hold.
  static let imageBytesMaximum = TopicSchema.maximumParts * 96 * 1024

  let path: String
  let captureID: RandomIdentifier
  /// Names the temporary files of this receiver.
  let writer: String

  init(root: String, topics: TopicSchema, captureID: RandomIdentifier, writer: String) {
    path = "\(root)/\(topics.site)/\(topics.device)/\(captureID)"
    self.captureID = captureID
    self.writer = writer
  }

  func make() throws(ReceiverError) {
    try DurableFiles.makeFolder(path)
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func has(_ name: String) -> Bool { DurableFiles.exists(file(name)) }

  func read(_ name: String) throws(ReceiverError) -> [UInt8]? {
    try DurableFiles.read(file(name), bytesMaximum: Self.imageBytesMaximum)
  }

  func write(_ bytes: [UInt8], as name: String) throws(ReceiverError) {
    try DurableFiles.write(bytes, to: file(name), writer: writer)
  }

  func remove(_ name: String) throws(ReceiverError) {
    guard unlink(file(name)) == 0 || errno == ENOENT else {
      throw ReceiverError("remove", file(name), errnoCode: errno)
    }
  }

  /// The receipt that was made when the capture was complete, or nil.
  func receipt() throws(ReceiverError) -> Receipt? {
    guard let bytes = try read(Self.receiptName) else { return nil }
    do {
      return try Receipt(decoding: bytes)
    } catch {
      throw ReceiverError("read", file(Self.receiptName), reason: "\(error)")
    }
  }

  // MARK: Parts

  private func partsFolder(_ name: String) -> String { file(".\(name).parts") }

  /// Keeps one part. Returns the whole when every part is there.
  func keep(_ bytes: [UInt8], part: UplinkTopic.Part, of name: String) throws(ReceiverError) -> [UInt8]? {
    let folder = partsFolder(name)
    try DurableFiles.makeFolder(folder)
    try DurableFiles.write(bytes, to: "\(folder)/\(part.index)-of-\(part.count)", writer: writer)
    for index in 1...part.count where !DurableFiles.exists("\(folder)/\(index)-of-\(part.count)") { return nil }
    var whole: [UInt8] = []
    for index in 1...part.count {
      let path = "\(folder)/\(index)-of-\(part.count)"
      guard let bytes = try DurableFiles.read(path, bytesMaximum: Self.imageBytesMaximum) else { return nil }
      guard whole.count + bytes.count <= Self.imageBytesMaximum else {
        throw ReceiverError("assemble", folder, reason: "more than \(Self.imageBytesMaximum) bytes")
      }
      whole += bytes
    }
    return whole
  }

  /// Forgets the parts of `name`.
  func removeParts(of name: String, count: Int) throws(ReceiverError) {
    let folder = partsFolder(name)
    for index in 1...count {
      let path = "\(folder)/\(index)-of-\(count)"
      guard unlink(path) == 0 || errno == ENOENT else { throw ReceiverError("remove", path, errnoCode: errno) }
    }
    // Parts of another division may still lie there; the folder then stays.
    guard rmdir(folder) == 0 || errno == ENOENT || errno == ENOTEMPTY else {
      throw ReceiverError("remove", folder, errnoCode: errno)
    }
  }
}
