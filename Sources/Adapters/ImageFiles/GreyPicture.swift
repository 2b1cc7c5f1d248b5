import CPNG

/// A 16-bit grey PNG that was read: samples and texts, no more than asked for.
package struct GreyPicture: Sendable, Equatable {
  package let width: Int
  package let height: Int
  /// `width * height` samples, row after row from the top.
  package let samples: [UInt16]
  /// The text chunks by keyword.
  package let texts: [String: String]

  /// Reads a whole file. Never trusts it: sizes are held against the limits before memory is taken, a damaged chunk is
  /// an error, and so is whatever follows the picture.
  ///
  /// - Parameters:
  ///   - maximumPixels: more are refused.
  ///   - maximumTextBytes: of one text, inflated.
  package init(
    file: [UInt8], maximumPixels: Int, maximumTextBytes: Int
  ) throws(GreyPictureError) {
    var picture = tg_png_grey16()
    defer { tg_png_free(&picture) }
    var message = [CChar](repeating: 0, count: 200)
    let failed = file.withUnsafeBufferPointer { bytes in
      guard let start = bytes.baseAddress else { return true }
      return tg_png_decode_grey16(
        start, bytes.count, maximumPixels, maximumTextBytes, &picture, &message, message.count) != 0
    }
    guard !failed, let samples = picture.samples else {
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw GreyPictureError(reason: file.isEmpty ? "the file is empty" : String(decoding: text, as: UTF8.self))
    }
    width = Int(picture.width)
    height = Int(picture.height)
    self.samples = Array(UnsafeBufferPointer(start: samples, count: Int(picture.width) * Int(picture.height)))
    var texts: [String: String] = [:]
    for text in UnsafeBufferPointer(start: picture.texts, count: picture.text_count) {
      let keyword = String(cString: text.keyword)
      let bytes = UnsafeRawBufferPointer(start: text.text, count: text.length)
      guard texts.updateValue(String(decoding: bytes, as: UTF8.self), forKey: keyword) == nil else {
        throw GreyPictureError(reason: "the text \(keyword) stands there twice")
      }
    }
    self.texts = texts
  }
}

/// Why a picture could not be read; the owner adds the path.
package struct GreyPictureError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String

  package var description: String { "no readable 16-bit grey PNG: \(reason)" }
}
