import Foundation

/// The folder of golden vectors: models and single operators with the oracle's outputs (see its README).
enum GoldenVectors {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

  /// A model and its vectors, as the JSON beside it lists them.
  struct Case: Decodable {
    struct Vector: Decodable {
      let inputs: [Data]
      let outputs: [Data]
    }

    struct Description: Decodable {
      let shape: [Int]
      let type: String
    }

    let model: String
    let inputs: [Description]
    let outputs: [Description]
    let vectors: [Vector]
  }

  /// Paths of all models, relative to the folder, without extension: "models/s7_thermal24x32".
  static let names: [String] = ["models", "ops", "chains"].flatMap { group in
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: group).path())) ?? []
    return files.filter { $0.hasSuffix(".tflite") }.sorted().map { "\(group)/\($0.dropLast(7))" }
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appending(path: "\(name).tflite")))
  }

  static func load(_ name: String) throws -> Case {
    try JSONDecoder().decode(Case.self, from: Data(contentsOf: folder.appending(path: "\(name).json")))
  }
}
