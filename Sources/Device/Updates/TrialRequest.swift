import FoundationEssentials
import LocalFiles
import Provenance
import Remote
import Screening
import Storage
import Thermography

/// What the trial's process is asked: one JSON object on its standard input.
package struct TrialRequest: Sendable, Codable {
  /// A capture's master is some tens of kilobytes; in base64 with all else.
  package static let bytesMaximum = 6 << 20

  package var slot: ModelSlot
  /// Paths of folders or units.
  package var candidate: String
  /// The model that decides in that slot; nil: there is none.
  package var current: String?
  /// The model of the other slot; nil: there is none.
  package var beside: String?
  /// `thermograph:manifest` and all, as the capture's file has it; nil: golden vectors.
  package var master: Data?
  package var memoryBytes: Int
  package var processorSeconds: Int

  package init(
    slot: ModelSlot, candidate: String, current: String?, beside: String?, master: [UInt8]? = nil,
    memoryBytes: Int = UpdateRules.trialMemoryBytes, processorSeconds: Int = 60
  ) {
    self.slot = slot
    self.candidate = candidate
    self.current = current
    self.beside = beside
    self.master = master.map { Data($0) }
    self.memoryBytes = memoryBytes
    self.processorSeconds = processorSeconds
  }

  private enum CodingKeys: String, CodingKey {
    case slot, candidate, current, beside, master
    case memoryBytes = "memory_bytes"
    case processorSeconds = "processor_seconds"
  }
}

/// What it answers: one JSON object.
package struct TrialAnswer: Sendable, Codable, Equatable {
  package static let bytesMaximum = 16 << 10

  /// Why the candidate does not pass.
  package var failure: String?
  package var figures: TrialFigures?
  /// Whether both came to the same outcome; only of a shadow capture.
  package var agrees: Bool?
  /// Most memory that the process had at a time.
  package var peakBytes: Int?

  package init(failure: String? = nil, figures: TrialFigures? = nil, agrees: Bool? = nil) {
    self.failure = failure
    self.figures = figures
    self.agrees = agrees
  }

  private enum CodingKeys: String, CodingKey {
    case failure, figures, agrees
    case peakBytes = "peak_bytes"
  }
}

