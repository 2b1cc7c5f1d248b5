import Foundation

/// A folder of one test. It goes, with all that is in it, with the last who holds the value.
package final class ScratchFolder: Sendable {
  package let path: String

  /// - Parameter inMemory: for tests about content, which must not wait for the fsync of a busy disk; the disk is taken
  ///   where there is no such place.
  package init(inMemory: Bool = false) throws {
    let shared = "/dev/shm/"
    let base = inMemory && FileManager.default.isWritableFile(atPath: shared) ? shared : NSTemporaryDirectory()
    path = base + "thermograph-" + UUID().uuidString.lowercased()
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  package var url: URL { URL(fileURLWithPath: path) }

  package func file(_ name: String) -> String { path + "/" + name }
}
