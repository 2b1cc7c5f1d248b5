import Forwarding
import LocalFiles
import Provenance
import Synchronization

/// Captures in the clear in a folder of the caller's choice: for a session at a terminal that is to be looked at and not
/// to be sent. The folder may lie on a stick: no link in it is followed.
///
///     {folder}/{capture_id}/record.json, master.png, view.png ...
///     {folder}/messages.jsonl         events and alerts, one a line
final class FolderStore: CaptureStore {
  /// Messages of one session; more of them is a loop.
  private static let maximumMessages = 1000

  let outboxID: RandomIdentifier
  private let folder: String
  private let state = Mutex((sequence: Int64(0), messages: [UInt8](), messageCount: 0))

  /// Makes the folder if the one above it is there.
  init(folder: String, outboxID: RandomIdentifier) throws(FileError) {
    self.folder = folder
    self.outboxID = outboxID
    try Folder.make(folder, mode: 0o700)
    _ = try OpenFolder(withoutLinks: folder)
  }

  func store(_ capture: NewCapture) async -> CaptureStoring {
    let sequence = state.withLock { state in
      state.sequence += 1
      return state.sequence
    }
    do {
      let place = try OpenFolder(withoutLinks: folder).makeFolder("\(capture.captureID)", mode: 0o700)
      for image in capture.images { try place.replace(image.name, with: image.bytes, mode: 0o600) }
      // The record last: where it is, everything is.
      let record = try capture.record(CaptureNumber(outboxID: outboxID, sequence: sequence))
      try place.replace(OutboxItem.recordName, with: record, mode: 0o600)
      return .saved(sequence: sequence)
    } catch {
      return .failed(isFull: false, reason: "\(error)")
    }
  }

  func store(_ message: NewMessage) async throws {
    let lines: [UInt8]? = state.withLock { state in
      guard state.messageCount < Self.maximumMessages else { return nil }
      state.messageCount += 1
      state.messages += message.payload + [UInt8(ascii: "\n")]
      return state.messages
    }
    guard let lines else { throw FileError(path: folder, reason: "holds \(Self.maximumMessages) messages; no more") }
    try OpenFolder(withoutLinks: folder).replace("messages.jsonl", with: lines, mode: 0o600)
  }

  func isFull(captures: Int) async -> Bool { false }
}
