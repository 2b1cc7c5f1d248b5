import Forwarding
import FoundationEssentials
import LocalFiles

// Corrections among the events of devices.
extension ReceivedFolder {
  /// Enters a correction in the index. An event of another kind is none, and neither is one that cannot be read: it is
  /// stored all the same.
  func follow(_ payload: [UInt8], _ topics: TopicSchema, _ outcome: inout StoreOutcome) throws {
    switch Self.correction(payload) {
    case .success(nil): break
    case .success(let correction?):
      if let why = try registerCorrection(topics.site.text, topics.device.text, correction) {
        outcome.notes.append("\(topics.site)/\(topics.device): a correction is stored and not followed: \(why)")
      }
    case .failure(let error):
      outcome.notes.append("\(topics.site)/\(topics.device): a correction is stored and not followed: \(error)")
    }
  }

  /// What every event says of itself.
  private struct Heading: Decodable { var schema: String? }

  /// nil for an event of another kind.
  private static func correction(_ payload: [UInt8]) -> Result<CorrectionMessage?, any Error> {
    let isCorrection: Bool
    do {
      isCorrection = try JSONDecoder().decode(Heading.self, from: Data(payload)).schema == CorrectionMessage.schema
    } catch {
      return .success(nil)
    }
    guard isCorrection else { return .success(nil) }
    return Result { try CorrectionMessage(decoding: payload) }
  }

  func registerCorrections(_ site: String, _ device: String) throws {
    let folder = "\(root)/\(site)/\(device)/messages"
    guard try BoundedFile.status(folder, followingLink: false)?.kind == .folder else { return }
    for name in try Folder.names(in: folder, maximumNames: 1_000_000) where name.hasPrefix("event-") {
      guard let bytes = try BoundedFile.readIfThere("\(folder)/\(name)", maximumBytes: Receipt.maximumBytes),
        case .success(let correction?) = Self.correction(bytes)
      else { continue }
      _ = try registerCorrection(site, device, correction)
    }
  }
}
