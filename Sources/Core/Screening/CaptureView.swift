/// From where the torso is seen.
package enum CaptureView: String, Sendable, Hashable, Codable, CaseIterable {
  case frontal
  case leftOblique = "left-oblique"
  case rightOblique = "right-oblique"
  case leftLateral = "left-lateral"
  case rightLateral = "right-lateral"
}
