import ArgumentParser
import Device
import Forwarding
import FoundationEssentials
import Inference
import LocalFiles
import Provenance
import Screening
import Storage
import Thermography

struct AssessCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "assess",
    abstract: "Gates and screens thermograms from a file: no camera, no tag, nothing stored.",
    discussion: """
      The array is float32 degC of shape [N, 24, 32] (or [24, 32]), row 0 at the top; a NaN is a pixel without a value. \
      Prints one JSON object a sample: the gates that can be judged from a picture, the verdict, the left-right \
      difference. Research use only, not a diagnosis.

      The gates and the verdict are those of a real capture. What a picture cannot tell (motion, warm-up, rest, clock) \
      is left out; the room is taken from the background without --ambient, the noise from the picture. Samples are \
      taken one by one, not as a session. A quality model is asked only with --quality.

        thermograph assess --thermogram frames.npy --json
        thermograph assess --thermogram frames.npy --ambient 22.5 --model screening-fold --models Models
        thermograph assess --thermogram frames.npy --occlusion maps --language de --languages Languages
      """)

  @Option(help: ArgumentHelp("The thermograms.", valueName: "file.npy"))
  var thermogram: String

  @Option(help: ArgumentHelp("The room's temperature; without it the background tells.", valueName: "degC"))
  var ambient: Double?

  @Option(help: "The view: \(CaptureView.allCases.map(\.rawValue).joined(separator: ", ")).")
  var view = CaptureView.frontal.rawValue

  @Option(help: ArgumentHelp("The screening model, a folder of the models directory.", valueName: "id"))
  var model = "screening-fold"

  @Option(
    help: ArgumentHelp(
      "The models directory; default: the installed one, else ./Models.", valueName: "directory"))
  var models: String?

  @Option(help: ArgumentHelp("The quality model; without it the other gates judge alone.", valueName: "id"))
  var quality: String?

  @Option(help: ArgumentHelp("The language of the sentences, a file of the languages directory.", valueName: "tag"))
  var language = SentenceBook.english.language

  @Option(
    help: ArgumentHelp(
      "The languages directory; default: \(SentenceFolder.installed).", valueName: "directory"))
  var languages = SentenceFolder.installed

  @Option(
    help: ArgumentHelp(
      "For doctors: write where the model reacted, not where disease is, as occlusion-<sample>.png.",
      valueName: "directory"))
  var occlusion: String?

  @Flag(help: "Print JSON, one object a line; without it a line of text a sample.")
  var json = false

  /// A day of frames at 4 Hz; more in one file is a mistake.
  private static let maximumFileBytes = 1 << 30

  func run() throws {
    guard let view = CaptureView(rawValue: view) else {
      throw ValidationError("--view \(view): expected one of \(CaptureView.allCases.map(\.rawValue)).")
    }
    if let ambient, !(-40...85).contains(ambient) {
      throw ValidationError("--ambient \(ambient): expected -40 to 85.")
    }
    let frames = try readFrames()
    let models = try ModelSource(directory: models)
    let (book, warnings) = SentenceFolder(path: languages).book(language: language)
    for warning in warnings { printToStandardError("warning: \(warning)") }
    let assessor = Assessor(
      network: try models.folder(model).screeningNetwork(),
      quality: try quality.map { try models.folder($0).qualityNetwork() }, sentences: book)
    for (index, frame) in frames.enumerated() {
      let thermogram = Thermogram(celsius: frame, ambientCelsius: ambient ?? 25).interpolated(over: DefectivePixels())
      var conditions = AcquisitionConditions()
      conditions.ambientCelsius = ambient
      conditions.deadPixels = thermogram.states.count { $0 != .measured }
      let assessment = assessor.assess(thermogram, conditions: conditions, context: CaptureContext(view: view))
      try report(assessment, sample: index, view: view)
      if let occlusion {
        guard let map = try assessor.occlusionMap(of: thermogram, for: assessment.verdict) else {
          printToStandardError("\(index): no verdict, so there is no occlusion map")
          continue
        }
        try BoundedFile.replace("\(occlusion)/occlusion-\(index).png", with: map.image(modified: nil).encoded())
      }
    }
  }

  private func readFrames() throws -> [[Float]] {
    let file = try BoundedFile.read(thermogram, maximumBytes: Self.maximumFileBytes)
    let array: NumPyArray
    do throws(NumPyArray.FormatError) {
      array = try NumPyArray(file: file)
    } catch {
      throw CommandFailure("\(thermogram): \(error)")
    }
    let size = SensorGeometry.pixelCount
    guard array.element == .float32, array.shape.suffix(2) == [SensorGeometry.rows, SensorGeometry.columns],
      (2...3).contains(array.shape.count)
    else {
      throw CommandFailure("\(thermogram): \(array.element.rawValue) of shape \(array.shape); expected <f4 [N, 24, 32]")
    }
    guard array.elementCount > 0 else { throw CommandFailure("\(thermogram): no samples; expected at least one") }
    let values = array.bytes.withUnsafeBytes { bytes in
      (0..<array.elementCount).map {
        Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
    return stride(from: 0, to: values.count, by: size).map { Array(values[$0..<$0 + size]) }
  }

  private func report(_ assessment: Assessment, sample: Int, view: CaptureView) throws {
    if json {
      let line = AssessedSample(
        sample: sample, view: view, gates: assessment.gates, verdict: assessment.verdict,
        leftRightDifference: assessment.verdict.leftRightDifference)
      print(try CanonicalJSON.text(of: line))
      return
    }
    let failed = assessment.gates.filter { !$0.passed }.map(\.code.rawValue)
    let verdict = assessment.verdict
    let score = verdict.probability.map { " p=\($0)" } ?? ""
    let difference = verdict.leftRightDifference.map {
      " left-right \($0.celsius) +- \($0.standardErrorCelsius) degC"
    }
    print(
      "\(sample): \(verdict.outcome.rawValue)\(score)\(verdict.demonstration ? " (demonstration model)" : "")\(difference ?? "")"
        + (failed.isEmpty ? "" : " failed: \(failed.joined(separator: ", "))"))
  }
}

/// Where models lie.
private struct ModelSource {
  private static let installed = "/usr/share/thermograph/models"
  private let directory: String

  init(directory: String?) throws {
    self.directory =
      directory ?? (FileManager.default.fileExists(atPath: Self.installed) ? Self.installed : "Models")
  }

  func folder(_ id: String) throws -> ModelFolder {
    try ModelFolder(path: "\(directory)/\(id)", digests: OpenSSLDigests())
  }
}

private struct AssessedSample: Encodable {
  let sample: Int
  let view: CaptureView
  let gates: [QualityGate]
  let verdict: Verdict
  let leftRightDifference: LeftRightDifference?

  private enum CodingKeys: String, CodingKey {
    case sample, view, gates, verdict
    case leftRightDifference = "left_right_difference"
  }
}

/// A failure of a command whose text is all that is to be said.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
