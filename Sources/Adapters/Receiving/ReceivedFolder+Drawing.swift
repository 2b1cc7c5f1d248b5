import Forwarding
import LocalFiles
import Provenance

/// `rendered.json`: what lies beside the images and did not come from the device.
private struct RenderedPictures: Encodable {
  struct Picture: Encodable {
    var name: String
    var from: String
    var sha256: String
  }

  var schema = "thermograph.rendered.v1"
  /// The receiver that drew them.
  var receiver: String
  var pictures: [Picture]
}

extension ReceivedFolder {
  static let masterName = "master.png"

  /// A picture that cannot be drawn, or comes out otherwise, is told and left out; the capture is complete without it.
  func drawWhatWasNotSent(
    _ folder: CaptureFolder, _ record: RecordEnvelope, _ outcome: inout StoreOutcome
  ) throws {
    guard let draw, let renderings = record.renderings, !renderings.isEmpty else { return }
    guard let master = try folder.read(Self.masterName) else { return }
    var drawn: [RenderedPictures.Picture] = []
    for promise in renderings {
      let picture: [UInt8]
      do {
        picture = try draw(record, promise.name, master)
      } catch {
        outcome.notes.append("\(folder.file(promise.name)): was not sent and is not drawn: \(error)")
        continue
      }
      let digest = Hexadecimal.text(of: digests.sha256(picture))
      guard picture.count == promise.bytes, digest == promise.sha256 else {
        outcome.notes.append(
          "\(folder.file(promise.name)): was not sent, and drawn here it is not the record's (another version of the program "
            + "or of zlib); left out")
        continue
      }
      if try folder.read(promise.name) != picture { try folder.write(picture, as: promise.name) }
      drawn.append(.init(name: promise.name, from: Self.masterName, sha256: digest))
    }
    guard !drawn.isEmpty else { return }
    try folder.write(
      try CanonicalJSON.bytes(of: RenderedPictures(receiver: name, pictures: drawn)), as: CaptureFolder.renderedName)
  }
}
