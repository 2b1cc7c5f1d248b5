import ArgumentParser
import Device
import Inference
import LocalFiles
import Screening
import Storage

struct ModelVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Runs each model's golden inputs through this device's chain and engine and compares every byte.",
    discussion: """
      The golden inputs and outputs were made by the training scripts and by the reference kernels of another engine. \
      Exit status 0: every byte agrees; 1: a file is not the manifest's or a byte differs.

        thermograph model verify
        thermograph model verify screening-fold --kernels reference --json
      """)

  @Argument(help: "The models' folders; all when none is named.")
  var names: [String] = []

  @OptionGroup var models: ModelsDirectory

  @Option(name: .long, help: "The kernels: auto, reference or the name of a level.")
  var kernels = "auto"

  @Flag(name: .long, help: "Print one JSON object for each model.")
  var json = false

  private struct Line: Encodable {
    let id: String
    let samples: Int
    let inputBytes: Int
    let outputBytes: Int
    let kernels: String

    enum CodingKeys: String, CodingKey {
      case id, samples, kernels
      case inputBytes = "input_bytes"
      case outputBytes = "output_bytes"
    }
  }

  func run() throws {
    var isSound = true
    for name in try models.names(names) {
      do {
        try verify(name)
      } catch {
        printToStandardError("\(models.directory)/\(name): \(error)")
        isSound = false
      }
    }
    if !isSound { throw ExitCode.failure }
  }

  private func verify(_ name: String) throws {
    let manifest = try models.folder(name).manifest
    guard manifest.id == name else {
      throw ModelManifestError(field: "id", found: manifest.id, expected: "the folder's name \(name)")
    }
    let result = try ModelVerification(manifest, kernels: KernelChoice(kernels), digests: OpenSSLDigests()) {
      try BoundedFile.read("\(models.directory)/\(name)/\($0)", maximumBytes: $1)
    }
    if json {
      print(
        try ModelsDirectory.json(
          Line(
            id: name, samples: result.samples, inputBytes: result.inputBytes, outputBytes: result.outputBytes,
            kernels: result.kernels)))
    } else {
      print(
        "\(name): \(result.samples) samples, \(result.inputBytes) input and \(result.outputBytes) output bytes equal "
          + "(\(result.kernels))")
    }
  }
}
