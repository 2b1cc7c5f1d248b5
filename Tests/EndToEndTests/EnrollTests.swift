import Foundation
import Testing

/// `thermograph enroll` from the key to a connection that a broker takes, and to the end of the device.
@Suite(.serialized) struct EnrollTests {
  private func openssl(_ workspace: Workspace, _ arguments: String...) async throws {
    let result = try await Program.run(arguments, executable: "/usr/bin/openssl", in: workspace.folder)
    try #require(result.status == 0, "\(result.errors)")
  }

  @Test func aDeviceIsEnrolledOverAStickAndErasedAtItsEnd() async throws {
    let workspace = try Workspace()
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    let path = try workspace.configure(port: 1883, captures: 0)
    let key = workspace.folder + "/state/keys/device.key"
    let request = try await Program.run(["enroll", "--config", path, "--request", stick], in: workspace.folder)
    #expect(request.status == 0 && request.output.contains("\(key): a new key"), "\(request.errors)")
    let made = try Data(contentsOf: URL(filePath: key))
    let again = try await Program.run(["enroll", "--config", path, "--request", stick], in: workspace.folder)
    #expect(again.status == 0 && again.output.contains("the key that was there"))
    #expect(try Data(contentsOf: URL(filePath: key)) == made)

    try await openssl(
      workspace, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
      workspace.folder + "/ca.key", "-out", stick + "/ca.pem", "-subj", "/CN=test authority", "-days", "30")
    // Nothing there yet, then another device's, then ours.
    let none = try await Program.run(["enroll", "--config", path, "--install", stick], in: workspace.folder)
    #expect(none.status == 1 && none.errors.contains("certificate.pem"), "\(none.errors)")
    try await openssl(
      workspace, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
      workspace.folder + "/foreign.key", "-out", stick + "/certificate.pem", "-subj", "/CN=another", "-days", "30")
    let wrong = try await Program.run(["enroll", "--config", path, "--install", stick], in: workspace.folder)
    #expect(wrong.status == 1)
    #expect(wrong.errors.contains("it is not for this device's key"), "\(wrong.errors)")
    #expect(wrong.errors.contains("expected the device's id 'test-device'"), "\(wrong.errors)")
    #expect(wrong.errors.contains("no chain leads to the authority"), "\(wrong.errors)")
    #expect(!FileManager.default.fileExists(atPath: workspace.folder + "/device.pem"))
    try await openssl(
      workspace, "x509", "-req", "-in", stick + "/request.csr", "-CA", stick + "/ca.pem", "-CAkey",
      workspace.folder + "/ca.key", "-CAcreateserial", "-days", "20", "-out", stick + "/certificate.pem")
    // The receivers' keys come with it, or nothing does.
    let receivers = try await Program.run(
      ["receive", "--make-key", workspace.folder + "/receiver.key"], in: workspace.folder)
    try "no key\n".write(toFile: stick + "/receivers.pem", atomically: true, encoding: .utf8)
    let keyless = try await Program.run(["enroll", "--config", path, "--install", stick], in: workspace.folder)
    #expect(keyless.status == 1 && keyless.errors.contains("receivers.pem is not installed"), "\(keyless.errors)")
    #expect(!FileManager.default.fileExists(atPath: workspace.folder + "/device.pem"))
    try receivers.output.write(toFile: stick + "/receivers.pem", atomically: true, encoding: .utf8)
    let install = try await Program.run(["enroll", "--config", path, "--install", stick], in: workspace.folder)
    #expect(install.status == 0, "\(install.errors)")
    #expect(
      try String(contentsOfFile: workspace.folder + "/receivers.pem", encoding: .utf8) == receivers.output)
    let digest = try #require(receivers.errors.split(separator: " ").last).trimmingCharacters(
      in: .whitespacesAndNewlines)
    #expect(digest.count == 64 && install.errors.contains("a receiver's key, SHA-256 \(digest)"), "\(install.errors)")
    #expect(install.errors.contains("add to [delivery]: receiver_keys_file = "), "\(install.errors)")
    #expect(install.errors.contains("add to [broker]: key_file = "), "\(install.errors)")
    #expect(FileManager.default.fileExists(atPath: workspace.folder + "/device.pem"))

    // The end: not without the id, and then everything.
    try workspace.configure(
      port: 1883, captures: 0,
      more: [
        "broker": """
        host = "127.0.0.1"
        ca_file = "\(workspace.folder)/ca.pem"
        certificate_file = "\(workspace.folder)/device.pem"
        key_file = "\(key)"
        """
      ])
    let unsure = try await Program.run(
      ["enroll", "--config", path, "--decommission", "--confirm", "other"], in: workspace.folder)
    #expect(unsure.status == 1 && unsure.errors.contains("nothing is erased"))
    #expect(FileManager.default.fileExists(atPath: key))
    let end = try await Program.run(
      ["enroll", "--config", path, "--decommission", "--confirm", "test-device"], in: workspace.folder)
    #expect(end.status == 0, "\(end.errors)")
    for gone in ["/state/keys/device.key", "/state/keys/outbox.key", "/state/keys/site.key", "/device.pem"] {
      #expect(!FileManager.default.fileExists(atPath: workspace.folder + gone), "\(gone)")
    }
  }

  @Test func aRunningDeviceIsNotDecommissioned() async throws {
    let workspace = try Workspace()
    let path = try workspace.configure(port: 1883, captures: 0)
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    try await untilAsync("it answers") {
      try await Program.run(["status", "--config", path], in: workspace.folder).status == 0
    }
    let refused = try await Program.run(
      ["enroll", "--config", path, "--decommission", "--confirm", "test-device"], in: workspace.folder)
    #expect(refused.status == 1 && refused.errors.contains("the service is running"), "\(refused.errors)")
    #expect(FileManager.default.fileExists(atPath: workspace.folder + "/state/keys/outbox.key"))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }
}
