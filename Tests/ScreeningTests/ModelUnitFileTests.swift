import Foundation
import Testing

@testable import Screening

/// A model as one file, against tar as the oracle and against whoever prepares a bad one.
@Suite struct ModelUnitFileTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Models/screening-fold")

  private static func files() throws -> [String: [UInt8]] {
    let json = [UInt8](try Data(contentsOf: folder.appending(path: "manifest.json")))
    var files = ["manifest.json": json]
    for file in try ModelManifest(json: json).files {
      files[file.path] = [UInt8](try Data(contentsOf: folder.appending(path: file.path)))
    }
    return files
  }

  @Test func whatIsPackedIsReadAgainAndEqualFilesAreEqualBytes() throws {
    let files = try Self.files()
    let archive = ModelUnitFile.archive(of: files)
    #expect(try ModelUnitFile(archive: archive).files == files)
    #expect(ModelUnitFile.archive(of: Dictionary(uniqueKeysWithValues: files.reversed().map { ($0, $1) })) == archive)
    #expect(archive.count % 512 == 0)
  }

  private func run(_ arguments: [String], in folder: URL? = nil, input: [UInt8] = []) throws -> [UInt8] {
    let process = Process()
    let (standardInput, output) = (Pipe(), Pipe())
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardInput = standardInput
    process.standardOutput = output
    try process.run()
    if !input.isEmpty { try standardInput.fileHandleForWriting.write(contentsOf: Data(input)) }
    try standardInput.fileHandleForWriting.close()
    let bytes = [UInt8](output.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(arguments)")
    return bytes
  }

  @Test func tarWritesWhatWeReadAndReadsWhatWeWrite() throws {
    let files = try Self.files()
    let names = files.keys.sorted()
    for format in ["ustar", "gnu"] {
      let made = try run(["tar", "--format=\(format)", "-cf", "-"] + names, in: Self.folder)
      #expect(try ModelUnitFile(archive: made).files == files, "\(format)")
    }
    let listed = String(decoding: try run(["tar", "-tf", "-"], input: ModelUnitFile.archive(of: files)), as: UTF8.self)
    #expect(listed.split(separator: "\n").map(String.init).sorted() == names)
  }

  private func refused(_ archive: [UInt8], _ part: String) {
    do throws(ModelUnitError) {
      _ = try ModelUnitFile(archive: archive)
      Issue.record("taken: \(part)")
    } catch { #expect(error.description.contains(part), "\(error)") }
  }

  @Test func nothingMayBeMissingComeAlongOrLeaveTheFolder() throws {
    let files = try Self.files()
    func with(_ change: (inout [String: [UInt8]]) -> Void) -> [UInt8] {
      var files = files
      change(&files)
      return ModelUnitFile.archive(of: files)
    }
    refused(with { $0["model.tflite"] = nil }, "model.tflite: is missing")
    refused(with { $0["golden/input.npy"]?.removeLast() }, "golden/input.npy")
    refused(with { $0["more.bin"] = [1] }, "more.bin: the manifest does not name it")
    refused(with { $0["manifest.json"] = nil }, "there is no manifest.json")
    refused(with { $0["../x"] = [1] }, "'../x'")
    refused(with { $0["/etc/x"] = [1] }, "'/etc/x'")
    refused(with { $0[".hidden"] = [1] }, "'.hidden'")
    refused([], "without an end mark")
    refused(Array("not an archive".utf8) + [UInt8](repeating: 1, count: 1024), "is no archive")
  }

  @Test func linksPipesCutsAndLengthsThatLieAreRefused() throws {
    let archive = ModelUnitFile.archive(of: try Self.files())
    func header(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
      var copy = archive
      var head = Array(copy[..<512])
      change(&head)
      for index in 148..<156 { head[index] = 32 }
      let sum = head.reduce(0) { $0 + Int($1) }
      let text = String(sum, radix: 8)
      let digits = String(repeating: "0", count: 6 - text.count) + text + "\0 "
      for (index, byte) in digits.utf8.enumerated() { head[148 + index] = byte }
      copy.replaceSubrange(..<512, with: head)
      return copy
    }
    for kind in "1234567LxgS" { refused(header { $0[156] = kind.asciiValue ?? 0 }, "is no plain file") }
    refused(header { for index in 124..<135 { $0[index] = UInt8(ascii: "7") } }, "says 8589934591 bytes")
    refused(header { $0[124] = 0x80 }, "has no size")
    refused(header { $0[345] = UInt8(ascii: "p") }, "expected a plain file name")
    var damaged = archive
    damaged[0] ^= 1
    refused(damaged, "damaged")
    for cut in stride(from: 0, to: archive.count - 512, by: 1777) {
      #expect(throws: ModelUnitError.self) { _ = try ModelUnitFile(archive: Array(archive[..<cut])) }
    }
    refused(archive + [1], "something follows")
    refused(Array(archive[..<(archive.count - 1024)]) + archive, "twice")
  }

  @Test func aThousandMutationsNeitherTrapNorHang() throws {
    let archive = ModelUnitFile.archive(of: try Self.files())
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<1000 {
      var copy = archive
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        // In the headers, where it matters.
        copy[Int.random(in: 0..<1024, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? ModelUnitFile(archive: copy)
    }
  }
}
