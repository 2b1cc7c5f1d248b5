import Thermography

/// What a capture's `master.png` holds of each pixel: a 16-bit grey sample in centikelvin, and in the text
/// `thermograph:standard-error` a word: millikelvin, or `-` for a pixel that was not measured (with a sample, it is
/// interpolated).
package enum MasterPixels {
  package static let errorsKeyword = "thermograph:standard-error"
  /// A master of the largest sensor inflates to far less.
  private static let maximumTextBytes = 4 << 20

  /// Reads the file's samples and texts.
  package static func picture(in file: [UInt8]) throws(MasterPixelsError) -> GreyPicture {
    do throws(GreyPictureError) {
      return try GreyPicture(
        file: file, maximumPixels: SensorGeometry.maximumPixelCount, maximumTextBytes: maximumTextBytes)
    } catch {
      throw MasterPixelsError(reason: "\(error)")
    }
  }

  /// The thermogram as it was stored; whatever the pixels do not tell of it is that of `Thermogram.init(geometry:celsius:)`.
  /// `hasErrors` is false for a master of before standard errors were written into it: its pixels all count as measured.
  package static func thermogram(
    in picture: GreyPicture
  ) throws(MasterPixelsError) -> (thermogram: Thermogram, hasErrors: Bool) {
    guard let geometry = SensorGeometry(columns: picture.width, rows: picture.height) else {
      throw MasterPixelsError(reason: "\(picture.width) x \(picture.height) pixels; \(SensorGeometry.expectation)")
    }
    var thermogram = Thermogram(
      geometry: geometry,
      celsius: picture.samples.map { $0 == Centikelvin.noValue ? .nan : Centikelvin.celsius(ofSample: $0) },
      ambientCelsius: 0)
    guard let words = picture.texts[errorsKeyword] else { return (thermogram, false) }
    guard thermogram.adopt(errorWords: words) else {
      throw MasterPixelsError(
        reason: "\(errorsKeyword) does not fit; expected \(picture.samples.count) of 0...65535 or -, and - where "
          + "there is no sample")
    }
    return (thermogram, true)
  }

  /// The text to be written: one word a pixel.
  package static func errorWords(of stored: Thermogram) -> String {
    zip(stored.standardErrorMillikelvin, stored.states).map { $1 == .measured ? "\($0)" : "-" }
      .joined(separator: " ")
  }
}

/// Why pixels cannot be read; the owner names the file.
package struct MasterPixelsError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String

  package var description: String { reason }
}

extension Thermogram {
  /// Takes over standard errors and states; false when the words do not fit the picture.
  fileprivate mutating func adopt(errorWords: String) -> Bool {
    let words = errorWords.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard words.count == states.count else { return false }
    for (pixel, word) in words.enumerated() {
      if word.elementsEqual("-".utf8) {
        if states[pixel] == .measured { states[pixel] = .interpolated }
        continue
      }
      guard states[pixel] == .measured, word.first.map({ (48...57).contains($0) }) == true,
        let millikelvin = UInt16(Substring(word))
      else { return false }
      standardErrorCelsius[pixel] = Float(millikelvin) / 1000
    }
    return true
  }
}
