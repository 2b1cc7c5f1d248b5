extension EEPROMImage {
  /// All pixels that the maker marked, however many.
  package var defectivePixels: DefectivePixels {
    var defects = DefectivePixels()
    for pixel in 0..<MLX90640Geometry.pixelCount {
      let word = self[64 + pixel]
      if word == 0 {
        defects.broken.append(pixel)
      } else if word & 1 != 0 {
        defects.outliers.append(pixel)
      }
    }
    return defects
  }
}
