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
  package subscript(column column: Int, row row: Int) -> RGBColor {
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

/// The view of a thermogram: false colours, upscaled to some 300 pixels, with a scale bar and words that say what it is
/// for.
///
/// The window is fixed, so that two views can be compared by eye.
package struct ThermogramView: Sendable {
  package static let defaultWindowCelsius: ClosedRange<Double> = 27...37
  /// Where things lie in the view of one sensor's pictures, in view pixels.
  package struct Layout: Sendable, Hashable {
    /// What an image is brought to, as far as whole pixels allow: one of this size or more keeps its own.
    private static let targetWidth = 320
    private static let targetHeight = 240
    /// The scale bar needs so much.
    private static let minimumBarHeight = 64

    /// View pixels a sensor pixel.
    package let scale: Int
    /// The image alone; the scale bar stands to the right of it, the words below.
    package let imageWidth: Int
    package let imageHeight: Int
    package let width: Int
    package let height: Int
    /// The words begin below.
    let wordsTop: Int

    package init(_ geometry: SensorGeometry) {
      scale = max(1, min(Self.targetWidth / geometry.columns, Self.targetHeight / geometry.rows))
      imageWidth = geometry.columns * scale
      imageHeight = geometry.rows * scale
      wordsTop = max(imageHeight, Self.minimumBarHeight)
      width = imageWidth + 56
      height = wordsTop + 24
    }
  }

  package var palette: Palette
  /// degC at the ends of the palette; values outside take the end colours.
  package var windowCelsius: ClosedRange<Double>
  /// The capture's id, drawn below the image.
  package var captureID: String
  /// Whose left is where: drawn below the image's right side, so that nobody reads the picture as a mirror. nil where the
  /// right side of the image is neither.
  package var rightSide: String?

  package init(
    captureID: String, palette: Palette = .inferno,
    windowCelsius: ClosedRange<Double> = ThermogramView.defaultWindowCelsius, rightSide: String? = nil
  ) {
    self.rightSide = rightSide
    self.captureID = captureID
    self.palette = palette
    self.windowCelsius = windowCelsius
  }

  /// The view as RGB bytes, of the size that `Layout` tells.
  ///
  /// Temperatures between pixel centres are interpolated linearly before colouring; pixels without a value are gray.
  package func render(_ thermogram: Thermogram) -> RGBImage {
    let layout = Layout(thermogram.geometry)
    var image = RGBImage(width: layout.width, height: layout.height, color: Self.surround)
    let colors = (0...Self.steps).map { palette.color(at: Double($0) / Double(Self.steps)) }
    for row in 0..<layout.imageHeight {
      for column in 0..<layout.imageWidth {
        let value = Self.celsius(thermogram, scale: layout.scale, column: column, row: row)
        image[column: column, row: row] = value.map { colors[step(ofCelsius: $0)] } ?? Self.noValue
      }
    }
    drawScale(colors, layout, in: &image)
    let notice = "Research use only"
    image.draw(notice, column: 4, row: layout.wordsTop + 3, color: Self.ink)
    if let rightSide {
      let column = layout.imageWidth - rightSide.count * BitmapFont.advance
      // A picture that is too small for both keeps the notice.
      if column > 4 + (notice.count + 1) * BitmapFont.advance {
        image.draw(rightSide, column: column, row: layout.wordsTop + 3, color: Self.ink)
      }
    }
    image.draw(captureID, column: 4, row: layout.wordsTop + 13, color: Self.ink)
    return image
  }

  /// A thermogram as the palette shows it, a pixel a pixel, for a terminal; nil where there is no value.
  package func color(ofCelsius value: Double) -> RGBColor {
    palette.color(at: Double(step(ofCelsius: value)) / Double(Self.steps))
  }

  private static let steps = 1000
  private static let surround = RGBColor(gray: 24)
  private static let noValue = RGBColor(gray: 96)
  private static let ink = RGBColor(gray: 230)

  private func step(ofCelsius value: Double) -> Int {
    let span = windowCelsius.upperBound - windowCelsius.lowerBound
    let fraction = span > 0 ? (value - windowCelsius.lowerBound) / span : 0
    return Int(min(max(fraction, 0), 1) * Double(Self.steps) + 0.5)
  }

  /// The temperature at a view pixel from the four sensor pixels around it; nil where the nearest has no value.
  private static func celsius(_ thermogram: Thermogram, scale: Int, column: Int, row: Int) -> Double? {
    let (columns, rows) = (thermogram.geometry.columns, thermogram.geometry.rows)
    func place(_ position: Int, _ count: Int) -> (lower: Int, upper: Int, share: Double) {
      let centered = min(max((Double(position) + 0.5) / Double(scale) - 0.5, 0), Double(count - 1))
      let lower = Int(centered)
      return (lower, min(lower + 1, count - 1), centered - Double(lower))
    }
    let across = place(column, columns)
    let down = place(row, rows)
    let nearest = row / scale * columns + column / scale
    guard thermogram.states[nearest] != .invalid else { return nil }
    func value(_ row: Int, _ column: Int) -> Double {
      let index = row * columns + column
      return Double(thermogram.celsius[thermogram.states[index] == .invalid ? nearest : index])
    }
    let top = value(down.lower, across.lower) * (1 - across.share) + value(down.lower, across.upper) * across.share
    let bottom = value(down.upper, across.lower) * (1 - across.share) + value(down.upper, across.upper) * across.share
    return top * (1 - down.share) + bottom * down.share
  }

  /// The bar to the right with six marks.
  private func drawScale(_ colors: [RGBColor], _ layout: Layout, in image: inout RGBImage) {
    let left = layout.imageWidth + 8
    let top = 16
    let length = layout.wordsTop - 32
    for row in 0...length {
      let color = colors[Self.steps * (length - row) / length]
      for column in left..<left + 12 { image[column: column, row: top + row] = color }
    }
    let span = windowCelsius.upperBound - windowCelsius.lowerBound
    for mark in 0...5 {
      let row = top + length * (5 - mark) / 5
      for column in left + 12..<left + 15 { image[column: column, row: row] = Self.ink }
      let text = rounded(windowCelsius.lowerBound + span * Double(mark) / 5, span < 5 ? 1 : 0)
      image.draw(text, column: left + 18, row: row - 3, color: Self.ink)
    }
    image.draw("°C", column: left + 18, row: 1, color: Self.ink)
  }
}
