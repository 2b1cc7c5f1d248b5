import Provenance
import Thermography

/// The file `view.png` of a capture: false colours, a scale and words (`ThermogramView`) as PNG.
///
/// It holds nothing that the capture's master and record do not hold, so it need not be kept or sent: whoever has both
/// makes the same bytes again. The bytes also follow from the font and colours of this version and from the machine's zlib,
/// so whoever relies on them compares the SHA-256 that the record promises.
package enum ViewImage {
  package static let name = "view.png"
  /// A master of the largest sensor inflates to far less.
  private static let maximumTextBytes = 4 << 20

  /// - Parameters:
  ///   - thermogram: what was measured; drawn as its files keep it (`Thermogram.stored`).
  ///   - captureID: drawn below the image.
  ///   - rightSide: whose left or right is at the image's right; nil for neither.
  ///   - capturedAt: the file's tIME.
  package static func picture(
    of thermogram: Thermogram, captureID: RandomIdentifier, rightSide: String?, capturedAt: Timestamp
  ) -> PNGImage {
    let view = ThermogramView(captureID: captureID.description, rightSide: rightSide).render(thermogram.stored)
    return PNGImage(width: view.width, height: view.height, samples: .rgb8(view.bytes), modified: capturedAt)
  }

  /// The view of the capture whose `master.png` is given. Throws when that cannot be read.
  package static func file(
    fromMaster master: [UInt8], captureID: RandomIdentifier, rightSide: String?, capturedAt: Timestamp
  ) throws(ViewImageError) -> [UInt8] {
    let picture: GreyPicture
    do throws(GreyPictureError) {
      picture = try GreyPicture(
        file: master, maximumPixels: SensorGeometry.maximumPixelCount, maximumTextBytes: maximumTextBytes)
    } catch {
      throw ViewImageError(reason: "the master is \(error)")
    }
    guard let geometry = SensorGeometry(columns: picture.width, rows: picture.height) else {
      throw ViewImageError(
        reason: "the master has \(picture.width) x \(picture.height) pixels; \(SensorGeometry.expectation)")
    }
    let thermogram = Thermogram(
      geometry: geometry,
      celsius: picture.samples.map { $0 == Centikelvin.noValue ? .nan : Centikelvin.celsius(ofSample: $0) },
      ambientCelsius: 0)
    do throws(PNGError) {
      return try Self.picture(of: thermogram, captureID: captureID, rightSide: rightSide, capturedAt: capturedAt)
        .encoded()
    } catch {
      throw ViewImageError(reason: "\(error)")
    }
  }
}

/// Why a view could not be made; the owner says of which capture.
package struct ViewImageError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String

  package var description: String { "no view can be made: \(reason)" }
}
