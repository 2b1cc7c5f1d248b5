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
  /// The bases of a subspace classifier, where the manifest names them.
  package let bases: [UInt8]?

  /// Reads the folder and checks that the network is the one that its manifest describes.
  package init(path: String, digests: some MessageDigests) throws(ModelFolderError) {
    self.path = path
    let manifestPath = path + "/" + Self.manifestName
    do {
      manifest = try ModelManifest(
        json: BoundedFile.read(manifestPath, maximumBytes: ModelManifest.sizeLimitBytes))
    } catch let error as FileError {
      throw ModelFolderError(path: error.path, reason: error.reason)
    } catch {
      throw ModelFolderError(path: manifestPath, reason: "\(error)")
    }
    modelFile = try Self.read(manifest.model, in: path, digests: digests)
    if let subspaces = manifest.subspaces {
      bases = try Self.read(subspaces.bases, in: path, digests: digests)
    } else {
      bases = nil
    }
  }

  /// A file of the folder, the one that the manifest describes.
  private static func read(
    _ file: ModelManifest.File, in folder: String, digests: some MessageDigests
  ) throws(ModelFolderError) -> [UInt8] {
    let path = folder + "/" + file.path
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try BoundedFile.read(path, maximumBytes: maximumModelBytes)
    } catch {
      throw ModelFolderError(path: error.path, reason: error.reason)
    }
    let sum = Hexadecimal.text(of: digests.sha256(bytes))
    guard sum == file.sha256 else {
      throw ModelFolderError(
        path: path,
        reason: "is not the file of its manifest (SHA-256 \(sum.prefix(12))..., expected "
          + "\(file.sha256.prefix(12))...); install the model again")
    }
    return bytes
  }

  /// The network of a screening model, ready to run.
  package func screeningNetwork() throws(ModelFolderError) -> ScreeningNetwork {
    do throws(ScreeningError) {
      return try ScreeningNetwork(manifest: manifest, modelFile: modelFile, bases: bases)
    } catch {
      throw ModelFolderError(path: path + "/" + manifest.model.path, reason: "\(error)")
    }
  }

  /// The same for a device that captures people: a model of purpose `comparison` is there to be measured and never speaks.
  func networkForPatients() throws(ModelFolderError) -> ScreeningNetwork {
    guard manifest.purpose == .screening else {
      throw ModelFolderError(
        path: path + "/" + Self.manifestName,
        reason: "is for \(manifest.purpose.rawValue) and never gives a verdict; name a screening model")
    }
    return try screeningNetwork()
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
