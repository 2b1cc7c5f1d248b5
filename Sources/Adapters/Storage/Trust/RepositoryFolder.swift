import LocalFiles
import Trust

/// A repository as plain files in a folder, of a stick for instance: `metadata/` and `targets/` as python-tuf's client
/// expects them of a web server.
///
/// Whoever had the stick may have prepared it to harm: no link in it is followed, and nothing but a file that holds still
/// while it is read is taken.
package final class RepositoryFolder: MetadataSource {
  private static let mostLevels = 4

  private let path: String

  /// - Throws: when the folder has no `metadata`.
  package init(_ path: String) throws(MetadataFault) {
    self.path = path
    do throws(FileError) {
      guard try OpenFolder(withoutLinks: path).status(of: "metadata")?.kind == .folder else {
        throw FileError(path: path, reason: "has no folder 'metadata'; expected what Scripts/repository publishes")
      }
    } catch { throw .unavailable("\(error)") }
  }

  package func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    try content(of: [name], in: "metadata", maximumBytes: maximumBytes)
  }

  package func fetchTarget(_ path: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    let levels = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    return try content(of: levels, in: "targets", maximumBytes: maximumBytes)
  }

  private func content(
    of levels: [String], in folder: String, maximumBytes: Int
  ) throws(MetadataFault) -> [UInt8]? {
    guard levels.count <= Self.mostLevels, levels.allSatisfy(OpenFolder.isName), let name = levels.last else {
      throw .malformed("\(levels.joined(separator: "/").prefix(200)): no name within the folder")
    }
    do throws(FileError) {
      let place = ([path, folder] + levels.dropLast()).joined(separator: "/")
      return try OpenFolder(withoutLinks: place).readIfThere(name, maximumBytes: maximumBytes)
    } catch {
      if error.isMissing { return nil }
      throw .unavailable("\(error)")
    }
  }
}
