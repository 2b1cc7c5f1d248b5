import Foundation
import Screening
import Thermography

extension SubjectMeasurements {
  /// Of a frame of the sensor that the torso is drawn for.
  init?(
    celsius: [Float], standardErrorCelsius: [Float] = [], measured: [Bool] = [], mirrored: Bool = false
  ) {
    self.init(
      geometry: .mlx90640, celsius: celsius, standardErrorCelsius: standardErrorCelsius, measured: measured,
      mirrored: mirrored)
  }
}

/// A frame drawn from a few numbers, so that each measurement has a truth to be held against. It shares no code with
/// the device's own scene.
struct SyntheticTorso {
  var ambient: Float = 22
  var skin: Float = 32
  var centreColumn: Float = 15.5
  /// Half of the torso's width in columns.
  var halfWidth: Float = 11
  /// Columns the axis moves a row.
  var slope: Float = 0
  /// Added to the image's left half, degC.
  var imageLeftExcess: Float = 0
  /// Rows above this one are background.
  var firstRow = 3
  var checkerboard: Float = 0
  var noise: Float = 0.05
  var seed: UInt64 = 1

  func frame() -> [Float] {
    var state = seed
    var frame = [Float](repeating: 0, count: 768)
    for row in 0..<24 {
      for column in 0..<32 {
        let axis = centreColumn + slope * (Float(row) - 11.5)
        let distance = abs(Float(column) - axis) / halfWidth
        var value = ambient
        if row >= firstRow, distance <= 1 {
          // A cylinder seen from the front: cooler towards its sides.
          value = skin - 1.5 * distance * distance + (Float(column) < axis ? imageLeftExcess : 0)
        }
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        value += noise * (Float(state >> 40) / Float(1 << 23) - 1)
        value += ((row + column).isMultiple(of: 2) ? checkerboard : -checkerboard) / 2
        frame[row * 32 + column] = value
      }
    }
    return frame
  }
}
