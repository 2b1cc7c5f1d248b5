import Forwarding
import Glibc
import Provenance
import Receiving

/// One line of `receive --json`.
struct ReceivedCaptureLine: Encodable {
  private let site: String
  private let device: String
  private let captureID: String
  private let outboxID: String
  private let sequence: Int64
  private let replayed: Bool?
  private let path: String?
  private let images: [String]

  private enum CodingKeys: String, CodingKey {
    case site, device
    case captureID = "capture_id"
    case outboxID = "outbox_id"
    case sequence, replayed, path, images
  }

  init(_ capture: Receiver.CompletedCapture) {
    site = capture.site
    device = capture.device
    captureID = "\(capture.captureID)"
    outboxID = "\(capture.outboxID)"
    sequence = capture.sequence
    replayed = capture.replayed
    path = capture.path
    images = capture.images
  }

  /// The JSON, without a line end.
  func text() throws -> String {
    try CanonicalJSON.text(of: self)
  }
}
