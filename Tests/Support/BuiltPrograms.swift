import Foundation

/// A program of this build: it lies beside the test bundle, which `swift test` passes to a helper of the toolchain.
package func builtProgram(_ name: String) -> URL {
  let bundle = CommandLine.arguments.first { $0.contains(".xctest") } ?? "/proc/self/exe"
  return URL(filePath: bundle).resolvingSymlinksInPath().deletingLastPathComponent().appending(path: name)
}
