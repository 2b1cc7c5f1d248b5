import Configuration
import Provenance
import Remote
import Storage
import Trust

/// The vendor's repository in a folder, verified down from the vendor's root, which the package brings.
package struct VendorRepository {
  private let trusted: TrustedRepository
  private let source: RepositoryFolder

  /// Takes everything newer of the folder's metadata, all of it or nothing.
  package init(_ settings: Settings, folder: String, time: any TimeSource) throws(MetadataFault) {
    source = try RepositoryFolder(folder)
    trusted = try RepositoryTrust(.vendor, settings, time: time).update(from: source).repository
  }

  /// The units that it names and has.
  package var units: UpdateImporter.Repository {
    UpdateImporter.Repository(
      targets: { trusted.metadata.targetNames.compactMap { UnitTarget(path: $0.string) } },
      bytes: { target in
        try trusted.target(ExactText(target.path), maximumBytes: UpdateRules.unitBytesMaximum, from: source)
      })
  }
}
