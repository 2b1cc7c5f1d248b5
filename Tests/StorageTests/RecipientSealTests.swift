import Foundation
import Storage
import TestSupport
import Testing

/// What is sealed for a recipient is opened by the openssl command, which knows nothing of this program.
@Suite struct RecipientSealTests {
  private func openssl(_ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  private func makeIdentity(_ scratch: ScratchFolder, _ name: String, _ kind: [String]) throws -> [UInt8] {
    let status = try openssl(
      ["req", "-x509", "-newkey"] + kind + [
        "-nodes", "-keyout", scratch.file(name + ".key"), "-out", scratch.file(name + ".pem"), "-subj", "/CN=\(name)",
        "-days", "2",
      ])
    #expect(status == 0)
    return [UInt8](try Data(contentsOf: URL(fileURLWithPath: scratch.file(name + ".pem"))))
  }

  private func open(_ scratch: ScratchFolder, _ sealed: [UInt8], by name: String) throws -> [UInt8]? {
    try Data(sealed).write(to: URL(fileURLWithPath: scratch.file("sealed")))
    let status = try openssl([
      "cms", "-decrypt", "-binary", "-inform", "DER", "-in", scratch.file("sealed"), "-recip",
      scratch.file(name + ".pem"), "-inkey", scratch.file(name + ".key"), "-out", scratch.file("opened"),
    ])
    guard status == 0 else { return nil }
    return [UInt8](try Data(contentsOf: URL(fileURLWithPath: scratch.file("opened"))))
  }

  @Test(arguments: [["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], ["rsa:2048"]])
  func onlyTheRecipientOpensIt(kind: [String]) throws {
    let scratch = try ScratchFolder(inMemory: true)
    let seal = try #require(RecipientSeal(certificate: try makeIdentity(scratch, "clinic", kind)))
    _ = try makeIdentity(scratch, "stranger", kind)
    let plain = noise(70_000, seed: 3)
    let sealed = try seal.seal(plain)
    #expect(try open(scratch, sealed, by: "clinic") == plain)
    #expect(try open(scratch, sealed, by: "stranger") == nil)
    // Twice the same is never the same twice.
    #expect(try seal.seal(plain) != sealed)
    var changed = sealed
    changed[sealed.count / 2] ^= 1
    #expect(try open(scratch, changed, by: "clinic") == nil, "a changed byte was not noticed")
    for length in [0, 1, 64, sealed.count / 2, sealed.count - 1] {
      #expect(try open(scratch, Array(sealed[..<length]), by: "clinic") == nil, "cut to \(length) bytes")
    }
    #expect(try open(scratch, try seal.seal([]), by: "clinic") == [])
  }

  @Test func whatHoldsNoCertificateIsRefused() {
    #expect(RecipientSeal(certificate: []) == nil)
    #expect(RecipientSeal(certificate: Array("-----BEGIN PUBLIC KEY-----\n".utf8)) == nil)
  }
}
