import Foundation

/// A command that did not succeed, with its words.
package struct CommandFault: Error, CustomStringConvertible {
  package let description: String
}

/// Runs a command and throws with its words when it fails.
package func run(_ command: String, _ arguments: String...) throws { try run(command, arguments) }

package func run(_ command: String, _ arguments: [String]) throws {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = [command] + arguments
  let report = FileManager.default.temporaryDirectory.appending(path: "run-\(UUID().uuidString).txt")
  try Data().write(to: report)
  defer { try? FileManager.default.removeItem(at: report) }
  let handle = try FileHandle(forWritingTo: report)
  process.standardOutput = handle
  process.standardError = handle
  process.standardInput = FileHandle.nullDevice
  try process.run()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    let words = try String(contentsOf: report, encoding: .utf8)
    throw CommandFault(description: "\(command) \(arguments.joined(separator: " ")): \(words)")
  }
}

/// An ext4 file system in a file, whose power can be cut: the shutdown ioctl throws away what was not synced.
package final class LoopDisk {
  package let mount: URL
  private let folder: URL

  package init(megabytes: Int = 256) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "disk-\(UUID().uuidString)")
    mount = folder.appending(path: "mount")
    try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
    try run("truncate", "-s", "\(megabytes)M", image)
    try run("mkfs.ext4", "-q", "-F", image)
    try attach()
  }

  deinit {
    try? run("umount", "-l", mount.path)
    try? FileManager.default.removeItem(at: folder)
  }

  private var image: String { folder.appending(path: "image").path }

  package func attach() throws { try run("mount", "-o", "loop", image, mount.path) }

  /// Unmounts; who still has files open must have ended.
  package func detach() throws { try run("umount", mount.path) }

  /// As if the power had gone: no write reaches the disk any more, the journal included (EXT4_IOC_SHUTDOWN without a
  /// flush). Every later call gives EIO.
  package func cutPower() throws {
    try run(
      "python3", "-c",
      "import fcntl, os, struct, sys; "
        + "fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))", mount.path)
  }

  /// As ext4 does it after an error: read-only at once, under open files too.
  package func turnReadOnly() throws { try run("mount", "-o", "remount,abort", mount.path) }

  /// What the system does before it mounts a file system with an error again.
  package func check() throws {
    // 1: errors were corrected.
    try run("sh", "-c", "e2fsck -p \"$1\" || [ $? -eq 1 ]", "sh", image)
  }

  package static let isPossible: Bool = {
    guard geteuid() == 0, let probe = try? LoopDisk(megabytes: 16) else { return false }
    return (try? probe.cutPower()) != nil
  }()
}
