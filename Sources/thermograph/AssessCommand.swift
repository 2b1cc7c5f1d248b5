import ArgumentParser
import Device
import Forwarding
import FoundationEssentials
import Inference
import LocalFiles
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

        thermograph assess --thermogram frames.npy --json
        thermograph assess --thermogram frames.npy --ambient 22.5 --model screening-fold --models Models
      """)

  @Option(help: ArgumentHelp("The thermograms.", valueName: "file.npy"))
  var thermogram: String

  @Option(help: ArgumentHelp("The room's temperature; without it the gate for it is left out.", valueName: "degC"))
  var ambient: Double?

  @Option(help: "The view: \(CaptureView.allCases.map(\.rawValue).joined(separator: ", ")).")
  var view = CaptureView.frontal.rawValue

  @Option(help: ArgumentHelp("The screening model, a folder of the models directory.", valueName: "id"))
  var model = "screening-fold"

  @Option(
    help: ArgumentHelp(
      "The models directory; default: the installed one, else ./Models.", valueName: "directory"))
  var models: String?

  @Flag(help: "Print JSON, one object a line; without it a line of text a sample.")
  var json = false

  /// A day of frames at 4 Hz; more in one file is a mistake.
  private static let maximumFileBytes = 1 << 30
  private static let installedModels = "/usr/share/thermograph/models"

  func run() throws {
    guard let view = CaptureView(rawValue: view) else {
      throw ValidationError("--view \(view): expected one of \(CaptureView.allCases.map(\.rawValue)).")
    }
    if let ambient, !(-40...85).contains(ambient) {
      throw ValidationError("--ambient \(ambient): expected -40 to 85.")
    }
    let frames = try readFrames()
    let assessor = Assessor(network: try loadNetwork())
    for (index, frame) in frames.enumerated() {
      var conditions = AcquisitionConditions()
      conditions.ambientCelsius = ambient
      let thermogram = Thermogram(celsius: frame, ambientCelsius: ambient ?? 25).interpolated(over: DefectivePixels())
      conditions.deadPixels = thermogram.states.count { $0 != .measured }
      let assessment = assessor.assess(thermogram, conditions: conditions)
      try report(assessment, sample: index, view: view)
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
    let values = array.bytes.withUnsafeBytes { bytes in
      (0..<array.elementCount).map {
        Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
    return stride(from: 0, to: values.count, by: size).map { Array(values[$0..<$0 + size]) }
  }

  private func loadNetwork() throws -> ScreeningNetwork {
    let directory =
      models ?? (FileManager.default.fileExists(atPath: Self.installedModels) ? Self.installedModels : "Models")
    return try ModelFolder(path: "\(directory)/\(model)", digests: OpenSSLDigests()).screeningNetwork()
  }

  private func report(_ assessment: Assessment, sample: Int, view: CaptureView) throws {
    if json {
      let line = AssessedSample(
        sample: sample, view: view, gates: assessment.gates, verdict: assessment.verdict,
        leftRightDifference: assessment.verdict.leftRightDifference)
      print(String(decoding: try CanonicalJSON.encoder().encode(line), as: UTF8.self))
      return
    }
    let failed = assessment.gates.filter { !$0.passed }.map(\.code.rawValue)
    let verdict = assessment.verdict
    let score = verdict.probability.map { " p=\($0)" } ?? ""
    print(
      "\(sample): \(verdict.outcome.rawValue)\(score)\(verdict.demonstration ? " (demonstration model)" : "")"
        + (failed.isEmpty ? "" : " failed: \(failed.joined(separator: ", "))"))
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
