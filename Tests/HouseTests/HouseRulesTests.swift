import Foundation
import Testing

/// Rules of the house that the compiler does not know.
@Suite struct HouseRulesTests {
  @Test func sourceFilesFitAReview() throws {
    for file in try House.swiftFiles(under: "Sources") {
      let count = try House.lines(of: file).count
      #expect(count <= 600, "\(file) has \(count) lines; split it by topic (Type+Topic.swift)")
    }
  }

  @Test func nothingOutsideTestsStopsTheProcessOnPurpose() throws {
    for file in try House.swiftFiles(under: "Sources") {
      for (index, line) in try House.lines(of: file).enumerated() where !isComment(line) {
        #expect(!line.contains("fatalError("), "\(file):\(index + 1): fatalError; throw or degrade instead")
        #expect(!line.contains("try!"), "\(file):\(index + 1): force try")
      }
    }
  }

  @Test func noErrorOfADeviceDiskOrNetworkIsSwallowed() throws {
    for file in try House.swiftFiles(under: "Sources/Adapters") + House.swiftFiles(under: "Sources/Device")
      + House.swiftFiles(under: "Sources/FarSide")
    {
      for (index, line) in try House.lines(of: file).enumerated() where !isComment(line) {
        // A sleep fails only by cancellation, which its caller sees for itself.
        let hides = line.contains(/\btry\?/) && !line.contains("try? await Task.sleep")
        #expect(!hides, "\(file):\(index + 1): try? hides why it failed")
      }
    }
  }

  @Test func theWholeOfFoundationStaysOut() throws {
    // Its static form adds tens of megabytes to the binary; FoundationEssentials carries what is needed.
    for file in try House.swiftFiles(under: "Sources") {
      let names = try House.imports(of: file).map(\.module)
      #expect(!names.contains("Foundation"), "\(file) imports the whole of Foundation")
    }
  }

  @Test func noModuleSharesItsNameWithATypeAtTopLevel() throws {
    // Such a type hides the module: `Module.Type` then looks for a member of the type.
    let modules = Set(
      try ["Sources/Core", "Sources/Adapters"].flatMap {
        try FileManager.default.contentsOfDirectory(atPath: House.path($0))
      } + ["Device", "FarSide"])
    let keywords: Set<Substring> = ["struct", "class", "enum", "actor", "protocol"]
    for file in try House.swiftFiles(under: "Sources") {
      for (index, line) in try House.lines(of: file).enumerated() where !isComment(line) && !line.hasPrefix(" ") {
        let words = line.split(whereSeparator: { " :{<(".contains($0) })
        guard let keyword = words.firstIndex(where: keywords.contains), words.indices.contains(keyword + 1) else {
          continue
        }
        #expect(!modules.contains(String(words[keyword + 1])), "\(file):\(index + 1): a type named like a module")
      }
    }
  }

  private func isComment(_ line: Substring) -> Bool {
    line.drop(while: { $0 == " " }).hasPrefix("//")
  }
}
