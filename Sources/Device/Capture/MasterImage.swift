import Forwarding
import FoundationEssentials
import ImageFiles
import Provenance
import Screening
import Thermography

/// A capture's master image: the measurement as it is kept, and what its assessment rests on.
///
/// 16-bit grey PNG in centikelvin. The text `thermograph:manifest` is the manifest; what it holds of each pixel is told at
/// `MasterPixels`.
package struct MasterImage: Sendable {
  package static let manifestKeyword = "thermograph:manifest"
  /// A master of the largest sensor stays far below.
  package static let maximumFileBytes = 4 << 20

  package var manifest: MasterManifest
  /// As stored; what the manifest does not tell of it (the sensor's temperature, its supply) is 0.
  package var thermogram: Thermogram

  /// The picture to be written. Its texts are deflated: they are more bytes than the samples.
  static func picture(of thermogram: Thermogram, manifest: String, modified: Timestamp) -> PNGImage {
    PNGImage(
      width: thermogram.geometry.columns, height: thermogram.geometry.rows, samples: .grey16(thermogram.centikelvin),
      calibration: .centikelvin, modified: modified,
      compressedTexts: [
        (manifestKeyword, manifest), (MasterPixels.errorsKeyword, MasterPixels.errorWords(of: thermogram.stored)),
      ])
  }

  /// Reads a master that this program, or an earlier one, wrote. An earlier one's pixels all count as measured.
  package init(file: [UInt8]) throws(MasterImageError) {
    let picture: GreyPicture
    let pixels: Thermogram
    do throws(MasterPixelsError) {
      picture = try MasterPixels.picture(in: file)
      pixels = try MasterPixels.thermogram(in: picture).thermogram
    } catch {
      throw MasterImageError(reason: "\(error)")
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
    thermogram = pixels
    thermogram.emissivity = manifest.emissivity
    thermogram.reflectedCelsius = manifest.reflectedTemperatureCelsius
    thermogram.framesAveraged = manifest.framesAveraged
  }
}

/// Why a file is no master image; the owner adds the path.
package struct MasterImageError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String

  package var description: String { "is no master image: \(reason)" }
}
