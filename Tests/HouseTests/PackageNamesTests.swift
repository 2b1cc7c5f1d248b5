import Foundation
import Testing

/// What the documentation says of Debian 12 and 13 against what the package is made of.
@Suite struct PackageNamesTests {
  /// `Depends:` of a program that needs these libraries, with the symbols that a shell needs.
  private func depends(_ libraries: [String]) throws -> (status: Int32, text: String) {
    let folder = NSTemporaryDirectory() + "thermograph-depends-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data(libraries.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: folder + "/needed"))
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: House.path("Scripts/debian/dependencies"))
    process.arguments = ["/bin/sh"]
    process.standardInput = FileHandle(forReadingAtPath: folder + "/needed")
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  /// Debian 13 gave these libraries other packages; either name must do. The GPIO library is another library.
  @Test func theNamesOfBothReleasesAreAlternativesWhereTheLibraryIsOne() throws {
    let (status, text) = try depends(["libc.so.6", "libssl.so.3", "libcrypto.so.3", "libpng16.so.16"])
    #expect(status == 0)
    for names in ["libssl3 | libssl3t64", "libpng16-16 | libpng16-16t64", "systemd", "libc6 (>= 2."] {
      #expect(text.contains(names), "\(text)")
    }
    #expect(try depends(["libunheard.so.1"]).status == 1, "somebody has to decide where it comes from")
  }

  /// The page names the release of each package by the GPIO library, as the names of the packages do.
  @Test func thePageNamesTheReleaseByTheGPIOLibrary() throws {
    let page = try String(contentsOfFile: House.path("Docs/update.md"), encoding: .utf8)
      .replacingOccurrences(of: "\n  ", with: " ")
    for (library, package, words) in [
      ("libgpiod.so.2", "libgpiod2", "`amd64` for Debian 12 (`libgpiod2`)"),
      ("libgpiod.so.3", "libgpiod3", "`arm64` for Debian 13 and Raspberry Pi OS trixie (`libgpiod3`)"),
    ] {
      let text = try depends(["libc.so.6", library]).text
      #expect(text.contains(package) && !text.contains("|"), "no alternative: \(text)")
      #expect(page.contains(words), "\(words)")
    }
    let board = try String(contentsOfFile: House.path("Docs/building-on-the-board.md"), encoding: .utf8)
    #expect(board.contains("| Debian 12, Raspberry Pi OS bookworm | libgpiod 1.6 |"))
    #expect(board.contains("| Debian 13, Raspberry Pi OS trixie | libgpiod 2.2 |"))
  }
}
