import Foundation
import Inference
import Screening
import Testing
import Thermography

/// Each step of a preprocessing chain on the device, byte for byte what the training's own code makes of the same picture. The
/// vectors are Python's (`Models/training/chain_vectors.py`), which shares no code with the device.
@Suite struct ChainVectorTests {
  private struct Vector: Decodable {
    let name: String
    let steps: [PreprocessingStep]
    let shape: [Int]
    let file: String
    /// Pictures that the chain refuses.
    let refused: [Int]
  }

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/chains")

  private let frames: [[Float]]
  private let vectors: [Vector]

  init() throws {
    let array = try NumPyArray(file: Self.bytes("frames.npy"))
    frames = array.bytes.withUnsafeBytes { bytes in
      (0..<array.shape[0]).map { sample in
        (0..<768).map { bytes.loadUnaligned(fromByteOffset: 4 * (768 * sample + $0), as: Float.self) }
      }
    }
    vectors = try JSONDecoder().decode([Vector].self, from: Data(Self.bytes("chains.json")))
  }

  private static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appending(path: name)))
  }

  @Test func everyStepGivesTheBytesOfTheTraining() throws {
    var compared = 0
    for vector in vectors {
      let chain = try PreprocessingChain(steps: vector.steps)
      #expect(chain.outputShape == vector.shape, "\(vector.name)")
      let expected = try NumPyArray(file: Self.bytes(vector.file))
      let size = vector.shape.reduce(1, *)
      #expect(expected.shape == [frames.count] + vector.shape)
      for (number, frame) in frames.enumerated() {
        if vector.refused.contains(number) {
          #expect(throws: PreprocessingError.self, "\(vector.name), picture \(number)") {
            try chain.apply(toCelsius: frame)
          }
          continue
        }
        let tensor = try chain.apply(toCelsius: frame).tensor
        let golden = expected.bytes[(number * size)..<((number + 1) * size)].map { Int8(bitPattern: $0) }
        #expect(tensor == golden, "\(vector.name), picture \(number)")
        compared += golden.count
      }
    }
    #expect(vectors.count >= 30 && compared > 300_000, "\(vectors.count) chains, \(compared) bytes")
  }

  /// The steps that the vectors are about are in them, and their outputs say something.
  @Test func theVectorsCoverKalvasStepsAndAreNotEmpty() throws {
    let kinds = Set(
      vectors.flatMap(\.steps).compactMap { step -> String? in
        switch step {
        case .minMax: "min-max"
        case .zScore: "z-score"
        case .subtractMean: "mean subtraction"
        case .resize: "resize"
        case .equaliseHistogram: "histogram equalisation"
        default: nil
        }
      })
    #expect(kinds.count == 5, "\(kinds)")
    for vector in vectors {
      let array = try NumPyArray(file: Self.bytes(vector.file))
      #expect(Set(array.bytes).count >= 2, "\(vector.name)")
    }
    #expect(vectors.contains { !$0.refused.isEmpty })
  }

  /// A model's manifest chooses its chain: the same network takes each of Kalva's.
  @Test func aManifestChoosesAmongThem() throws {
    let file = ShippedModels.directory.appending(path: "kalva-resnet/manifest.json")
    let whole = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
    let named = try JSONSerialization.jsonObject(with: Data(Self.bytes("chains.json")))
    let chains = try #require(named as? [[String: Any]]).filter { entry in
      guard let name = entry["name"] as? String else { return false }
      return name.hasPrefix("Kalva: ") && !name.contains("resize")
    }
    #expect(chains.count == 4)
    var scores: Set<[Int8]> = []
    for chain in chains {
      var object = try #require(whole as? [String: Any])
      object["preprocessing"] = chain["steps"]
      let manifest = try ModelManifest(json: [UInt8](JSONSerialization.data(withJSONObject: object)))
      let network = try ScreeningNetwork(
        manifest: manifest, modelFile: ShippedModels.reader("kalva-resnet")(manifest.model.path, 1 << 24))
      var raw: [Int8] = []
      for frame in frames.prefix(3) {
        var verdict = Assessor(network: nil).assess(.init(celsius: frame, ambientCelsius: 24), conditions: .init())
          .verdict
        try network.screen(.init(celsius: frame, ambientCelsius: 24), into: &verdict)
        raw += verdict.rawOutput
      }
      scores.insert(raw)
    }
    #expect(scores.count == 4, "every chain shows the network something else")
  }
}
