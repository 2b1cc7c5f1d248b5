import Foundation
import Inference
import Screening
import Thermography

/// Synthetic frontal captures that no model was trained, calibrated or measured on, written by
/// `Models/training/overclaim_frames.py`.
struct OverclaimFrames {
  struct Frame {
    /// 768 temperatures, row by row, degC.
    var celsius: [Float]
    /// 768 shares of each pixel that the body covers, 0...1; the rest of it shows the room.
    let body: [Float]
    let breastRow: Float
    /// In the image's left and right half.
    let breastColumns: [Float]
    let breastRadius: Float
    let hasLesion: Bool
  }

  /// The faults in the order of the generator, `perFault` captures of each.
  static let faults = [
    "no-torso", "off-centre", "too-far", "too-near", "motion", "covered", "hot-object", "cold-lens",
  ]
  static let perFault = 12

  let frames: [Frame]
  /// 768 temperatures each, row by row, degC.
  let faulty: [String: [[Float]]]

  init() throws {
    func array(_ name: String) throws -> NumPyArray {
      let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/overclaim")
      return try NumPyArray(file: [UInt8](Data(contentsOf: folder.appending(path: "\(name).npy"))))
    }
    func floats(_ array: NumPyArray) -> [Float] {
      array.bytes.withUnsafeBytes { bytes in
        (0..<array.elementCount).map {
          Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
        }
      }
    }
    let celsius = floats(try array("frames"))
    let faulty = floats(try array("faults"))
    self.faulty = Dictionary(
      uniqueKeysWithValues: Self.faults.enumerated().map { index, fault in
        let captures = (index * Self.perFault..<(index + 1) * Self.perFault)
        return (fault, captures.map { Array(faulty[$0 * 768..<($0 + 1) * 768]) })
      })
    let body = try array("body").bytes
    let breasts = floats(try array("breasts"))
    frames = try array("lesion").bytes.enumerated().map { index, lesion in
      Frame(
        celsius: Array(celsius[index * 768..<(index + 1) * 768]),
        body: body[index * 768..<(index + 1) * 768].map { Float($0) / 100 },
        breastRow: breasts[4 * index], breastColumns: [breasts[4 * index + 1], breasts[4 * index + 2]],
        breastRadius: breasts[4 * index + 3], hasLesion: lesion != 0)
    }
  }
}

extension OverclaimFrames.Frame {
  /// How the breasts are cut out.
  enum Shape: CaseIterable {
    case ellipses
    case largeEllipses
    case boxes
    case band
  }

  private func isBreast(_ pixel: Int, _ shape: Shape) -> Bool {
    guard body[pixel] > 0.5 else { return false }
    let row = abs(Float(pixel / 32) - breastRow)
    let column = Float(pixel % 32)
    let across = breastColumns.map { abs(column - $0) }.min() ?? 0
    switch shape {
    case .ellipses: return row * row + across * across <= breastRadius * breastRadius
    case .largeEllipses: return row * row + across * across <= 2 * breastRadius * breastRadius
    case .boxes: return max(row, across) <= breastRadius
    case .band: return row <= breastRadius
    }
  }

  /// The breasts replaced by the mean of the chest: of the body's pixels in their rows.
  func blanked(_ shape: Shape) -> [Float] {
    let chest = celsius.indices.filter { body[$0] > 0.5 && abs(Float($0 / 32) - breastRow) <= breastRadius }
    let mean = chest.reduce(Float(0)) { $0 + celsius[$1] } / Float(max(chest.count, 1))
    return celsius.indices.map { isBreast($0, shape) ? mean : celsius[$0] }
  }

  func shifted(by offset: Float) -> [Float] { celsius.map { $0 + offset } }

  /// Another room: each pixel changes by as much of `offset` as it shows of the room.
  func background(shiftedBy offset: Float) -> [Float] {
    celsius.indices.map { celsius[$0] + (1 - body[$0]) * offset }
  }

  /// The same with a hard edge, as when a mask is laid over the finished picture.
  func maskedBackground(shiftedBy offset: Float) -> [Float] {
    celsius.indices.map { body[$0] > 0.5 ? celsius[$0] : celsius[$0] + offset }
  }

  var mirrored: [Float] { celsius.indices.map { celsius[$0 / 32 * 32 + 31 - $0 % 32] } }

  func noisy(deviation: Double, using generator: inout PlainGenerator) -> [Float] {
    celsius.map { $0 + Float(deviation * generator.normal()) }
  }

  /// Up to four pixels without a value.
  func broken(using generator: inout PlainGenerator) -> [Float] {
    var broken = celsius
    for _ in 0...generator.next() % 4 { broken[Int(generator.next() % 768)] = .nan }
    return broken
  }

  /// Up to four pixels that give anything between -10 and 80 degC, and that no one has found out yet.
  func stuck(using generator: inout PlainGenerator) -> [Float] {
    var stuck = celsius
    for _ in 0...generator.next() % 4 {
      stuck[Int(generator.next() % 768)] = Float(90 * generator.uniform() - 10)
    }
    return stuck
  }
}

/// SplitMix64, so that every run sees the same noise.
struct PlainGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func normal() -> Double {
    (-2 * log(1 - uniform())).squareRoot() * cos(2 * .pi * uniform())
  }
}
