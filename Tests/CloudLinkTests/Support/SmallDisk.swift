import Foundation
import TestSupport

/// A tmpfs of a few megabytes of the test's own, and somebody else on it who takes its room.
final class SmallDisk {
  let mount: URL

  init(megabytes: Int) throws {
    mount = FileManager.default.temporaryDirectory.appending(path: "small-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
    try run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "fault-test", mount.path)
  }

  deinit {
    try? run("umount", "-l", mount.path)
    try? FileManager.default.removeItem(at: mount)
  }

  static let isPossible: Bool = geteuid() == 0 && (try? SmallDisk(megabytes: 1)) != nil
}
