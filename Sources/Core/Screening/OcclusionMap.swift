import Thermography

/// Where a model's score changes when a patch of the thermogram is brought to the subject's mean: where the model reacted, not where disease
/// is. For a doctor, never for a patient.
package struct OcclusionMap: Sendable, Hashable {
  /// What must stand with every such picture.
  package static let label = "where the model reacted, not where disease is"
  /// Side of the changed square, and the step from one to the next, in pixels.
  package static let patchSide = 4
  package static let stride = 2

  /// 768 grey levels, row-major: 255 where a patch changed the score most, 0 where it changed nothing. Relative to
  /// `peakChange`, so two maps cannot be compared by their brightness.
  package let grey: [UInt8]
  /// The largest mean change of the raw int8 output over the patches that cover a pixel; 0 when nothing changed it.
  package let peakChange: Double

  init(changes: [Double]) {
    let peak = changes.max() ?? 0
    peakChange = (peak * 1000).rounded() / 1000
    grey = changes.map { peak > 0 ? UInt8(($0 / peak * 255).rounded()) : 0 }
  }
}

extension ScreeningNetwork {
  /// Brings patch after patch of the subject to the subject's mean temperature, fine structure kept, and runs the
  /// network each time: at most 165 runs.
  ///
  /// - Throws: when the thermogram has no score, or a changed one has none.
  package func occlusionMap(of thermogram: Thermogram) throws(ScreeningError) -> OcclusionMap {
    let celsius = thermogram.celsius
    guard let subject = SubjectMeasurements(celsius: celsius), subject.isPresent else {
      throw .thermogram("no subject stands out; there is nothing to explain")
    }
    let score = Int(try rawScore(of: celsius))
    let (rows, columns) = (SubjectMeasurements.rows, SubjectMeasurements.columns)
    var sums = [Double](repeating: 0, count: celsius.count)
    var counts = sums
    for top in stride(from: 0, through: rows - OcclusionMap.patchSide, by: OcclusionMap.stride) {
      for left in stride(from: 0, through: columns - OcclusionMap.patchSide, by: OcclusionMap.stride) {
        let patch = (0..<OcclusionMap.patchSide * OcclusionMap.patchSide).map { index in
          (top + index / OcclusionMap.patchSide) * columns + left + index % OcclusionMap.patchSide
        }
        let mean = patch.reduce(Float(0)) { $0 + celsius[$1] } / Float(patch.count)
        // Less than half of it is subject: nothing to take away.
        guard Double(mean) > subject.backgroundCelsius + subject.contrastCelsius / 2 else { continue }
        var changed = celsius
        for pixel in patch { changed[pixel] += Float(subject.subjectCelsius) - mean }
        let change = abs(Double(Int(try rawScore(of: changed)) - score))
        for pixel in patch {
          sums[pixel] += change
          counts[pixel] += 1
        }
      }
    }
    return OcclusionMap(changes: zip(sums, counts).map { $1 > 0 ? $0 / $1 : 0 })
  }
}
