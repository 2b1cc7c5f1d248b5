/// From where the torso is seen.
package enum CaptureView: String, Sendable, Hashable, Codable, CaseIterable {
  case frontal
  case leftOblique = "left-oblique"
  case rightOblique = "right-oblique"
  case leftLateral = "left-lateral"
  case rightLateral = "right-lateral"

  /// What is at the right of the image: the camera faces the patient and mirrors nothing. From the side there is neither.
  package var rightSide: String? {
    switch self {
    case .frontal, .leftOblique, .rightOblique: "patient's left"
    case .leftLateral, .rightLateral: nil
    }
  }
}
