import Provenance

/// What a technician's view of a surface of one temperature showed: how much each pixel must be corrected.
package struct FlatField: Sendable, Hashable, Codable {
  /// Of the sensor that it belongs to.
  package var serialNumber: String
  package var taken: Timestamp
  package var framesAveraged: Int
  /// Mean of the surface as the sensor saw it, in degC.
  package var surfaceCelsius: Double
  /// degC to add, row-major; 0 where the pixel had no measured value.
  package var offsetsCelsius: [Float]

  /// A pixel that is further from the mean than this is not a matter of flatness.
  package static let maximumOffsetCelsius: Float = 3
  /// Frames that make the noise small against the offsets.
  package static let minimumFrames = 64

  /// - Parameter thermogram: of a surface of one temperature that fills the view, close to the temperatures of use.
  package init(thermogram: Thermogram, serialNumber: String, taken: Timestamp) throws(FlatFieldError) {
    guard !thermogram.settling else { throw .settling }
    guard thermogram.framesAveraged >= Self.minimumFrames else {
      throw .tooFewFrames(found: thermogram.framesAveraged, expected: Self.minimumFrames)
    }
    let measured = thermogram.states.indices.filter { thermogram.states[$0] == .measured }
    guard measured.count >= thermogram.geometry.pixelCount * 9 / 10 else {
      throw .tooFewPixels(found: measured.count, of: thermogram.geometry.pixelCount)
    }
    let mean = measured.reduce(0.0) { $0 + Double(thermogram.celsius[$1]) } / Double(measured.count)
    var offsets = Array(repeating: Float(0), count: thermogram.geometry.pixelCount)
    for pixel in measured { offsets[pixel] = Float(mean) - thermogram.celsius[pixel] }
    let largest = offsets.map(abs).max() ?? 0
    guard largest <= Self.maximumOffsetCelsius else { throw .notFlat(celsius: largest) }
    self.serialNumber = serialNumber
    self.taken = taken
    framesAveraged = thermogram.framesAveraged
    surfaceCelsius = mean
    offsetsCelsius = offsets
  }

  /// Whether the numbers of a stored flat field can be used with the sensor `serialNumber` of `geometry`.
  package func isUsable(withSensor serialNumber: String, _ geometry: SensorGeometry) -> Bool {
    self.serialNumber == serialNumber && offsetsCelsius.count == geometry.pixelCount
      && offsetsCelsius.allSatisfy { abs($0) <= Self.maximumOffsetCelsius }
  }

  /// Corrects the pixels of one part.
  func correct(_ image: inout TemperatureImage, _ part: PixelPart) {
    for pixel in part.pixels where image.valid[pixel] {
      image.celsius[pixel] += offsetsCelsius[pixel]
    }
  }
}

/// Why a thermogram cannot become a flat field.
package enum FlatFieldError: Error, Equatable, Sendable, CustomStringConvertible {
  case settling
  case tooFewFrames(found: Int, expected: Int)
  case tooFewPixels(found: Int, of: Int)
  case notFlat(celsius: Float)

  package var description: String {
    switch self {
    case .settling: "the sensor is still warming up; wait until it has run for 4 minutes and its temperature is steady"
    case .tooFewFrames(let found, let expected): "\(found) frames averaged, expected at least \(expected)"
    case .tooFewPixels(let found, let all):
      "only \(found) of \(all) pixels were measured; expected at least \(all * 9 / 10)"
    case .notFlat(let celsius):
      "a pixel is \(rounded(Double(celsius), 2)) degC from the mean, expected at most "
        + "\(rounded(Double(FlatField.maximumOffsetCelsius), 2)); fill the view with a surface of one temperature"
    }
  }
}
