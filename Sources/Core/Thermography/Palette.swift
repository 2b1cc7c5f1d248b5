/// False colours for a view. The master image never has any.
package enum Palette: String, Sendable, Hashable, CaseIterable, Codable {
  /// Perceptually uniform, dark to bright (matplotlib's map, CC0; drawn from eleven of its colours).
  case inferno
  case gray
  /// Black, blue, purple, orange, yellow, white: what thermographers know from handheld cameras.
  case iron
  /// Sixteen flat bands, so that a temperature can be read off by its colour.
  case clinical

  /// The colour at `fraction` of the window; below 0 and above 1 the end colours.
  package func color(at fraction: Double) -> RGBColor {
    let position = min(max(fraction.isNaN ? 0 : fraction, 0), 1)
    switch self {
    case .gray: return RGBColor(gray: UInt8(position * 255 + 0.5))
    case .inferno: return Self.blend(Self.infernoStops, at: position)
    case .iron: return Self.blend(Self.ironStops, at: position)
    case .clinical:
      return Self.clinicalBands[min(Int(position * Double(Self.clinicalBands.count)), Self.clinicalBands.count - 1)]
    }
  }

  /// Linear between evenly spaced stops.
  private static func blend(_ stops: [RGBColor], at position: Double) -> RGBColor {
    let scaled = position * Double(stops.count - 1)
    let lower = min(Int(scaled), stops.count - 2)
    let share = scaled - Double(lower)
    func mix(_ from: UInt8, _ to: UInt8) -> UInt8 {
      UInt8(Double(from) + (Double(to) - Double(from)) * share + 0.5)
    }
    let (from, to) = (stops[lower], stops[lower + 1])
    return RGBColor(mix(from.red, to.red), mix(from.green, to.green), mix(from.blue, to.blue))
  }

  private static let infernoStops = [
    0x000004, 0x160B39, 0x420A68, 0x6A176E, 0x932667, 0xBC3754, 0xDD513A, 0xF37819, 0xFCA50A, 0xF6D746, 0xFCFFA4,
  ].map(RGBColor.init(hex:))

  private static let ironStops = [
    0x000000, 0x100060, 0x50008C, 0x900096, 0xC81478, 0xE64628, 0xF57D00, 0xFCB414, 0xFFE650, 0xFFFFFF,
  ].map(RGBColor.init(hex:))

  private static let clinicalBands = [
    0x000000, 0x1E0050, 0x3C00A0, 0x0000E6, 0x0064FF, 0x00B4FF, 0x00DCC8, 0x00B464, 0x14A000, 0x82C800, 0xE6E600,
    0xFFB400, 0xFF7800, 0xFF0000, 0xC80082, 0xFFFFFF,
  ].map(RGBColor.init(hex:))
}

/// Eight bits each of red, green and blue (sRGB).
package struct RGBColor: Sendable, Hashable {
  package var red: UInt8
  package var green: UInt8
  package var blue: UInt8

  package init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  package init(gray: UInt8) { self.init(gray, gray, gray) }

  /// 0xRRGGBB.
  init(hex: Int) {
    self.init(
      UInt8(truncatingIfNeeded: hex >> 16), UInt8(truncatingIfNeeded: hex >> 8), UInt8(truncatingIfNeeded: hex))
  }
}
