import Forwarding
import Identification
import Logging
import Provenance
import Screening
import Storage

// What judges a capture: networks, limits, sentences, and the patient's own past.
extension DeviceRuntime {
  /// The models, limits and sentences that the configuration names. What is amiss with a translation is told here.
  func loadAssessor(
    network: ScreeningNetwork?, limits: GateLimits, digests: OpenSSLDigests
  ) throws -> Assessor {
    let (book, warnings) = SentenceFolder(path: settings.paths.languagesDirectory)
      .book(language: settings.language)
    for warning in warnings { logger.warning("language", metadata: ["reason": "\(warning)"]) }
    let quality = try settings.quality.model.map { name in
      try ModelFolder(path: settings.paths.modelsDirectory + "/" + name, digests: digests).qualityNetwork()
    }
    return Assessor(network: network, quality: quality, limits: limits, sentences: book)
  }

  /// Looks up a patient's earlier captures. Without them a capture is assessed all the same.
  func past(in outbox: Outbox?) -> @Sendable (PatientReference) async -> [EarlierCapture] {
    guard let outbox else { return { _ in [] } }
    let logger = logger
    return { patient in
      do throws(OutboxError) {
        let history = try await outbox.history(ofPatient: patient.text)
        if history.unreadable > 0 {
          logger.warning("history: records cannot be read", metadata: ["records": "\(history.unreadable)"])
        }
        return history.records.compactMap { EarlierCapture($0) }
      } catch {
        logger.error("the patient's earlier captures could not be looked up", metadata: ["reason": "\(error)"])
        return []
      }
    }
  }
}
