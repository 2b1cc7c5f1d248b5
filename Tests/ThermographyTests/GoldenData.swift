import Foundation
import Thermography

/// The golden files, and where the repository keeps recorded sensors.
enum GoldenData {
  static let here = URL(filePath: #filePath).deletingLastPathComponent()
  static let sensors = here.deletingLastPathComponent().deletingLastPathComponent().appending(
    path: "Hardware/sensors")

  struct Case: Decodable {
    var name: String
    var eeprom_hex: String
    var vendor_extract_return: Int
    var broken_pixels: [Int]
    var outlier_pixels: [Int]
    var vendor_params: [String: Double]
    var frames: [Frame]
    var offset_exact: [Double]?
    var alpha_exact: [Double]?
    var kta_exact: [Double]?

    var eeprom: EEPROMImage { get throws { try EEPROMImage(words: words(hex: eeprom_hex)) } }
  }

  struct Frame: Decodable {
    var label: String
    var emissivity: Double
    var tr_input: Reflected
    var frame_hex: String
    var subpage: Int
    var mode: String
    var vdd_exact64: Double
    var ta_exact64: Double
    var gain: Double
    var to_exact64: [Double?]

    var subPage: SubPage {
      get throws {
        let all = words(hex: frame_hex)
        return try SubPage(
          words: Array(all[..<832]), control: ControlRegister(rawValue: all[832]), number: Int(all[833]))
      }
    }
  }

  enum Reflected: Decodable {
    case ambientLess8
    case celsius(Double)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let value = try? container.decode(Double.self) {
        self = .celsius(value)
      } else {
        self = .ambientLess8
      }
    }

    var celsius: Double? { if case .celsius(let value) = self { value } else { nil } }
  }

  static func cases(_ file: String) throws -> [Case] {
    try JSONDecoder().decode([Case].self, from: Data(contentsOf: here.appending(path: "Fixtures/golden/\(file).json")))
  }

  static func words(hex: String) -> [UInt16] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 4).compactMap {
      UInt16(String(decoding: digits[$0..<$0 + 4], as: UTF8.self), radix: 16)
    }
  }

  static func words(file: String) throws -> [UInt16] {
    try String(contentsOf: sensors.appending(path: file), encoding: .utf8).split(whereSeparator: \.isWhitespace)
      .compactMap { UInt16($0) }
  }

  static func numbers(file: String) throws -> [Double] {
    try String(contentsOf: sensors.appending(path: file), encoding: .utf8).split(whereSeparator: \.isWhitespace)
      .compactMap { Double($0) }
  }

  static func exampleEEPROM() throws -> EEPROMImage {
    try EEPROMImage(words: words(file: "melexis-example/eeprom.txt"))
  }
}
