import Thermography

/// One capture as the comparison over time takes it: the body, and a picture of it that can be laid on another.
package struct ChangeFrame: Sendable, Equatable {
  /// The picture is cut at so many degC above and below the skin's mean: what is hotter or colder must not pull.
  private static let cutCelsius = 2.5
  /// The room in the picture, degC below the skin's mean.
  private static let roomCelsius = -3.0

  package let geometry: SensorGeometry
  /// Of the sensor; what it adds to its pixels for good goes with it.
  package let camera: String
  /// Mean standard error of its pixels, degC.
  package let noiseCelsius: Double
  /// degC, row by row.
  let celsius: [Double]
  /// Skin that was measured, without the pixels beside the outline.
  let core: [Bool]
  /// degC above the core's mean, within `cutCelsius`.
  let picture: [Double]

  /// nil where no body stands out.
  ///
  /// - Parameter noiseCelsius: `meanErrorCelsius` of the thermogram, where its standard errors are no longer known.
  package init?(_ thermogram: Thermogram, camera: String, noiseCelsius: Double? = nil) {
    let readable = thermogram.stored.readable
    self.init(
      geometry: readable.geometry, celsius: readable.celsius, measured: readable.states.map { $0 == .measured },
      noiseCelsius: noiseCelsius ?? Self.meanErrorCelsius(of: thermogram), camera: camera)
  }

  /// Mean standard error of the measured pixels, as a capture's files keep it, degC.
  package static func meanErrorCelsius(of thermogram: Thermogram) -> Double {
    let stored = thermogram.stored
    let errors = zip(stored.standardErrorCelsius, stored.states).filter { $0.1 == .measured }.map { Double($0.0) }
    return errors.isEmpty ? 0 : errors.reduce(0, +) / Double(errors.count)
  }

  /// - Parameters:
  ///   - celsius: a value a pixel, row by row.
  ///   - measured: a flag a pixel; what was not measured is neither compared nor compared with.
  init?(geometry: SensorGeometry, celsius: [Float], measured: [Bool], noiseCelsius: Double, camera: String) {
    guard celsius.count == geometry.pixelCount, measured.count == geometry.pixelCount else { return nil }
    var centikelvin: [Int] = []
    centikelvin.reserveCapacity(celsius.count)
    for value in celsius {
      guard let value = Centikelvin.nearest(toCelsius: value) else { return nil }
      centikelvin.append(value)
    }
    let plane = ThermalPlane(rows: geometry.rows, columns: geometry.columns, values: centikelvin)
    let body: BodyMask
    do throws(PreprocessingError) { body = try BodyMask(of: plane, by: .otsu) } catch { return nil }
    guard let inner = body.eroded() else { return nil }
    let values = celsius.map(Double.init)
    let core = zip(inner.pixels, measured).map { $0 && $1 }
    let count = core.count { $0 }
    guard count > 0 else { return nil }
    let mean = zip(values, core).reduce(0.0) { $1.1 ? $0 + $1.0 : $0 } / Double(count)
    self.geometry = geometry
    self.camera = camera
    self.noiseCelsius = noiseCelsius.isFinite ? max(noiseCelsius, 0) : 0
    self.celsius = values
    self.core = core
    picture = zip(values, body.pixels).map { value, isBody in
      isBody ? min(max(value - mean, -Self.cutCelsius), Self.cutCelsius) : Self.roomCelsius
    }
  }
}