/// The trial itself, in a process whose memory and time are bounded by whoever calls.
package struct ModelTrial {
  private static let golden = 20
  private static let shadow = 5

  private let request: TrialRequest
  private let clock: () -> UInt64
  private let digests = OpenSSLDigests()

  /// - Parameter clock: monotonic nanoseconds.
  package init(_ request: TrialRequest, clock: @escaping () -> UInt64) {
    self.request = request
    self.clock = clock
  }

  /// Whatever is wrong with the candidate becomes the answer's `failure`.
  package func answer() -> TrialAnswer {
    do {
      let candidate = try ModelFiles(path: request.candidate)
      return try request.master.map { try shadow(candidate, master: [UInt8]($0)) } ?? golden(candidate)
    } catch {
      return TrialAnswer(failure: String("\(error)".prefix(400)))
    }
  }

  /// Every golden byte, and how long both models take for one thermogram.
  private func golden(_ files: ModelFiles) throws -> TrialAnswer {
    let folder = try ModelFolder(files, digests: digests)
    let verification = try ModelVerification(folder.manifest, digests: digests) { try files.read($0, $1) }
    guard verification.hasVaryingOutput || verification.samples == 1 else {
      return TrialAnswer(failure: "gives the same output for each of its \(verification.samples) golden samples")
    }
    let runner = try Runner(request.slot, folder)
    let present = try current()
    let picture = Self.picture
    let fastest = try fastest(
      Self.golden, { try runner.run(picture) }, present.map { present in { try present.run(picture) } })
    return TrialAnswer(
      figures: TrialFigures(
        samples: verification.samples, candidateMicroseconds: fastest.candidate, currentMicroseconds: fastest.current))
  }

  /// A real capture assessed by both, from the file that was kept of it.
  private func shadow(_ files: ModelFiles, master: [UInt8]) throws -> TrialAnswer {
    let image = try MasterImage(file: master)
    let candidate = try assessor(with: ModelFolder(files, digests: digests))
    let present = try assessor(with: usable(request.current))
    let basis = image.manifest.assessment
    func assess(_ assessor: Assessor) -> Assessment {
      var assessor = assessor
      assessor.limits = basis?.limits ?? GateLimits()
      return assessor.assess(
        image.thermogram, conditions: basis?.conditions ?? AcquisitionConditions(),
        context: basis?.context ?? CaptureContext(view: image.manifest.view))
    }
    let (mine, other) = (assess(candidate), assess(present))
    let (mineTakesIt, otherTakesIt) = (mine.qualityPassed, other.qualityPassed)
    let agrees = mine.verdict.outcome == other.verdict.outcome && mineTakesIt == otherTakesIt
    let fastest = try fastest(
      Self.shadow, { _ = assess(candidate) }, request.current == nil ? nil : { _ = assess(present) })
    return TrialAnswer(
      figures: TrialFigures(
        samples: 1, candidateMicroseconds: fastest.candidate, currentMicroseconds: fastest.current),
      agrees: agrees)
  }

  private func current() throws -> Runner? { try usable(request.current).map { try Runner(request.slot, $0) } }

  /// A model that the device has already; nil also for one that cannot be used: that is no fault of the candidate's, which
  /// may be what mends it.
  private func usable(_ path: String?) -> ModelFolder? {
    guard let path else { return nil }
    do throws(ModelFolderError) { return try ModelFolder(path: path, digests: digests) } catch { return nil }
  }

  private func assessor(with model: ModelFolder?) throws -> Assessor {
    let beside = usable(request.beside)
    let (screening, quality) = request.slot == .screening ? (model, beside) : (beside, model)
    return Assessor(network: try screening?.networkForPatients(), quality: try quality?.qualityNetwork())
  }

  /// Microseconds of the fastest of several runs of each: what else the machine does only makes them slower. In turn, so
  /// that a busy moment does not weigh on one of the two alone.
  private func fastest(
    _ runs: Int, _ candidate: () throws -> Void, _ current: (() throws -> Void)?
  ) throws -> (candidate: Int64, current: Int64?) {
    func time(_ body: () throws -> Void) throws -> Int64 {
      let began = clock()
      try body()
      return Int64(clamping: (clock() - began) / 1000)
    }
    var best: (candidate: Int64, current: Int64?) = (.max, current.map { _ in .max })
    for _ in 0..<runs {
      best.candidate = min(best.candidate, try time(candidate))
      if let current, let before = best.current { best.current = min(before, try time(current)) }
    }
    return best
  }

  /// Something to be measured with.
  private static var picture: Thermogram {
    let geometry = PreprocessingChain.modelGeometry
    let celsius = (0..<geometry.pixelCount).map { 30 + Float(($0 * 7919) % 97) / 20 }
    return Thermogram(geometry: geometry, celsius: celsius, ambientCelsius: 25)
  }

  /// One model, run on one picture.
  private struct Runner {
    private let screening: ScreeningNetwork?
    private let quality: QualityNetwork?

    init(_ slot: ModelSlot, _ folder: ModelFolder) throws {
      screening = slot == .screening ? try folder.networkForPatients() : nil
      quality = slot == .quality ? try folder.qualityNetwork() : nil
    }

    func run(_ thermogram: Thermogram) throws {
      if let screening { _ = try screening.rawScore(of: thermogram) }
      if let quality { _ = try quality.judge(thermogram.celsius, thermogram.geometry) }
    }
  }
}

extension Assessment {
  /// What the quality model says; nil without one.
  fileprivate var qualityPassed: Bool? { gates.first { $0.code == .quality }?.passed }
}
