import Forwarding
import Foundation
import ImageFiles
import Inference
import Provenance
import Screening
import Storage
import Testing
import Thermography

@testable import Device

@Suite struct CaptureImagesTests {
  private func thermogram(_ change: (inout [Float]) -> Void = { _ in }) -> Thermogram {
    var celsius = (0..<768).map { 20 + Float($0) / 50 }
    change(&celsius)
    return Thermogram(celsius: celsius, ambientCelsius: 25)
  }

  @Test func centikelvinAreRoundedAndAMissingPixelIsZero() {
    let thermogram = thermogram { celsius in
      celsius[0] = 0
      celsius[1] = 36.994
      celsius[2] = 36.996
      celsius[3] = .nan
      celsius[4] = 10_000
      celsius[5] = -300
    }
    // 273.15 K, 310.144 K, 310.146 K in hundredths; out-of-range values stop at the ends, 0 means no value.
    #expect(thermogram.centikelvin.prefix(6).elementsEqual([27_315, 31_014, 31_015, 0, 65_535, 1]))
  }

  @Test func standardErrorsAreMillikelvin() {
    var thermogram = thermogram()
    thermogram.standardErrorCelsius[0] = 0.0834
    thermogram.standardErrorCelsius[1] = .infinity
    thermogram.standardErrorCelsius[2] = 100
    #expect(thermogram.standardErrorMillikelvin.prefix(3).elementsEqual([83, 0, 65_535]))
  }

  @Test func everyFileIsNamedSizedAndHashedAsItIs() throws {
    var generator = SystemRandomNumberGenerator()
    let images = try CaptureImages(
      of: thermogram(), captureID: RandomIdentifier(using: &generator),
      capturedAt: Timestamp(utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: 0, synchronised: false),
      manifest: "{}", digests: OpenSSLDigests())
    #expect(images.files.map(\.reference.name) == ["master.png", "view.png", "mask.png", "standard-error.png"])
    #expect(images.files.map(\.reference.kind) == [.master, .view, .mask, .standardError])
    for file in images.files {
      #expect(file.reference.bytes == file.bytes.count)
      #expect(file.reference.sha256 == Hexadecimal.text(of: OpenSSLDigests().sha256(file.bytes)))
      #expect(file.bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]))
    }
    // Nothing is drawn into the measurement, and the hashes tell the files apart.
    #expect(Set(images.files.map(\.reference.sha256)).count == 4)
  }

  @Test func anOcclusionMapSaysWhatItIsInTheFileAndInTheRecord() throws {
    var generator = SystemRandomNumberGenerator()
    let models = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Models").path
    let network = try ModelFolder(path: models + "/screening-fold", digests: OpenSSLDigests()).screeningNetwork()
    let golden = try NumPyArray(
      file: [UInt8](Data(contentsOf: URL(filePath: models + "/screening-fold/golden/frames.npy"))))
    let torso = thermogram { celsius in
      golden.bytes.withUnsafeBytes { bytes in
        for pixel in 0..<768 { celsius[pixel] = bytes.loadUnaligned(fromByteOffset: 4 * pixel, as: Float.self) }
      }
    }
    let map = try network.occlusionMap(of: torso)
    let images = try CaptureImages(
      of: torso, captureID: RandomIdentifier(using: &generator),
      capturedAt: Timestamp(utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: 0, synchronised: false),
      manifest: "{}", occlusion: map, digests: OpenSSLDigests())
    let file = try #require(images.files.last)
    #expect(file.reference.name == "occlusion.png" && file.reference.kind == .occlusion)
    #expect(file.reference.label == "where the model reacted, not where disease is")
    let text = String(decoding: file.bytes, as: UTF8.self)
    #expect(text.contains("where the model reacted, not where disease is"))
    #expect(text.contains("not a diagnosis"))
    // No other image carries a label, and no map is made unasked.
    #expect(images.files.dropLast().allSatisfy { $0.reference.label == nil })
  }

