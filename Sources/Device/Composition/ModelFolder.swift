import LocalFiles
import Provenance
import Remote
import Screening

/// The files of a model: of a folder, or of a unit, which holds them all in one file.
package struct ModelFiles: Sendable {
  package let path: String
  /// nil: a folder.
  private let unit: ModelUnitFile?

  /// - Parameter path: of a folder with `manifest.json`, or of a unit.
  package init(path: String) throws(ModelFolderError) {
    let bytes: [UInt8]?
    do throws(FileError) {
      bytes =
        try BoundedFile.status(path)?.kind == .file
        ? try BoundedFile.read(path, maximumBytes: UpdateRules.unitBytesMaximum) : nil
    } catch {
      throw ModelFolderError(path: error.path, reason: error.reason)
    }
    self.path = path
    if let bytes { unit = try Self.unit(bytes, path) } else { unit = nil }
  }

  /// - Parameter path: for errors.
  package init(unit bytes: [UInt8], path: String) throws(ModelFolderError) {
    self.path = path
    unit = try Self.unit(bytes, path)
  }

  private static func unit(_ bytes: [UInt8], _ path: String) throws(ModelFolderError) -> ModelUnitFile {
    do throws(ModelUnitError) { return try ModelUnitFile(archive: bytes) } catch {
      throw ModelFolderError(path: path, reason: "\(error)")
    }
  }

  /// A file of the model, at most `maximumBytes`.
  package func read(_ name: String, _ maximumBytes: Int) throws(ModelFolderError) -> [UInt8] {
    guard let unit else {
      do throws(FileError) { return try BoundedFile.read("\(path)/\(name)", maximumBytes: maximumBytes) } catch {
        throw ModelFolderError(path: error.path, reason: error.reason)
      }
    }
    guard let bytes = unit.files[name], bytes.count <= maximumBytes else {
      throw ModelFolderError(path: "\(path) (\(name))", reason: "is missing, or larger than \(maximumBytes) bytes")
    }
    return bytes
  }
}

/// A model as it lies on disk: a folder with `manifest.json` and the network's file, or a unit.
package struct ModelFolder: Sendable {
  package static let manifestName = "manifest.json"
  /// Larger networks than this are not for this class of machine.
  package static let maximumModelBytes = 16 << 20

  package let path: String
  package let manifest: ModelManifest
  package let modelFile: [UInt8]
  /// The bases of a subspace classifier, where the manifest names them.
  package let bases: [UInt8]?
  /// SHA-256 of the manifest, which names every other file by its hash: what records call `unit_sha256`.
  package let unitSHA256: String

  /// Reads the folder, or the unit, and checks that the network is the one that its manifest describes.
  package init(path: String, digests: some MessageDigests) throws(ModelFolderError) {
    try self.init(try ModelFiles(path: path), digests: digests)
  }

  package init(_ files: ModelFiles, digests: some MessageDigests) throws(ModelFolderError) {
    path = files.path
    let json = try files.read(Self.manifestName, ModelManifest.sizeLimitBytes)
    do throws(ModelManifestError) { manifest = try ModelManifest(json: json) } catch {
      throw ModelFolderError(path: files.path + "/" + Self.manifestName, reason: "\(error)")
    }
    unitSHA256 = Hexadecimal.text(of: digests.sha256(json))
    modelFile = try Self.read(manifest.model, in: files, digests: digests)
    if let subspaces = manifest.subspaces {
      bases = try Self.read(subspaces.bases, in: files, digests: digests)
    } else {
      bases = nil
    }
  }

  /// A file of the folder, the one that the manifest describes.
  private static func read(
    _ file: ModelManifest.File, in files: ModelFiles, digests: some MessageDigests
  ) throws(ModelFolderError) -> [UInt8] {
    let path = files.path + "/" + file.path
    let bytes = try files.read(file.path, maximumModelBytes)
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
      return try ScreeningNetwork(manifest: manifest, modelFile: modelFile, bases: bases, unitSHA256: unitSHA256)
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
      return try QualityNetwork(manifest: manifest, modelFile: modelFile, unitSHA256: unitSHA256)
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
