import Foundation
import Testing

/// Which module may import which. SwiftPM lets a target import a sibling that it does not declare, so the layers
/// hold only because this table does.
private let importTable: [String: Set<String>] = [
  // Core: pure logic. No Glibc, no C but the kernels; of the standard library's companions only FoundationEssentials.
  "Provenance": ["FoundationEssentials"],
  "Thermography": ["Provenance"],
  "Identification": ["Provenance"],
  "Panel": [],
  "Inference": ["CInferenceKernels"],
  "Screening": ["Provenance", "Thermography", "Identification", "Panel", "Inference", "FoundationEssentials"],
  "Forwarding": ["Provenance", "Identification", "Screening", "Trust", "Audit", "FoundationEssentials"],
  "Remote": ["Provenance", "Trust", "Screening", "Forwarding", "FoundationEssentials"],
  "Audit": ["Provenance", "Trust"],
  "Sentinel": ["Provenance", "Inference", "Screening", "FoundationEssentials"],
  // The top of Core: the settings hold the very types that act.
  "Configuration": [
    "Provenance", "Thermography", "Identification", "Panel", "Screening", "Forwarding", "FoundationEssentials",
  ],
  "Trust": ["Provenance", "FoundationEssentials"],
  // Adapters: one per kind of outside world.
  "LocalFiles": ["CLinux", "Glibc"],
  "Threads": ["LocalFiles", "CLinux", "Glibc", "Synchronization"],
  "LinuxIO": [
    "Provenance", "Thermography", "Identification", "Panel", "LocalFiles", "Threads", "CI2C", "CGPIO", "CLinux",
    "FoundationEssentials", "Glibc", "Synchronization",
  ],
  "Storage": [
    "Provenance", "Trust", "Forwarding", "Remote", "Audit", "LocalFiles", "Threads", "CLinux", "CSQLite", "COpenSSL",
    "FoundationEssentials", "Glibc",
    "Synchronization",
  ],
  "ImageFiles": ["Provenance", "Thermography", "CPNG", "Glibc"],
  "CloudLink": ["Provenance", "Forwarding", "LocalFiles", "Threads", "CMosquitto", "Glibc", "Synchronization"],
  "Receiving": ["Provenance", "Trust", "Forwarding", "Audit", "LocalFiles", "FoundationEssentials"],
  "CaptureDatabase": [
    "Provenance", "Screening", "Forwarding", "Audit", "LocalFiles", "Storage", "ImageFiles", "Receiving", "CPostgreSQL",
    "FoundationEssentials", "Glibc",
  ],
  "Cryptography": ["Provenance", "Trust", "COpenSSL"],
  "Enrolment": ["LocalFiles", "COpenSSL"],
  "ConfigurationFiles": ["Provenance", "Trust", "Remote", "Configuration", "LocalFiles", "Storage", "CTOML"],
  "DeviceSimulation": [
    "Provenance", "Thermography", "Identification", "Panel", "LocalFiles", "CLinux", "Glibc", "Synchronization",
  ],
]

private let coreModules: Set<String> = [
  "Provenance", "Thermography", "Identification", "Panel", "Inference", "Screening", "Forwarding", "Configuration",
  "Trust", "Remote", "Audit", "Sentinel",
]

/// What only the far side's worker has: a device that named it would need libpq.
private let farSideOnly: Set<String> = ["CaptureDatabase"]

/// What the composition and the executable may name beyond every module of the house.
private let compositionExtras: Set<String> = [
  "Logging", "ServiceLifecycle", "FoundationEssentials", "Synchronization", "Glibc",
]

@Suite struct ImportTableTests {
  @Test func everyModuleHasARowInTheTable() throws {
    let folders =
      try FileManager.default.contentsOfDirectory(atPath: House.path("Sources/Core"))
      + FileManager.default.contentsOfDirectory(atPath: House.path("Sources/Adapters"))
    #expect(Set(folders) == Set(importTable.keys))
  }

  @Test(arguments: importTable.keys.sorted())
  func modulesImportOnlyWhatTheTableAllows(module: String) throws {
    let layer = coreModules.contains(module) ? "Core" : "Adapters"
    let files = try House.swiftFiles(under: "Sources/\(layer)/\(module)")
    #expect(!files.isEmpty)
    for file in files {
      for (line, name) in try House.imports(of: file) {
        #expect(
          importTable[module]?.contains(name) == true,
          "\(file):\(line): \(module) imports \(name), which the import table does not allow")
      }
    }
  }

  @Test func theDeviceNamesNoCModule() throws {
    let allowed = Set(importTable.keys).subtracting(farSideOnly).union(compositionExtras)
    for file in try House.swiftFiles(under: "Sources/Device") {
      for (line, name) in try House.imports(of: file) {
        #expect(allowed.contains(name), "\(file):\(line): Device imports \(name)")
      }
    }
  }

  @Test func theExecutableNamesNoCModule() throws {
    let allowed = Set(importTable.keys).subtracting(farSideOnly).union(compositionExtras)
      .union(["Device", "ArgumentParser", "ReceiverArguments", "UnixSignals"])
    for file in try House.swiftFiles(under: "Sources/thermograph") {
      for (line, name) in try House.imports(of: file) {
        #expect(allowed.contains(name), "\(file):\(line): thermograph imports \(name)")
      }
    }
  }

  /// Both programs that receive link it, so it has nothing of the device and nothing of the worker.
  @Test func theReceiversArgumentsNameAdaptersAlone() throws {
    let files = try House.swiftFiles(under: "Sources/ReceiverArguments")
    #expect(!files.isEmpty)
    for file in files {
      for (line, name) in try House.imports(of: file) {
        #expect(
          ["ArgumentParser", "CloudLink", "Cryptography", "Forwarding", "LocalFiles", "Storage"].contains(name),
          "\(file):\(line): imports \(name)")
      }
    }
  }

  /// The worker is composed of adapters as the device is, and has nothing of the device.
  @Test func theFarSideNamesNoCModuleAndNoDevice() throws {
    let device: Set<String> = [
      "Thermography", "Identification", "Panel", "Inference", "Screening", "Configuration", "DeviceSimulation",
    ]
    let allowed = Set(importTable.keys).subtracting(device).union(compositionExtras)
    for folder in ["Sources/FarSide", "Sources/thermograph-receiver"] {
      let extras: Set<String> =
        folder.hasSuffix("receiver") ? ["FarSide", "ArgumentParser", "ReceiverArguments", "UnixSignals"] : []
      let files = try House.swiftFiles(under: folder)
      #expect(!files.isEmpty)
      for file in files {
        for (line, name) in try House.imports(of: file) {
          #expect(allowed.union(extras).contains(name), "\(file):\(line): imports \(name)")
        }
      }
    }
  }

  @Test func noModuleImportsAModuleAboveIt() {
    // Kahn's algorithm over the table: a cycle would leave modules that can never be taken away.
    var remaining = importTable.mapValues { $0.filter { importTable[$0] != nil } }
    while let leaf = remaining.first(where: { $0.value.isEmpty })?.key {
      remaining[leaf] = nil
      for key in remaining.keys { remaining[key]?.remove(leaf) }
    }
    #expect(remaining.isEmpty, "these modules import each other: \(remaining.keys.sorted())")
  }

  @Test func coreNeverImportsAnAdapter() {
    for module in coreModules {
      for name in importTable[module, default: []] where importTable[name] != nil {
        #expect(coreModules.contains(name), "\(module) names \(name)")
      }
    }
  }
}
