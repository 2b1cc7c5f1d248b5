import Inference
import LocalFiles
import Provenance
import Screening

/// A model as it lies on disk: a folder with `manifest.json` and the network's file.
package struct ModelFolder: Sendable {
  package static let manifestName = "manifest.json"
  /// Larger networks than this are not for this class of machine.
  package static let maximumModelBytes = 16 << 20

  package let path: String
  package let manifest: ModelManifest
  package let modelFile: [UInt8]
  /// What the manifest's `subspaces.bases` names.
  private let bases: NumPyArray?

  /// Reads the folder and checks that the network is the one that its manifest describes.
  package init(path: String, digests: some MessageDigests) throws(ModelFolderError) {
    self.path = path
    let manifestPath = path + "/" + Self.manifestName
    do {
      manifest = try ModelManifest(
        json: BoundedFile.read(manifestPath, maximumBytes: ModelManifest.sizeLimitBytes))
      modelFile = try BoundedFile.read(path + "/" + manifest.model.path, maximumBytes: Self.maximumModelBytes)
    } catch let error as FileError {
      throw ModelFolderError(path: error.path, reason: error.reason)
    } catch {
      throw ModelFolderError(path: manifestPath, reason: "\(error)")
    }
    try Self.compare(modelFile, with: manifest.model, in: path, digests)
    bases = try Self.bases(of: manifest, in: path, digests)
  }

  private static func bases(
    of manifest: ModelManifest, in path: String, _ digests: some MessageDigests
  ) throws(ModelFolderError) -> NumPyArray? {
    guard let file = manifest.subspaces?.bases else { return nil }
    let basesPath = path + "/" + file.path
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try BoundedFile.read(basesPath, maximumBytes: maximumModelBytes)
    } catch {
      throw ModelFolderError(path: error.path, reason: error.reason)
    }
    try compare(bytes, with: file, in: path, digests)
    do throws(NumPyArray.FormatError) {
      return try NumPyArray(file: bytes)
    } catch {
      throw ModelFolderError(path: basesPath, reason: "\(error)")
    }
  }

  private static func compare(
    _ bytes: [UInt8], with file: ModelManifest.File, in path: String, _ digests: some MessageDigests
  ) throws(ModelFolderError) {
    let sum = Hexadecimal.text(of: digests.sha256(bytes))
    guard sum == file.sha256 else {
      throw ModelFolderError(
        path: path + "/" + file.path,
        reason: "is not the file of its manifest (SHA-256 \(sum.prefix(12))..., expected "
          + "\(file.sha256.prefix(12))...); install the model again")
    }
  }

  /// The network of a screening model, ready to run.
  package func screeningNetwork() throws(ModelFolderError) -> ScreeningNetwork {
    do throws(ScreeningError) {
      return try ScreeningNetwork(manifest: manifest, modelFile: modelFile, bases: bases)
    } catch {
      throw ModelFolderError(path: path + "/" + manifest.model.path, reason: "\(error)")
    }
  }

  /// The network of a quality model, ready to run.
  package func qualityNetwork() throws(ModelFolderError) -> QualityNetwork {
    do throws(ScreeningError) {
      return try QualityNetwork(manifest: manifest, modelFile: modelFile)
    } catch {
      throw ModelFolderError(path: path + "/" + manifest.model.path, reason: "\(error)")
    }
  }
}

/// Why a model cannot be used, with the file at fault.
package struct ModelFolderError: Error, Sendable, Equatable, CustomStringConvertible {
  package var path: String
  package var reason: String
  package var description: String { "\(path): \(reason)" }
}
