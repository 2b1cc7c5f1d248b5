import Enrolment
import Foundation
import LocalFiles
import TestSupport
import Testing

/// The device's side against the openssl command as the authority's side.
@Suite struct EnrolmentTests {
  private final class Folder {
    private let scratch: ScratchFolder

    init() throws { scratch = try ScratchFolder() }

    var path: String { scratch.path }

    func file(_ name: String) -> String { scratch.file(name) }

    @discardableResult
    func openssl(_ arguments: String...) throws -> String {
      let process = Process()
      let output = path + "/openssl-\(UUID().uuidString).txt"
      try Data().write(to: URL(filePath: output))
      process.executableURL = URL(filePath: "/usr/bin/openssl")
      process.arguments = arguments
      process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
      process.standardError = process.standardOutput
      try process.run()
      process.waitUntilExit()
      let text = try String(contentsOfFile: output, encoding: .utf8)
      try #require(process.terminationStatus == 0, "openssl \(arguments): \(text)")
      return text
    }

    func makeAuthority(_ name: String) throws {
      try openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        file("\(name).key"),
        "-out", file("\(name).pem"), "-subj", "/CN=authority \(name)", "-days", "30")
    }

    /// Signs `request.csr`.
    func sign(by authority: String = "ca", days: Int = 20, as name: String = "certificate.pem") throws {
      try openssl(
        "x509", "-req", "-in", file("request.csr"), "-CA", file("\(authority).pem"), "-CAkey", file("\(authority).key"),
        "-CAcreateserial", "-days", "\(days)", "-out", file(name))
    }

