/// What an assessment rests on beside the thermogram: with it, the stored thermogram and the models the same assessment
/// is made again, equal to the bit. Names no patient.
package struct AssessmentBasis: Sendable, Equatable, Codable {
  /// A model as the assessor had it.
  package struct Model: Sendable, Equatable, Codable {
    package var id: String
    /// Of the network's file, lower-case hexadecimal.
    package var sha256: String

    package init(_ manifest: ModelManifest) {
      id = manifest.id
      sha256 = manifest.model.sha256
    }
  }

  package var conditions: AcquisitionConditions
  package var context: CaptureContext
  package var limits: GateLimits
  /// Of the sentences, a language tag.
  package var language: String
  /// nil when none was configured.
  package var screeningModel: Model?
  package var qualityModel: Model?

  private enum CodingKeys: String, CodingKey {
    case conditions, context, limits, language
    case screeningModel = "screening_model"
    case qualityModel = "quality_model"
  }
}

/// Numbers of a basis come from a file: beyond this they are no measurement, and arithmetic on them could overflow.
enum BasisBounds {
  static let magnitude = 1e6

  static func check(_ value: Double, _ path: [any CodingKey]) throws {
    guard abs(value) <= magnitude else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: path, debugDescription: "\(value); expected a magnitude up to \(Int(magnitude))"))
    }
  }
}
