import Forwarding
import ImageFiles
import Provenance
import Screening
import Thermography

/// The image files of one capture, as they are sealed and sent.
struct CaptureImages {
  struct File {
    var reference: CaptureRecord.ImageReference
    var bytes: [UInt8]
  }

  static let mediaType = "image/png"

  var files: [File]
  /// Pictures that are left out because the master gives their very bytes again.
  var renderings: [CaptureRecord.ImageReference] = []

  /// - Parameters:
  ///   - thermogram: what was measured.
  ///   - captureID: written into the view.
  ///   - capturedAt: the images' tIME.
  ///   - manifest: JSON for the master's iTXt chunk: what a reader needs who has only this file.
  ///   - occlusion: for the doctor, where the technician asked for it.
  ///   - change: against the patient's earlier sessions, where there are enough.
  ///   - sendsRenderings: false leaves out what the master gives again.
  init(
    of thermogram: Thermogram, captureID: RandomIdentifier, capturedAt: Timestamp, view: CaptureView? = nil,
    manifest: String,
    occlusion: OcclusionMap? = nil, change: ChangeFindings? = nil, digests: some MessageDigests,
    sendsRenderings: Bool = true
  ) throws(PNGError) {
    var images: [(name: String, kind: CaptureRecord.ImageReference.Kind, image: PNGImage)] = [
      (
        "master.png", .master,
        MasterImage.picture(of: thermogram, manifest: manifest, modified: capturedAt)
      )
    ]
    for rendered in RenderedImage.allCases {
      let picture = rendered.picture(
        of: thermogram, captureID: captureID, rightSide: view?.rightSide, capturedAt: capturedAt)
      images.append((rendered.name, rendered.kind, picture))
    }
    if let change { images.append(("change.png", .change, change.image(modified: capturedAt))) }
    if let occlusion { images.append(("occlusion.png", .occlusion, occlusion.image(modified: capturedAt))) }
    var files: [File] = []
    for (name, kind, image) in images {
      let bytes = try image.encoded()
      let reference = CaptureRecord.ImageReference(
        name: name, kind: kind, mediaType: Self.mediaType, bytes: bytes.count,
        sha256: Hexadecimal.text(of: digests.sha256(bytes)), label: Self.label(of: kind))
      if !sendsRenderings, RenderedImage(rawValue: name) != nil {
        renderings.append(reference)
      } else {
        files.append(File(reference: reference, bytes: bytes))
      }
    }
    self.files = files
  }

  /// What must be said wherever the image is shown.
  private static func label(of kind: CaptureRecord.ImageReference.Kind) -> String? {
    switch kind {
    case .occlusion: OcclusionMap.label
    case .change: ChangeFindings.label
    default: nil
    }
  }
}

extension ChangeFindings {
  package static let label = "change against the person's own earlier sessions; not a diagnosis"
  /// A sample of no change, and degC a step.
  static let zeroSample = 32_768
  static let stepCelsius = 0.0002

  /// The estimated height of a spot at each pixel: grey where nothing changed, brighter where it is warmer than before, black
  /// where nothing was assessed.
  func image(modified: Timestamp?) -> PNGImage {
    let samples = zip(heightCelsius, assessed).map { height, isAssessed in
      isAssessed ? UInt16(min(max((height / Self.stepCelsius).rounded() + Double(Self.zeroSample), 1), 65_535)) : 0
    }
    return PNGImage(
      width: geometry.columns, height: geometry.rows, samples: .grey16(samples), modified: modified,
      texts: [
        ("thermograph:label", Self.label),
        ("thermograph:scale", "degC = (sample - \(Self.zeroSample)) * \(Self.stepCelsius); 0 is not assessed"),
        ("thermograph:sessions", "\(sessions)"), ("thermograph:intended-use", Verdict.intendedUse),
      ])
  }
}

extension OcclusionMap {
  /// Grey levels with what must be said of them in the text chunks.
  package func image(modified: Timestamp?) -> PNGImage {
    PNGImage(
      width: geometry.columns, height: geometry.rows, samples: .grey8(grey), modified: modified,
      texts: [
        ("thermograph:label", Self.label),
        ("thermograph:scale", "relative; 255 is a mean change of the raw int8 score by \(peakChange)"),
        ("thermograph:intended-use", Verdict.intendedUse),
      ])
  }
}

extension RenderedImage {
  fileprivate var kind: CaptureRecord.ImageReference.Kind {
    switch self {
    case .view: .view
    case .mask: .mask
    case .standardError: .standardError
    }
  }
}
