import CloudLink
import Foundation
import TestSupport

/// A certificate authority that lives as long as one test. Its keys are made by the openssl command, now.
final class TestAuthority: Sendable {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "authority-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try makeAuthority("ca")
  }

  deinit {
    try? FileManager.default.removeItem(at: directory)
  }

  func path(_ name: String) -> String { directory.appending(path: name).path }

  /// `{name}.pem` and `{name}.key` of a self-signed authority.
  func makeAuthority(_ name: String) throws {
    try openssl(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path("\(name).key"),
      "-out", path("\(name).pem"), "-subj", "/CN=test authority \(name)", "-days", "30")
  }

  /// A certificate for the names in `alternativeNames` (e.g. `DNS:localhost`), valid for `days` from now; with a
  /// negative number it has ended.
  @discardableResult
  func issue(
    _ name: String, _ alternativeNames: String = "DNS:localhost,IP:127.0.0.1", days: Int = 20,
    by authority: String = "ca"
  ) throws -> ClientIdentity {
    try openssl(
      "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path("\(name).key"),
      "-out", path("\(name).csr"), "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(alternativeNames)")
    try openssl(
      "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).pem"), "-CAkey", path("\(authority).key"),
      "-CAcreateserial", "-copy_extensions", "copy", "-days", "\(days)", "-out", path("\(name).pem"))
    return ClientIdentity(certificate: path("\(name).pem"), key: path("\(name).key"))
  }

  /// Puts one identity in the place of another, file by file and each in one step, as a technician does.
  func replace(_ old: ClientIdentity, by new: ClientIdentity) throws {
    for (from, to) in [(new.key, old.key), (new.certificate, old.certificate)] {
      guard rename(from, to) == 0 else { throw TestFault(description: "rename \(to): \(errno)") }
    }
  }

  func openssl(_ arguments: String...) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/openssl")
    process.arguments = arguments
    // Into a file: a pipe's end would be inherited by a broker that starts at the same moment, and never close.
    let report = directory.appending(path: "openssl-\(UUID().uuidString).txt")
    guard FileManager.default.createFile(atPath: report.path, contents: nil) else {
      throw TestFault(description: "\(report.path): cannot be made")
    }
    process.standardError = try FileHandle(forWritingTo: report)
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    let text = try String(contentsOf: report, encoding: .utf8)
    guard process.terminationStatus == 0 else {
      throw TestFault(description: "openssl \(arguments.joined(separator: " ")): \(text)")
    }
  }

  /// A mosquitto that asks for certificates of this authority and shows `server`'s.
  func broker(
    _ server: ClientIdentity, requireCertificate: Bool = true, extra: [String] = [], logsEverything: Bool = true
  ) throws -> MosquittoBroker {
    try MosquittoBroker(
      extra: [
        "allow_anonymous true", "cafile \(path("ca.pem"))", "certfile \(server.certificate)", "keyfile \(server.key)",
        "require_certificate \(requireCertificate)",
      ] + extra, logsEverything: logsEverything)
  }

  /// Settings for a connection by the name `localhost`.
  func settings(_ port: UInt16, _ identity: ClientIdentity?, serverName: String? = nil) -> LinkSettings {
    LinkSettings(
      host: "localhost", port: port,
      security: .tls(TLSFiles(authority: path("ca.pem"), identity: identity, serverName: serverName)),
      clientIdentifier: "unit-1")
  }
}

/// An `openssl s_server` of the test's own.
final class OpenSSLServer {
  let port: UInt16
  private let process = Process()

  init(_ arguments: [String]) async throws {
    port = try FreePort.take()
    process.executableURL = URL(filePath: "/usr/bin/openssl")
    process.arguments = ["s_server", "-accept", "127.0.0.1:\(port)", "-quiet"] + arguments
    process.standardInput = Pipe()
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    try await eventually("s_server listens") { FreePort.answers(self.port) }
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
