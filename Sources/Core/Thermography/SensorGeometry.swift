/// The sensor's pixel grid. Every image in the house is row-major, row 0 the top row as the sensor gives it.
package enum SensorGeometry {
  /// Pixels in a row.
  package static let columns = 32
  /// Rows.
  package static let rows = 24
  /// Pixels of an image: 768.
  package static let pixelCount = columns * rows
  /// Pixels that one sub-page measures: 384.
  package static let subPagePixelCount = pixelCount / 2
}