    func bytes(_ name: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(filePath: file(name)))) }
  }

  /// A key, its request for `device-1`, signed by `ca`.
  private func enrolled() throws -> Folder {
    let folder = try Folder()
    try DeviceKey.create(at: folder.file("device.key"))
    let request = try DeviceKey.request(keyAt: folder.file("device.key"), commonName: "device-1")
    try EnrolmentFolder(path: folder.path).write(
      request: request, auditKey: Array("a key".utf8), device: "device-1", site: "site-1")
    try folder.makeAuthority("ca")
    try folder.sign()
    return folder
  }

  private func examine(_ folder: Folder, authority: String? = "ca.pem", name: String = "certificate.pem") throws
    -> DeviceCertificate
  {
    try DeviceCertificate(
      pem: folder.bytes(name), keyPath: folder.file("device.key"), authority: authority.map { try folder.bytes($0) })
  }

  private var now: Int64 { Int64(Date().timeIntervalSince1970) }

  @Test func theKeyIsPrivateNewEachTimeAndNeverReplaced() throws {
    let folder = try Folder()
    let path = folder.file("device.key")
    try DeviceKey.create(at: path)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    let first = try folder.bytes("device.key")
    #expect(try folder.openssl("pkey", "-in", path, "-noout", "-text").contains("prime256v1"))
    do {
      try DeviceKey.create(at: path)
      Issue.record("expected an error")
    } catch {
      #expect("\(error)" == "\(path): is there already and is never replaced")
    }
    #expect(try folder.bytes("device.key") == first)
    try DeviceKey.create(at: folder.file("other.key"))
    #expect(try folder.bytes("other.key") != first)
  }

  @Test func theRequestIsSignedAndCarriesTheDevicesId() throws {
    let folder = try enrolled()
    let text = try folder.openssl("req", "-in", folder.file("request.csr"), "-verify", "-noout", "-text")
    #expect(text.contains("OK") && text.contains("Subject: CN = device-1"), "\(text)")
    // The cloud's payload holds the same request.
    let object = try JSONSerialization.jsonObject(with: Data(folder.bytes("provisioning.json"))) as? [String: Any]
    let claim = try #require(object?["create_certificate_from_csr"] as? [String: String])
    #expect(try Array(claim["certificateSigningRequest", default: ""].utf8) == folder.bytes("request.csr"))
    let thing = try #require((object?["register_thing"] as? [String: Any])?["parameters"] as? [String: String])
    #expect(thing == ["SerialNumber": "device-1", "Site": "site-1"])
    // The private key is in neither.
    for name in ["request.csr", "provisioning.json"] {
      #expect(!String(decoding: try folder.bytes(name), as: UTF8.self).contains("PRIVATE"))
    }
  }

  @Test func aCertificateThatFitsHasNoFault() throws {
    let certificate = try examine(enrolled())
    #expect(certificate.faults(device: "device-1", nowSeconds: now).isEmpty)
    #expect(certificate.commonName == "device-1" && certificate.fitsKey)
    #expect((certificate.notAfterSeconds - now) / 86_400 >= 19)
  }

  @Test func everyMisfitIsNamed() throws {
    let folder = try enrolled()
    try folder.makeAuthority("other")
    let stranger = try examine(folder, authority: "other.pem")
    #expect(stranger.faults(device: "device-1", nowSeconds: now).count == 1)
    #expect(stranger.faults(device: "device-1", nowSeconds: now)[0].contains("no chain leads to the authority"))
    // Nobody to ask: not judged.
    #expect(try examine(folder, authority: nil).faults(device: "device-1", nowSeconds: now).isEmpty)
    let fit = try examine(folder)
    #expect(fit.faults(device: "device-2", nowSeconds: now).map { $0.contains("'device-1'") } == [true])
    #expect(fit.faults(device: "device-1", nowSeconds: now + 86_400 * 40) == ["it has expired"])
    #expect(fit.faults(device: "device-1", nowSeconds: now - 86_400 * 40) == ["it is not valid yet"])
    // A wrong clock is not the certificate's fault.
    #expect(fit.faults(device: "device-1", nowSeconds: nil).isEmpty)
    try FileManager.default.removeItem(atPath: folder.file("device.key"))
    try DeviceKey.create(at: folder.file("device.key"))
    let foreign = try examine(folder)
    #expect(!foreign.fitsKey)
    #expect(foreign.faults(device: "device-1", nowSeconds: now).count == 1)
  }

  @Test func anIntermediateAuthorityMayStandBehindTheCertificate() throws {
    let folder = try Folder()
    try folder.makeAuthority("ca")
    try DeviceKey.create(at: folder.file("device.key"))
    try "basicConstraints=critical,CA:TRUE\n".write(
      toFile: folder.file("extensions"), atomically: true, encoding: .utf8)
    try folder.openssl(
      "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
      folder.file("between.key"), "-out", folder.file("between.csr"), "-subj", "/CN=between")
    try folder.openssl(
      "x509", "-req", "-in", folder.file("between.csr"), "-CA", folder.file("ca.pem"), "-CAkey", folder.file("ca.key"),
      "-CAcreateserial", "-extfile", folder.file("extensions"), "-days", "20", "-out", folder.file("between.pem"))
    let request = try DeviceKey.request(keyAt: folder.file("device.key"), commonName: "device-1")
    try Data(request).write(to: URL(filePath: folder.file("request.csr")))
    try folder.sign(by: "between")
    #expect(try examine(folder).chainFault != nil)
    try Data(folder.bytes("certificate.pem") + folder.bytes("between.pem")).write(
      to: URL(filePath: folder.file("chain.pem")))
    #expect(try examine(folder, name: "chain.pem").faults(device: "device-1", nowSeconds: now).isEmpty)
  }

  @Test(arguments: ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
  func whatIsNoCertificateIsRefused(text: String) throws {
    let folder = try Folder()
    try DeviceKey.create(at: folder.file("device.key"))
    #expect(throws: EnrolmentError.self) {
      try DeviceCertificate(pem: Array(text.utf8), keyPath: folder.file("device.key"), authority: nil)
    }
    try "no key".write(toFile: folder.file("no.key"), atomically: true, encoding: .utf8)
    #expect(throws: EnrolmentError.self) { try DeviceKey.request(keyAt: folder.file("no.key"), commonName: "d") }
  }

  @Test func anErasedFileIsOverwrittenThenGone() throws {
    let folder = try Folder()
    let path = folder.file("secret")
    let secret = Data(repeating: 0x5A, count: 100_000)
    try secret.write(to: URL(filePath: path))
    // A second name shows what became of the blocks.
    try FileManager.default.linkItem(atPath: path, toPath: folder.file("second-name"))
    #expect(try BoundedFile.erase(path))
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(try !folder.bytes("second-name").contains(0x5A))
    #expect(try !BoundedFile.erase(path))
    // A link leads nobody astray.
    try Data("kept".utf8).write(to: URL(filePath: folder.file("kept")))
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder.file("kept"))
    #expect(throws: FileError.self) { try BoundedFile.erase(path) }
    #expect(try folder.bytes("kept") == Array("kept".utf8))
  }
}
