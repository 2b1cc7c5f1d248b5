import Thermography

/// Where a model's score changes when a patch of the thermogram is brought to the subject's mean: where the model reacted, not where disease
/// is. For a doctor, never for a patient.
package struct OcclusionMap: Sendable, Hashable {
  /// What must stand with every such picture.
  package static let label = "where the model reacted, not where disease is"
  /// Side of the changed square in pixels: an eighth of the frame's width or a sixth of its height, whichever is less, so
  /// that the map costs as many runs for any sensor. The step from one to the next is half of it.
  static func patchSide(_ geometry: SensorGeometry) -> Int {
    max(min(geometry.columns / 8, geometry.rows / 6), 2)
  }

  package let geometry: SensorGeometry
  /// Grey levels, one a pixel, row-major: 255 where a patch changed the score most, 0 where it changed nothing. Relative to
  /// `peakChange`, so two maps cannot be compared by their brightness.
  package let grey: [UInt8]
  /// The largest mean change of the raw int8 output over the patches that cover a pixel; 0 when nothing changed it.
  package let peakChange: Double

  init(changes: [Double], _ geometry: SensorGeometry) {
    self.geometry = geometry
    let peak = changes.max() ?? 0
    peakChange = (peak * 1000).rounded() / 1000
    grey = changes.map { peak > 0 ? UInt8(($0 / peak * 255).rounded()) : 0 }
  }
}

extension ScreeningNetwork {
  /// Brings patch after patch of the subject to the subject's mean temperature, fine structure kept, and runs the
  /// network each time: at most 165 runs at 4 to 3.
  ///
  /// - Throws: when the thermogram has no score, or a changed one has none.
  package func occlusionMap(of thermogram: Thermogram) throws(ScreeningError) -> OcclusionMap {
    let celsius = thermogram.celsius
    guard let subject = SubjectMeasurements(geometry: thermogram.geometry, celsius: celsius), subject.isPresent else {
      throw .thermogram("no subject stands out; there is nothing to explain")
    }
    let score = Int(try rawScore(of: thermogram))
    let (rows, columns) = (thermogram.geometry.rows, thermogram.geometry.columns)
    let side = OcclusionMap.patchSide(thermogram.geometry)
    var sums = [Double](repeating: 0, count: celsius.count)
    var counts = sums
    for top in stride(from: 0, through: rows - side, by: side / 2) {
      for left in stride(from: 0, through: columns - side, by: side / 2) {
        let patch = (0..<side * side).map { index in
          (top + index / side) * columns + left + index % side
        }
        let mean = patch.reduce(Float(0)) { $0 + celsius[$1] } / Float(patch.count)
        // Less than half of it is subject: nothing to take away.
        guard Double(mean) > subject.backgroundCelsius + subject.contrastCelsius / 2 else { continue }
        var changed = thermogram
        for pixel in patch { changed.celsius[pixel] += Float(subject.subjectCelsius) - mean }
        let change = abs(Double(Int(try rawScore(of: changed)) - score))
        for pixel in patch {
          sums[pixel] += change
          counts[pixel] += 1
        }
      }
    }
    return OcclusionMap(changes: zip(sums, counts).map { $1 > 0 ? $0 / $1 : 0 }, thermogram.geometry)
  }
}
