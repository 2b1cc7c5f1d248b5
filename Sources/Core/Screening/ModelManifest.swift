import FoundationEssentials

/// What a model's `manifest.json` says: everything that the device must know to run the model and to say what its
/// output means. The format is described in `Models/README.md`.
///
/// A value of this type has been validated: shapes agree with the preprocessing chain, the calibration table has 256
/// rising entries, the thresholds are in order, and the intended-use sentence is there.
package struct ModelManifest: Sendable, Equatable {
  /// The newest format that this reader knows.
  package static let format = 1
  /// The largest manifest that is read.
  package static let sizeLimitBytes = 256 * 1024

  /// What the output is used for.
  package enum Purpose: String, Sendable, Equatable, Decodable, CaseIterable {
    /// One score of a thermogram, calibrated and held against thresholds.
    case screening
    /// Whether and how a capture can be assessed, as classes.
    case quality
    /// Windows of the device's own counters.
    case sentinel
    /// An architecture that is shipped to be run and measured, not to speak in a verdict.
    case comparison
  }

  /// How much the output may be trusted.
  package enum Status: String, Sendable, Equatable, Decodable {
    /// Never shown to a patient (`Docs/decisions/0007-images-are-the-truth.md`).
    case demonstration
    case validated
  }

  /// Lower-case letters, digits and hyphens, at most 36; also the folder's name.
  package let id: String
  package let version: String
  package let purpose: Purpose
  package let status: Status
  /// One sentence that goes with every verdict.
  package let intendedUse: String
  package let licence: String
  package let trainingData: TrainingData
  package let model: File
  package let input: Input
  /// Turns a thermogram in centikelvin into the input tensor. Empty for `window` inputs.
  package let preprocessing: PreprocessingChain?
  /// In the model's order.
  package let outputs: [Output]
  /// Required for `screening`.
  package let decision: Decision?
  /// Of a sentinel: how windows become an alert over time; nil where that was not settled, and the model never speaks.
  package let watch: WatchDecision?
  /// Required for `quality`.
  package let acceptance: Acceptance?
  package let subspaces: Subspaces?
  package let golden: Golden

  package struct TrainingData: Sendable, Equatable, Decodable {
    package let id: String
    /// `synthetic` or `patients`.
    package let kind: String
  }

  /// A file of the model's folder.
  package struct File: Sendable, Equatable, Decodable {
    /// A plain file name, or `golden/` and a plain file name.
    package let path: String
    package let bytes: Int
    /// 64 lower-case hexadecimal digits.
    package let sha256: String
  }

  /// The geometry and quantisation of a tensor: real = `scale` * (q - `zeroPoint`).
  package struct Tensor: Sendable, Equatable, Decodable {
    package let name: String
    /// Without the batch axis.
    package let shape: [Int]
    package let scale: Double
    package let zeroPoint: Int

    enum CodingKeys: String, CodingKey {
      case name, shape, scale
      case zeroPoint = "zero_point"
    }
  }

  package struct Input: Sendable, Equatable, Decodable {
    package enum Kind: String, Sendable, Equatable, Decodable {
      /// 24 rows, 32 columns, centikelvin.
      case thermogram
      /// `shape[0]` steps of the channels that `channels` names.
      case window
    }
    package let kind: Kind
    package let tensor: Tensor
    /// The views (`frontal`, `left-oblique` ...) that the model was trained on. Only for `thermogram`.
    package let views: [String]?
    /// Only for `window`.
    package let channels: [WindowChannel]?
    /// nil where the training did not keep them.
    package let statistics: InputStatistics?
  }

  /// How one counter of a window becomes int8; see `WindowEncoding`.
  package struct WindowChannel: Sendable, Equatable, Decodable {
    package enum Transform: String, Sendable, Equatable, Decodable {
      case linear
      case log2
      /// The change since the window's first step.
      case delta
    }
    package let name: String
    package let unit: String
    package let transform: Transform
    package let gain: Int
    package let offset: Int
    /// What stands for a value that is missing; nil where the model was not trained to miss any.
    package var missing: Int8?
  }

  package struct Output: Sendable, Equatable, Decodable {
    package let tensor: Tensor
    /// One for each element, in order.
    package let labels: [String]
  }

  /// From one raw int8 element of one output to an outcome.
  package struct Decision: Sendable, Equatable, Decodable {
    package let output: Int
    package let element: Int
    package let calibration: CalibrationTable
    /// Whom the calibrated probability holds for; without it a record does not say.
    package let population: Verdict.ProbabilityPopulation?
    package let thresholds: DecisionThresholds
  }

  /// Which labels of a quality model let a verdict be spoken.
  package struct Acceptance: Sendable, Equatable, Decodable {
    package let output: Int
    /// Labels whose probabilities are added up.
    package let accepted: [String]
    /// Raw int8 units above -128 (0...255): the sum over the accepted labels must reach it.
    package let minimum: Int
    /// What else is asked of a model that tells views apart; nil asks nothing.
    package let view: View?

    package struct View: Sendable, Equatable, Decodable {
      /// The output whose labels are names of `CaptureView`.
      package let output: Int
      /// In the same units: what the declared view has to reach.
      package let minimum: Int
    }
  }

  /// The higher-order SVD classifier that stands beside a network; see `SubspaceClassifier`.
  package struct Subspaces: Sendable, Equatable, Decodable {
    /// The output that gives the features.
    package let output: Int
    /// The integer that stands for 1 in the bases.
    package let unit: Int
    /// The classes, in the bases' order.
    package let labels: [String]
    /// int32 [classes, directions, features].
    package let bases: File
  }

  /// Vectors that prove the engine: computed by the LiteRT reference kernels when the model was made.
  package struct Golden: Sendable, Equatable, Decodable {
    /// float32 degC [N, 24, 32]; absent for windows.
    package let frames: File?
    /// int64 [N] + input shape, what the windows were before they were encoded; absent for thermograms.
    package let counters: File?
    /// int8 [N] + input shape.
    package let input: File
    /// int8 [N] + output shape, one for each output.
    package let outputs: [File]
    /// int64 [N, classes], parts per million; only beside `subspaces`.
    package let residuals: File?
  }

  /// Reads and validates `manifest.json`.
  package init(json: [UInt8]) throws(ModelManifestError) {
    guard json.count <= Self.sizeLimitBytes else {
      throw ModelManifestError(
        field: "manifest.json", found: "\(json.count) bytes", expected: "at most \(Self.sizeLimitBytes)")
    }
    let document: ModelManifestDocument
    do {
      document = try JSONDecoder().decode(ModelManifestDocument.self, from: Data(json))
    } catch let error as DecodingError {
      throw ModelManifestError(error)
    } catch let error as ModelManifestError {
      throw error
    } catch {
      throw ModelManifestError(field: "manifest.json", found: "\(error)", expected: "a JSON object")
    }
    try self.init(document)
  }

  init(_ document: ModelManifestDocument) throws(ModelManifestError) {
    guard document.format == Self.format else {
      throw ModelManifestError(
        field: "format", found: "\(document.format)", expected: "\(Self.format); update the firmware or the model")
    }
    id = document.id
    version = document.version
    purpose = document.purpose
    status = document.status
    intendedUse = document.intendedUse
    licence = document.licence
    trainingData = document.trainingData
    model = document.model
    input = document.input
    outputs = document.outputs
    switch document.decision {
    case .score(let score): (decision, watch) = (score, nil)
    case .watch(let rule): (decision, watch) = (nil, rule)
    case nil: (decision, watch) = (nil, nil)
    }
    acceptance = document.acceptance
    subspaces = document.subspaces
    golden = document.golden
    if let steps = document.preprocessing {
      do throws(PreprocessingError) {
        preprocessing = try PreprocessingChain(steps: steps)
      } catch {
        throw ModelManifestError(field: "preprocessing", found: "\(error)", expected: "a chain that can run")
      }
    } else {
      preprocessing = nil
    }
    try validate()
  }
}

/// The JSON as it is written, before validation.
struct ModelManifestDocument: Decodable {
  let format: Int
  let id: String
  let version: String
  let purpose: ModelManifest.Purpose
  let status: ModelManifest.Status
  let intendedUse: String
  let licence: String
  let trainingData: ModelManifest.TrainingData
  let model: ModelManifest.File
  let input: ModelManifest.Input
  let preprocessing: [PreprocessingStep]?
  let outputs: [ModelManifest.Output]
  let decision: ModelDecision?
  let acceptance: ModelManifest.Acceptance?
  let subspaces: ModelManifest.Subspaces?
  let golden: ModelManifest.Golden

  enum CodingKeys: String, CodingKey {
    case format, id, version, purpose, status, licence, model, input, preprocessing, outputs, decision, acceptance
    case subspaces, golden
    case intendedUse = "intended_use"
    case trainingData = "training_data"
  }
}
