import Foundation
import LocalFiles
import Testing

@Suite struct BoundedFileTests {
  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "thermograph-files-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test func aFileIsReplacedAsAWholeAndReadBack() throws {
    try inFolder { folder in
      let path = folder + "/file"
      let first = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
      try BoundedFile.replace(path, with: first, mode: 0o600)
      #expect(try BoundedFile.read(path, maximumBytes: 100_000) == first)
      try BoundedFile.replace(path, with: [])
      #expect(try BoundedFile.read(path, maximumBytes: 0) == [])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
    }
  }

  @Test func tooLargeAbsentAndForeignFilesAreNamed() throws {
    try inFolder { folder in
      let path = folder + "/file"
      try BoundedFile.replace(path, with: [1, 2, 3])
      let tooLarge = #expect(throws: FileError.self) { try BoundedFile.read(path, maximumBytes: 2) }
      #expect(tooLarge?.description == "\(path): has 3 bytes; expected at most 2")
      let absent = #expect(throws: FileError.self) { try BoundedFile.read(path + "x", maximumBytes: 2) }
      #expect(absent?.description == "\(path)x: file not found (open); check the path")
      let folderError = #expect(throws: FileError.self) { try BoundedFile.read(folder, maximumBytes: 2) }
      #expect(folderError?.description == "\(folder): is not a regular file; expected one")
      #expect(throws: FileError.self) { try BoundedFile.replace(folder + "/absent/file", with: []) }
    }
  }
}
