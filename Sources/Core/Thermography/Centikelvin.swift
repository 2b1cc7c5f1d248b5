/// The one unit in which temperatures are kept and judged: hundredths of a kelvin above absolute zero, in 16 bits.
///
/// A float32 times 100 plus 27315 is exact in a double wherever it lies near a half, so the nearest whole number is
/// the true one and a tie is a tie (the odd eighths of a degree: 0.125 degC is 27327.5).
package enum Centikelvin {
  /// The sample of a pixel without a value.
  package static let noValue: UInt16 = 0

  /// degC to the nearest centikelvin, a half away from zero; nil when `celsius` is not finite or outside of
  /// -273.15...382.20 degC (0...65535).
  package static func nearest(toCelsius celsius: Float) -> Int? {
    guard celsius.isFinite else { return nil }
    let value = (Double(celsius) * 100 + 27315).rounded(.toNearestOrAwayFromZero)
    guard value >= 0 && value <= 65535 else { return nil }
    return Int(value)
  }

  /// The sample of the master image: 1...65535, what lies outside at the nearer end; `noValue` for what is not finite.
  package static func sample(ofCelsius celsius: Float) -> UInt16 {
    guard celsius.isFinite else { return noValue }
    guard let value = nearest(toCelsius: celsius) else { return celsius > 0 ? .max : 1 }
    return UInt16(max(value, 1))
  }

  /// degC of a sample; `sample(ofCelsius:)` gives it back.
  package static func celsius(ofSample sample: UInt16) -> Float { Float(Double(Int(sample) - 27315) / 100) }
}

extension Thermogram {
  /// The samples of the master image, row by row; `Centikelvin.noValue` for a pixel without a value.
  package var centikelvin: [UInt16] {
    zip(celsius, states).map { $1 == .invalid ? Centikelvin.noValue : Centikelvin.sample(ofCelsius: $0) }
  }

  /// Thousandths of a kelvin, rounded to nearest, row by row; 0 where unknown.
  package var standardErrorMillikelvin: [UInt16] {
    standardErrorCelsius.map { $0.isFinite ? UInt16(max(0, min(65_535, (Double($0) * 1000).rounded()))) : 0 }
  }

  /// What a capture's files keep of it: temperatures in whole centikelvin, standard errors of measured pixels in whole
  /// millikelvin. Assessments are made of this, so that they can be made again from the files.
  package var stored: Thermogram {
    var result = self
    for (pixel, sample) in centikelvin.enumerated() {
      let hasValue = sample != Centikelvin.noValue
      result.celsius[pixel] = hasValue ? Centikelvin.celsius(ofSample: sample) : 0
      if !hasValue { result.states[pixel] = .invalid }
    }
    for (pixel, error) in standardErrorMillikelvin.enumerated() {
      result.standardErrorCelsius[pixel] = result.states[pixel] == .measured ? Float(error) / 1000 : 0
    }
    return result
  }
}
