import CPNG
import Glibc
import Provenance

/// A picture to be written as PNG (ISO/IEC 15948): grey or RGB samples and the chunks that make it a measurement.
package struct PNGImage: Sendable {
  /// How the samples of a 16-bit grey image turn into a physical value (chunk pCAL, linear equation):
  /// `value = offset + span * sample / 65535`.
  package struct Calibration: Sendable, Equatable {
    /// Latin-1, 1 to 79 bytes, e.g. `temperature`.
    package var purpose: String
    /// The UCUM symbol of the unit; degrees Celsius are `Cel`.
    package var unit: String
    /// `offset` and `span` as decimal text, as the chunk holds them.
    package var offset: String
    package var span: String

    package init(purpose: String, unit: String, offset: String, span: String) {
      self.purpose = purpose
      self.unit = unit
      self.offset = offset
      self.span = span
    }

    /// Samples in centikelvin: 0 is absolute zero, one step is 0.01 degC.
    package static let centikelvin = Calibration(
      purpose: "temperature", unit: "Cel", offset: "-273.15", span: "655.35")
  }

  /// The samples, row after row from the top.
  package enum Samples: Sendable {
    case grey8([UInt8])
    case grey16([UInt16])
    case rgb8([UInt8])
  }

  package var width: Int
  package var height: Int
  package var samples: Samples
  package var calibration: Calibration?
  /// Written as tIME, UTC to the second.
  package var modified: Timestamp?
  /// iTXt chunks: keyword (Latin-1, 1 to 79 bytes) and UTF-8 text, at most eight with `compressedTexts`.
  package var texts: [(keyword: String, text: String)]
  /// The same, deflated in the file.
  package var compressedTexts: [(keyword: String, text: String)]

  package init(
    width: Int, height: Int, samples: Samples, calibration: Calibration? = nil, modified: Timestamp? = nil,
    texts: [(keyword: String, text: String)] = [], compressedTexts: [(keyword: String, text: String)] = []
  ) {
    self.width = width
    self.height = height
    self.samples = samples
    self.calibration = calibration
    self.modified = modified
    self.texts = texts
    self.compressedTexts = compressedTexts
  }
}

/// Why a picture could not be written.
package struct PNGError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String

  package init(reason: String) {
    self.reason = reason
  }

  package var description: String { "PNG image not written: \(reason)" }
}

extension PNGImage {
  /// The largest side of an image that this adapter writes: 32x24 upscaled ten times stays far below.
  package static let maximumSidePixels = 4096

  /// The file's bytes.
  package func encoded() throws(PNGError) -> [UInt8] {
    guard (1...Self.maximumSidePixels).contains(width), (1...Self.maximumSidePixels).contains(height) else {
      throw PNGError(reason: "\(width)x\(height) pixels; expected 1 to \(Self.maximumSidePixels) a side")
    }
    let (bytes, depth, channels): ([UInt8], UInt8, UInt8) =
      switch samples {
      case .grey8(let grey): (grey, 8, 1)
      case .rgb8(let rgb): (rgb, 8, 3)
      case .grey16(let grey): (grey.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }, 16, 1)
      }
    let expected = width * height * Int(channels) * Int(depth) / 8
    guard bytes.count == expected else {
      throw PNGError(reason: "\(bytes.count) bytes of samples; expected \(expected) for \(width)x\(height)")
    }
    let textBytes = (texts + compressedTexts).reduce(0) { $0 + $1.keyword.utf8.count + $1.text.utf8.count + 64 }
    // Deflate grows incompressible data by far less than an eighth; chunk overhead stays below 4 KiB.
    let capacity = bytes.count + bytes.count / 8 + height + textBytes + 4096
    let owned = CStrings()
    defer { owned.free() }
    let chunks =
      texts.map { tg_png_text(keyword: owned.copy($0.keyword), text: owned.copy($0.text), compressed: 0) }
      + compressedTexts.map { tg_png_text(keyword: owned.copy($0.keyword), text: owned.copy($0.text), compressed: 1) }
    var message = [CChar](repeating: 0, count: 200)
    var written = 0
    var failed = false
    let file = bytes.withUnsafeBufferPointer { pixels -> [UInt8] in
      chunks.withUnsafeBufferPointer { chunks in
        [UInt8](unsafeUninitializedCapacity: capacity) { output, count in
          guard let target = output.baseAddress, let source = pixels.baseAddress else { return }
          var image = tg_png_image(
            width: UInt32(width), height: UInt32(height), bit_depth: depth, channels: channels, pixels: source,
            calibration_purpose: nil, calibration_unit: nil, calibration_p0: nil, calibration_p1: nil,
            modified_year: 0, modified_month: 0, modified_day: 0, modified_hour: 0, modified_minute: 0,
            modified_second: 0, texts: chunks.baseAddress, text_count: chunks.count)
          if let calibration {
            image.calibration_purpose = owned.copy(calibration.purpose)
            image.calibration_unit = owned.copy(calibration.unit)
            image.calibration_p0 = owned.copy(calibration.offset)
            image.calibration_p1 = owned.copy(calibration.span)
          }
          if let modified { image.setModified(modified) }
          failed = tg_png_encode(&image, target, capacity, &written, &message, message.count) != 0
          count = failed ? 0 : written
        }
      }
    }
    guard !failed, !file.isEmpty else {
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw PNGError(reason: String(decoding: text, as: UTF8.self))
    }
    return file
  }
}

extension tg_png_image {
  fileprivate mutating func setModified(_ instant: Timestamp) {
    let civil = instant.civil
    // tIME holds a year of 16 bits; an instant outside is a clock fault and the chunk is left out.
    guard let year = UInt16(exactly: civil.date.year), year > 0 else { return }
    modified_year = year
    modified_month = UInt8(civil.date.month)
    modified_day = UInt8(civil.date.day)
    modified_hour = UInt8(civil.hour)
    modified_minute = UInt8(civil.minute)
    modified_second = UInt8(civil.second)
  }
}

/// Zero-terminated copies that live until `free`.
private final class CStrings {
  private var pointers: [UnsafeMutablePointer<CChar>] = []

  func copy(_ text: String) -> UnsafePointer<CChar> {
    let bytes = text.utf8CString
    let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    bytes.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { pointer.initialize(from: base, count: bytes.count) }
    }
    pointers.append(pointer)
    return UnsafePointer(pointer)
  }

  func free() {
    for pointer in pointers { pointer.deallocate() }
    pointers.removeAll()
  }
}
