import Foundation
import Glibc
import LocalFiles
import Testing

@Suite struct FolderTests {
  /// A folder of the test's own.
  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "thermograph-folders-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test func foldersAreMadeWithWhatIsMissingAboveThem() throws {
    try inFolder { (folder) throws in
      try Folder.makeAll(folder + "/a/b/c", mode: 0o700)
      try Folder.makeAll(folder + "/a/b/c", mode: 0o700)
      #expect(try BoundedFile.status(folder + "/a/b/c")?.permissions == 0o700)
      #expect(try !Folder.make(folder + "/a", mode: 0o700))
      try BoundedFile.replace(folder + "/file", with: [1])
      let error = #expect(throws: FileError.self) { try Folder.makeAll(folder + "/file", mode: 0o700) }
      #expect(error?.description == "\(folder)/file: is not a folder; expected one, or nothing")
      try Folder.removeIfEmpty(folder + "/a")
      #expect(try BoundedFile.exists(folder + "/a/b/c"))
      try Folder.removeIfEmpty(folder + "/a/b/c")
      #expect(try !BoundedFile.exists(folder + "/a/b/c"))
      try Folder.removeIfEmpty(folder + "/a/b/c")
    }
  }

  @Test func aLinkIsMadeOnceAndSaysWhereItPoints() throws {
    try inFolder { (folder) throws in
      #expect(try Folder.link(folder + "/link", to: "../there"))
      #expect(try !Folder.link(folder + "/link", to: "../elsewhere"))
      #expect(try Folder.target(ofLink: folder + "/link") == "../there")
      #expect(try !BoundedFile.exists(folder + "/link"))
      #expect(try BoundedFile.exists(folder + "/link", followingLink: false))
    }
  }

  @Test func anOpenFileIsWrittenInPlaceAndAtItsEnd() throws {
    try inFolder { (folder) throws in
      let path = folder + "/file"
      let file = try OpenFile(path, for: .writing(mode: 0o600))
      try file.allocate(8192)
      try file.write([1, 2, 3], at: 4096)
      try file.synchroniseContent()
      #expect(try file.status().byteCount == 8192 && file.status().permissions == 0o600)
      let log = try OpenFile(path, for: .appending(mode: 0o600))
      try log.write([9])
      try log.synchronise()
      let reading = try OpenFile(path)
      #expect(reading.legibleBytes(at: 4096, count: 4) == [1, 2, 3, 0])
      #expect(reading.legibleBytes(at: 8192, count: 3) == [9, 0, 0])
      #expect(reading.legibleBytes(at: 9000, count: 3) == nil)
      #expect(throws: FileError.self) { try log.allocate(-1) }
    }
  }

  @Test func aRenameOrRemovalOfWhatIsMissingIsNoError() throws {
    try inFolder { (folder) throws in
      try BoundedFile.rename(folder + "/absent", to: folder + "/other")
      try BoundedFile.remove(folder + "/absent")
      #expect(try BoundedFile.readIfThere(folder + "/absent", maximumBytes: 1) == nil)
      #expect(try !BoundedFile.erase(folder + "/absent"))
    }
  }

  @Test(arguments: [
    (ENOENT, "p: file not found (open); check the path"),
    (EACCES, "p: permission denied (open); check its owner and mode"),
    (ENOSPC, "p: no space left on the device (open); free space there"),
    (EROFS, "p: the file system is read-only (open); make it writable, or name another place"),
    (ELOOP, "p: a symbolic link is in the path (open); name the real file, links are not followed here"),
    (EMFILE, "p: too many open files (open)"),
  ])
  func anErrorNamesPathReasonCallAndRemedy(number: Int32, text: String) {
    let error = FileError(SystemCallError(call: "open", subject: "p", errorNumber: number))
    #expect(error.description == text && error.call == "open" && error.systemErrorNumber == number)
  }

  @Test func aPipeADeviceAndASocketAreRefusedWithoutWaiting() throws {
    try inFolder { (folder) throws in
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      for path in [pipe, "/dev/null", "/dev/zero", folder] {
        let error = #expect(throws: FileError.self) { try BoundedFile.read(path, maximumBytes: 10) }
        #expect(error?.description == "\(path): is not a regular file; expected one")
      }
    }
  }
}