  /// Whoever has master and record needs no view, mask and standard error: they are made again byte for byte, whatever the
  /// pixels are.
  @Test(arguments: CaptureView.allCases)
  func theRenderingsAreMadeAgainFromTheMaster(view: CaptureView) throws {
    var generator = SeededGenerator(seed: 17)
    let odd: [Float] = [.nan, .infinity, -300, 500, 0]
    for geometry in [SensorGeometry.mlx90640, SensorGeometry(columns: 160, rows: 120)].compactMap({ $0 }) {
      for round in 0..<5 {
        // No whole centikelvin among them, values beyond every window, pixels without one.
        var celsius = (0..<geometry.pixelCount).map { _ in Float.random(in: 25...39, using: &generator) }
        for _ in 0..<round * 20 {
          celsius[Int.random(in: 0..<celsius.count, using: &generator)] =
            odd[Int.random(in: 0..<odd.count, using: &generator)]
        }
        var thermogram = Thermogram(geometry: geometry, celsius: celsius, ambientCelsius: 25)
        // A state and an error that do not go together, too: what the master does not keep is in no file.
        thermogram.standardErrorCelsius = celsius.map { _ in Float.random(in: 0...0.3, using: &generator) }
        for _ in 0..<round {
          thermogram.states[Int.random(in: 0..<celsius.count, using: &generator)] = .interpolated
          thermogram.states[Int.random(in: 0..<celsius.count, using: &generator)] = .measured
          thermogram.standardErrorCelsius[Int.random(in: 0..<celsius.count, using: &generator)] =
            odd[Int.random(in: 0..<odd.count, using: &generator)]
        }
        let id = RandomIdentifier(using: &generator)
        let taken = Timestamp(
          utcNanoseconds: 1_796_022_347_244_801_475, bootID: "b", monotonicNanoseconds: 5, synchronised: true)
        let images = try CaptureImages(
          of: thermogram, captureID: id, capturedAt: taken, view: view, manifest: "{}", digests: OpenSSLDigests())
        let lean = try CaptureImages(
          of: thermogram, captureID: id, capturedAt: taken, view: view, manifest: "{}", digests: OpenSSLDigests(),
          sendsRenderings: false)
        #expect(lean.files.map(\.reference) == [images.files[0].reference])
        #expect(lean.renderings == images.files.dropFirst().map(\.reference) && lean.renderings.count == 3)
        // The record's second is all that a file's tIME keeps.
        let second = Timestamp(
          utcNanoseconds: 1_796_022_347_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: false)
        for promised in images.files.dropFirst() {
          let rendered = try #require(RenderedImage(rawValue: promised.reference.name))
          let again = try rendered.file(
            fromMaster: images.files[0].bytes, captureID: id, rightSide: view.rightSide, capturedAt: second)
          #expect(again == promised.bytes, "\(rendered.name)")
        }
      }
    }
  }

  /// The files of an image say the same as each other, by another decoder's word.
  @Test func maskAndStandardErrorShowWhatTheMasterHolds() throws {
    var thermogram = thermogram { $0[3] = .nan }
    thermogram.states[1] = .interpolated
    thermogram.standardErrorCelsius[0] = 0.0834
    thermogram.standardErrorCelsius[1] = 0.5
    let id = try #require(RandomIdentifier("00000000-0000-4000-8000-000000000001"))
    let now = Timestamp(utcNanoseconds: 0, bootID: "", monotonicNanoseconds: 0, synchronised: false)
    func samples(_ image: RenderedImage) -> PNGImage.Samples {
      image.picture(of: thermogram, captureID: id, rightSide: nil, capturedAt: now).samples
    }
    guard case .grey8(let mask) = samples(.mask), case .grey16(let errors) = samples(.standardError) else {
      Issue.record("another kind of samples")
      return
    }
    #expect(mask.prefix(5).elementsEqual([0, 255, 0, 255, 0]))
    #expect(errors.prefix(3).elementsEqual([83, 0, 0]))
  }

  /// A master of before standard errors were written into it gives no mask that says every pixel was measured.
  @Test func noMaskIsMadeOfAMasterWithoutErrors() throws {
    let id = try #require(RandomIdentifier("00000000-0000-4000-8000-000000000001"))
    let now = Timestamp(utcNanoseconds: 0, bootID: "", monotonicNanoseconds: 0, synchronised: false)
    func master(_ texts: [(keyword: String, text: String)]) throws -> [UInt8] {
      try PNGImage(width: 32, height: 24, samples: .grey16(thermogram().centikelvin), texts: texts).encoded()
    }
    let old = try master([])
    let short = try master([(MasterPixels.errorsKeyword, "1 2 3")])
    for image in [RenderedImage.mask, .standardError] {
      let error = #expect(throws: RenderedImageError.self) {
        try image.file(fromMaster: old, captureID: id, rightSide: nil, capturedAt: now)
      }
      #expect(error?.description == "\(image.name) cannot be made: the master holds no standard errors")
    }
    _ = try RenderedImage.view.file(fromMaster: old, captureID: id, rightSide: nil, capturedAt: now)
    for image in RenderedImage.allCases {
      let error = #expect(throws: RenderedImageError.self) {
        try image.file(fromMaster: short, captureID: id, rightSide: nil, capturedAt: now)
      }
      #expect(error?.description.contains("thermograph:standard-error does not fit") == true)
    }
  }

  @Test func nothingIsMadeOfWhatIsNoMaster() throws {
    let id = try #require(RandomIdentifier("00000000-0000-4000-8000-000000000001"))
    let now = Timestamp(utcNanoseconds: 0, bootID: "", monotonicNanoseconds: 0, synchronised: false)
    for bytes in [[], [1, 2, 3], [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]] as [[UInt8]] {
      for image in RenderedImage.allCases {
        let error = #expect(throws: RenderedImageError.self) {
          try image.file(fromMaster: bytes, captureID: id, rightSide: nil, capturedAt: now)
        }
        let text = "\(image.name) cannot be made: the master is no readable 16-bit grey PNG"
        #expect(error?.description.contains(text) == true)
      }
    }
  }
}
