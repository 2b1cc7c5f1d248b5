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
      With --thermogram the array is float32 degC of shape [N, rows, columns] (or [rows, columns]), row 0 at the top; a NaN is a pixel \
      without a value. With --master the files are master images of captures: each holds what its assessment rests on \
      (conditions, limits, view, the session's and the patient's earlier numbers), so the same gates and verdict are \
      made again, equal to the bit, if the models are the same; a difference of models or program is told on standard \
      error. Prints one JSON object for each sample: gates, verdict, left-right difference. Research use only, not a diagnosis.

      The gates and the verdict are those of a real capture. What an array cannot tell (motion, warm-up, rest, clock) \
      is left out; the room is taken from the background without --ambient, the noise from the picture. Samples are \
      taken one by one, not as a session. A quality model is asked only with --quality. With --earlier each sample is also \
      compared with earlier sessions of the same person, as the device does it; "change" is then what a record would say, \
      with the largest deviation and its threshold.

        thermograph assess --thermogram frames.npy --json
        thermograph assess --thermogram frames.npy --ambient 22.5 --model screening-fold --models Models
        thermograph assess --thermogram today.npy --earlier sessions.npy --json
        thermograph assess --thermogram frames.npy --occlusion maps --language de --languages Languages
        thermograph assess --master received/*/*/*/master.png --json
      """)

  @Option(help: ArgumentHelp("The thermograms.", valueName: "file.npy"))
  var thermogram: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Master images of captures, whose assessment is made again.", valueName: "file.png"))
  var master: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The room's temperature; without it the background tells. Only with --thermogram.", valueName: "degC"))
  var ambient: Double?

  @Option(
    help: """
      The view: \(CaptureView.allCases.map(\.rawValue).joined(separator: ", ")); default: frontal. Only with --thermogram.
      """)
  var view: String?

  @Option(
    help: ArgumentHelp(
      "Earlier sessions of the same person and view, oldest first. Only with --thermogram.", valueName: "file.npy"))
  var earlier: String?

  @Option(
    help: ArgumentHelp(
      "The screening model, a folder of the models directory; default: screening-fold, or the master's.",
      valueName: "id"))
  var model: String?

  @Option(
    help: ArgumentHelp(
      "The models directory; default: the installed one.", valueName: "directory"))
  var models: String?

  @Option(
    help: ArgumentHelp(
      "The quality model; default: the master's; without one the other gates judge alone.", valueName: "id"))
  var quality: String?

  @Option(
    help: ArgumentHelp(
      "The language of the sentences, a file of the languages directory; default: en, or the master's.",
      valueName: "tag"))
  var language: String?

  @Option(
    help: ArgumentHelp(
      "The languages directory; default: \(SentenceFolder.installed).", valueName: "directory"))
  var languages = SentenceFolder.installed

  @Option(
    help: ArgumentHelp(
      "For doctors: write where the model reacted, not where disease is, as occlusion-<sample>.png.",
      valueName: "directory"))
  var occlusion: String?

  @Flag(help: "Print one JSON object for each sample; without it one line of text.")
  var json = false

  /// A day of frames at 4 Hz; more in one file is a mistake.
  private static let maximumFileBytes = 1 << 30

  func validate() throws {
    guard (thermogram == nil) != master.isEmpty else {
      throw ValidationError("Expected either --thermogram or --master.")
    }
    if !master.isEmpty, ambient != nil || view != nil || earlier != nil {
      throw ValidationError("--ambient, --view and --earlier go with --thermogram; a master image tells its own.")
    }
    if let view, CaptureView(rawValue: view) == nil {
      throw ValidationError("--view \(view): expected one of \(CaptureView.allCases.map(\.rawValue)).")
    }
    if let ambient, !(-40...85).contains(ambient) {
      throw ValidationError("--ambient \(ambient): expected -40 to 85.")
    }
  }

  func run() throws {
    var source = try AssessorSource(models: models, languages: languages)
    if let thermogram {
      try assessArray(thermogram, &source)
    } else {
      for (index, path) in master.enumerated() { try assessMaster(path, sample: index, &source) }
    }
  }

  private func assessArray(_ path: String, _ source: inout AssessorSource) throws {
    let view = view.flatMap(CaptureView.init) ?? .frontal
    let (frames, geometry) = try readFrames(path)
    let assessor = try source.assessor(
      model: model ?? "screening-fold", quality: quality, language: language ?? SentenceBook.english.language)
    var history = try earlier.map { path in
      let (sessions, sessionGeometry) = try readFrames(path)
      return SessionSeries(sessions, sessionGeometry)
    }
    for (index, frame) in frames.enumerated() {
      let thermogram = Thermogram(geometry: geometry, celsius: frame, ambientCelsius: ambient ?? 25)
        .interpolated(over: DefectivePixels())
      var conditions = AcquisitionConditions()
      conditions.ambientCelsius = ambient
      conditions.deadPixels = thermogram.states.count { $0 != .measured }
      let assessment = assessor.assess(thermogram, conditions: conditions, context: CaptureContext(view: view))
      try report(assessment, sample: index, view: view, change: history?.change(of: thermogram, view: view))
      try draw(thermogram, assessment, assessor, sample: index)
    }
  }

  /// Makes the assessment of one capture again.
  private func assessMaster(_ path: String, sample: Int, _ source: inout AssessorSource) throws {
    let image: MasterImage
    let file = try BoundedFile.read(path, maximumBytes: MasterImage.maximumFileBytes)
    do throws(MasterImageError) {
      image = try MasterImage(file: file)
    } catch {
      throw CommandFailure("\(path): \(error)")
    }
    let basis = image.manifest.assessment
    if basis == nil {
      printToStandardError(
        "\(path): does not tell what its assessment rests on (an older program wrote it); what the picture cannot tell "
          + "is left out")
    }
    if let firmware = image.manifest.firmware, firmware != DeviceRuntime.firmware {
      printToStandardError("\(path): taken by version \(firmware); this is version \(DeviceRuntime.firmware)")
    }
    var assessor = try source.assessor(
      model: model ?? (basis == nil ? "screening-fold" : basis?.screeningModel?.id),
      quality: quality ?? basis?.qualityModel?.id,
      language: language ?? basis?.language ?? SentenceBook.english.language)
    assessor.limits = basis?.limits ?? GateLimits()
    var conditions = AcquisitionConditions()
    conditions.deadPixels = image.thermogram.states.count { $0 != .measured }
    let context = basis?.context ?? CaptureContext(view: image.manifest.view)
    let assessment = assessor.assess(
      image.thermogram, conditions: basis?.conditions ?? conditions, context: context)
    for (then, now) in [
      (basis?.screeningModel, assessment.basis?.screeningModel), (basis?.qualityModel, assessment.basis?.qualityModel),
    ] where basis != nil && then != now {
      printToStandardError(
        "\(path): assessed by \(then?.description ?? "no model") then, by \(now?.description ?? "no model") now")
    }
    try report(assessment, sample: sample, view: context.view, of: image.manifest.captureID)
    try draw(image.thermogram, assessment, assessor, sample: sample)
  }

  private func draw(_ thermogram: Thermogram, _ assessment: Assessment, _ assessor: Assessor, sample: Int) throws {
    guard let occlusion else { return }
    guard let map = try assessor.occlusionMap(of: thermogram, for: assessment.verdict) else {
      printToStandardError("\(sample): no verdict, so there is no occlusion map")
      return
    }
    try BoundedFile.replace("\(occlusion)/occlusion-\(sample).png", with: map.image(modified: nil).encoded())
  }

  private func readFrames(_ thermogram: String) throws -> ([[Float]], SensorGeometry) {
    let file = try BoundedFile.read(thermogram, maximumBytes: Self.maximumFileBytes)
    let array: NumPyArray
    do throws(NumPyArray.FormatError) {
      array = try NumPyArray(file: file)
    } catch {
      throw CommandFailure("\(thermogram): \(error)")
    }
    let shape = array.shape.suffix(2)
    guard array.element == .float32, (2...3).contains(array.shape.count), let rows = shape.first,
      let columns = shape.last, let geometry = SensorGeometry(columns: columns, rows: rows)
    else {
      throw CommandFailure(
        "\(thermogram): \(array.element.rawValue) of shape \(array.shape); expected <f4 [N, rows, columns]; "
          + SensorGeometry.expectation)
    }
    guard array.elementCount > 0 else { throw CommandFailure("\(thermogram): no samples; expected at least one") }
    let values = array.bytes.withUnsafeBytes { bytes in
      (0..<array.elementCount).map {
        Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
    let size = geometry.pixelCount
    return (stride(from: 0, to: values.count, by: size).map { Array(values[$0..<$0 + size]) }, geometry)
  }

  private func report(
    _ assessment: Assessment, sample: Int, view: CaptureView, of captureID: RandomIdentifier? = nil,
    change: AssessedChange? = nil
  ) throws {
    if json {
      let line = AssessedSample(
        sample: sample, captureID: captureID, view: view, gates: assessment.gates, verdict: assessment.verdict,
        leftRightDifference: assessment.verdict.leftRightDifference, change: change)
      print(try CanonicalJSON.text(of: line))
      return
    }
    let failed = assessment.gates.filter { !$0.passed }.map(\.code.rawValue)
    let verdict = assessment.verdict
    let score = verdict.probability.map { " p=\($0)" } ?? ""
    let difference = verdict.leftRightDifference.map {
      " left-right \($0.celsius) degC, measured to +- \($0.standardErrorCelsius) (healthy people: up to 3)"
    }
    print(
      "\(sample): \(verdict.outcome.rawValue)\(score)\(verdict.demonstration ? " (demonstration model)" : "")\(difference ?? "")"
        + (failed.isEmpty ? "" : " failed: \(failed.joined(separator: ", "))") + (change.map { " \($0.text)" } ?? ""))
  }
}

/// Where models and sentences lie; each is read once.
private struct AssessorSource {
  private let directory: String
  private let languages: String
  private var screening: [String: ScreeningNetwork] = [:]
  private var quality: [String: QualityNetwork] = [:]
  private var books: [String: SentenceBook] = [:]

  init(models: String?, languages: String) throws {
    directory = models ?? ModelsDirectory.standing
    self.languages = languages
  }

  mutating func assessor(model: String?, quality qualityModel: String?, language: String) throws -> Assessor {
    if let model, screening[model] == nil { screening[model] = try folder(model).screeningNetwork() }
    if let qualityModel, quality[qualityModel] == nil {
      quality[qualityModel] = try folder(qualityModel).qualityNetwork()
    }
    if books[language] == nil {
      let (book, warnings) = SentenceFolder(path: languages).book(language: language)
      for warning in warnings { printToStandardError("warning: \(warning)") }
      books[language] = book
    }
    return Assessor(
      network: model.flatMap { screening[$0] }, quality: qualityModel.flatMap { quality[$0] },
      sentences: books[language] ?? .english)
  }

  /// The id may come from a file: it must not leave the directory.
  private func folder(_ id: String) throws -> ModelFolder {
    guard ModelManifest.isIdentifier(id) else {
      throw CommandFailure("model \"\(id)\": expected 1 to 36 of a-z, 0-9 and hyphen")
    }
    return try ModelFolder(path: "\(directory)/\(id)", digests: OpenSSLDigests())
  }
}

extension AssessmentBasis.Model: CustomStringConvertible {
  /// For messages: the id and the beginning of the hash.
  public var description: String { "\(id) (\(sha256.prefix(12)))" }
}

private struct AssessedSample: Encodable {
  let sample: Int
  let captureID: RandomIdentifier?
  let view: CaptureView
  let gates: [QualityGate]
  let verdict: Verdict
  let leftRightDifference: LeftRightDifference?
  let change: AssessedChange?

  private enum CodingKeys: String, CodingKey {
    case sample
    case captureID = "capture_id"
    case view, gates, verdict
    case leftRightDifference = "left_right_difference"
    case change
  }
}

/// A failure of a command whose text is all that is to be said.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
