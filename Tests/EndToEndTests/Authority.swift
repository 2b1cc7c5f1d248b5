import Foundation
import Testing

/// A certificate authority of one test; its keys are made now and end with the workspace.
struct Authority {
  private let folder: String

  init(in workspace: Workspace) async throws {
    folder = workspace.folder + "/authority"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try await openssl(
      ["req", "-x509"] + newKey("ca") + ["-out", certificate("ca"), "-subj", "/CN=ca", "-days", "300"])
  }

  func certificate(_ name: String) -> String { "\(folder)/\(name).pem" }
  func key(_ name: String) -> String { "\(folder)/\(name).key" }

  private func newKey(_ name: String) -> [String] {
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key(name)]
  }

  /// A certificate with this CN, good for 127.0.0.1 and localhost.
  ///
  /// - Parameter days: from now; a negative number makes one that has ended.
  func issue(_ name: String, days: Int = 200) async throws {
    let request = "\(folder)/\(name).csr"
    try await openssl(
      ["req", "-new"] + newKey(name) + [
        "-out", request, "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
      ])
    try await openssl([
      "x509", "-req", "-in", request, "-CA", certificate("ca"), "-CAkey", key("ca"), "-CAcreateserial",
      "-copy_extensions", "copy", "-days", "\(days)", "-out", certificate(name),
    ])
  }

  private func openssl(_ arguments: [String]) async throws {
    let result = try await Program.run(arguments, executable: "/usr/bin/openssl", in: folder)
    try #require(result.status == 0, "\(result.errors)")
  }
}
