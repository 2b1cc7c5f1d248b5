import Forwarding
import FoundationEssentials
import ImageFiles
import Provenance
import Screening
import Thermography

/// A capture's master image: the measurement as it is kept, and what its assessment rests on.
///
/// 16-bit grey PNG in centikelvin. The text `thermograph:manifest` is the manifest, `thermograph:standard-error` a word a
/// pixel: thousandths of a kelvin, or `-` for a pixel that was not measured (with a sample, it is interpolated).
package struct MasterImage: Sendable {
  package static let manifestKeyword = "thermograph:manifest"
  package static let errorsKeyword = "thermograph:standard-error"
  /// A master of the largest sensor stays far below.
  package static let maximumFileBytes = 4 << 20
  private static let maximumTextBytes = 4 << 20

  package var manifest: MasterManifest
  /// As stored; what the manifest does not tell of it (the sensor's temperature, its supply) is 0.
  package var thermogram: Thermogram

  /// The picture to be written.
  static func picture(of thermogram: Thermogram, manifest: String, modified: Timestamp) -> PNGImage {
    PNGImage(
      width: thermogram.geometry.columns, height: thermogram.geometry.rows, samples: .grey16(thermogram.centikelvin),
      calibration: .centikelvin, modified: modified, texts: [(manifestKeyword, manifest)],
      compressedTexts: [(errorsKeyword, thermogram.stored.errorWords)])
  }

  /// Reads a master that this program, or an earlier one, wrote. An earlier one's pixels all count as measured.
  package init(file: [UInt8]) throws(MasterImageError) {
    let picture: GreyPicture
    do throws(GreyPictureError) {
      picture = try GreyPicture(
        file: file, maximumPixels: SensorGeometry.maximumPixelCount, maximumTextBytes: Self.maximumTextBytes)
    } catch {
      throw MasterImageError(reason: "\(error)")
    }
    guard let geometry = SensorGeometry(columns: picture.width, rows: picture.height) else {
      throw MasterImageError(reason: "\(picture.width) x \(picture.height) pixels; \(SensorGeometry.expectation)")
    }
    guard let text = picture.texts[Self.manifestKeyword] else {
      throw MasterImageError(reason: "there is no text \(Self.manifestKeyword); expected a capture's master.png")
    }
    do {
      manifest = try JSONDecoder().decode(MasterManifest.self, from: Data(text.utf8))
    } catch {
      throw MasterImageError(reason: "\(Self.manifestKeyword) cannot be read: \(error)")
    }
    guard manifest.schema == MasterManifest.schema else {
      throw MasterImageError(reason: "schema \(manifest.schema); expected \(MasterManifest.schema)")
    }
    thermogram = Thermogram(
      geometry: geometry,
      celsius: picture.samples.map { $0 == Centikelvin.noValue ? .nan : Centikelvin.celsius(ofSample: $0) },
      ambientCelsius: 0, emissivity: manifest.emissivity, reflectedCelsius: manifest.reflectedTemperatureCelsius)
    thermogram.framesAveraged = manifest.framesAveraged
    guard let words = picture.texts[Self.errorsKeyword] else { return }
    guard thermogram.adopt(errorWords: words) else {
      throw MasterImageError(
        reason: "\(Self.errorsKeyword) does not fit; expected \(picture.samples.count) of 0...65535 or -, and - where "
          + "there is no sample")
    }
  }
}

/// Why a file is no master image; the owner adds the path.
package struct MasterImageError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String

  package var description: String { "is no master image: \(reason)" }
}

extension Thermogram {
  /// One word a pixel: millikelvin, or `-` where the pixel was not measured.
  fileprivate var errorWords: String {
    zip(standardErrorMillikelvin, states).map { $1 == .measured ? "\($0)" : "-" }.joined(separator: " ")
  }

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
