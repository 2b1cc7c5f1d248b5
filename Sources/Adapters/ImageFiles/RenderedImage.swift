import Provenance
import Thermography

/// The files of a capture that hold nothing which its master and record do not hold: they need not be kept or sent, because
/// whoever has both makes the same bytes again.
///
/// The bytes also follow from the font and colours of this version and from the machine's zlib, so whoever relies on them
/// compares the SHA-256 that the record promises.
package enum RenderedImage: String, CaseIterable, Sendable {
  /// False colours, a scale and words (`ThermogramView`).
  case view = "view.png"
  /// 8-bit grey: 0 for a measured pixel, 255 for any other.
  case mask = "mask.png"
  /// 16-bit grey: millikelvin; 0 for a pixel that was not measured, or measured once.
  case standardError = "standard-error.png"

  package var name: String { rawValue }

  /// - Parameters:
  ///   - thermogram: what was measured; drawn as its files keep it (`Thermogram.stored`).
  ///   - captureID: drawn below the view.
  ///   - rightSide: whose left or right is at the view's right; nil for neither.
  ///   - capturedAt: the file's tIME.
  package func picture(
    of thermogram: Thermogram, captureID: RandomIdentifier, rightSide: String?, capturedAt: Timestamp
  ) -> PNGImage {
    let stored = thermogram.stored
    let (columns, rows) = (stored.geometry.columns, stored.geometry.rows)
    switch self {
    case .view:
      let view = ThermogramView(captureID: captureID.description, rightSide: rightSide).render(stored)
      return PNGImage(width: view.width, height: view.height, samples: .rgb8(view.bytes), modified: capturedAt)
    case .mask:
      return PNGImage(
        width: columns, height: rows, samples: .grey8(stored.states.map { $0 == .measured ? 0 : 255 }),
        modified: capturedAt)
    case .standardError:
      return PNGImage(
        width: columns, height: rows, samples: .grey16(stored.standardErrorMillikelvin),
        calibration: .millikelvinDifference, modified: capturedAt)
    }
  }

  /// The file of the capture whose `master.png` is given. Throws when that cannot be read, or does not hold what the file
  /// shows: a master of before standard errors were written into it gives the view alone.
  package func file(
    fromMaster master: [UInt8], captureID: RandomIdentifier, rightSide: String?, capturedAt: Timestamp
  ) throws(RenderedImageError) -> [UInt8] {
    let read: (thermogram: Thermogram, hasErrors: Bool)
    do throws(MasterPixelsError) {
      read = try MasterPixels.thermogram(in: try MasterPixels.picture(in: master))
    } catch {
      throw RenderedImageError(name: name, reason: "the master is \(error)")
    }
    guard self == .view || read.hasErrors else {
      throw RenderedImageError(name: name, reason: "the master holds no standard errors")
    }
    do throws(PNGError) {
      return try picture(of: read.thermogram, captureID: captureID, rightSide: rightSide, capturedAt: capturedAt)
        .encoded()
    } catch {
      throw RenderedImageError(name: name, reason: "\(error)")
    }
  }
}

/// Why a file could not be made; the owner says of which capture.
package struct RenderedImageError: Error, Sendable, Equatable, CustomStringConvertible {
  package var name: String
  package var reason: String

  package var description: String { "\(name) cannot be made: \(reason)" }
}

extension PNGImage.Calibration {
  /// Samples in millikelvin of difference: 0 is none, one step is 0.001 degC.
  static let millikelvinDifference = Self(purpose: "standard error", unit: "K", offset: "0", span: "65.535")
}
