import Foundation
import Provenance
import Storage
import TestSupport
import Testing

@testable import Trust

/// The disk is full when newer metadata is to be kept.
@Suite(.enabled(if: geteuid() == 0, "needs root for a file system of a few kilobytes")) struct FullDiskTests {
  private func run(_ arguments: String...) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(arguments)")
  }

  @Test(arguments: SiteRepository.Door.allCases)
  func whatWasTrustedStaysAndTheNextTryTakesIt(door: SiteRepository.Door) throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: nil)
    defer { device.scratch.remove() }
    let mount = device.scratch.path + "/state"
    try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
    try run("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "trust-test", mount)
    defer { try? run("umount", "-l", mount) }
    _ = try device.store.install(root: try #require(repository.metadata.files["1.root.json"]), isReplacing: false)
    try device.take(repository, by: door)
    let before = try #require(device.kept)
    try repository.raise()
    var status = statvfs()
    #expect(statvfs(mount, &status) == 0)
    let room = Int(status.f_bavail) * Int(status.f_bsize)
    try Data(count: room).write(to: URL(filePath: mount + "/other"))
    let refusal = device.refusal(of: repository, by: door)
    #expect(refusal?.contains("free space") == true, "\(refusal ?? "taken")")
    #expect(device.kept == before)
    let names = try FileManager.default.contentsOfDirectory(atPath: mount + "/trust/site").sorted()
    #expect(names == ["lock", "trusted.json"], "nothing half written is left")
    #expect(try device.store.load()?.versionsText == "root 1, timestamp 1, snapshot 1, targets 1")
    try FileManager.default.removeItem(atPath: mount + "/other")
    #expect(try device.take(repository, by: door).versionsText == "root 1, timestamp 2, snapshot 2, targets 2")
  }
}
