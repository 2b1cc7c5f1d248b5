// swift-tools-version: 6.2
// 6.2 is the floor because `treatAllWarnings` needs it; the arm64 build uses a 6.2 compiler.

import Foundation
import PackageDescription

/// Every Swift target of the house: Swift 6 language mode (the default of this tools version), warnings are errors.
let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
]

/// A layer of the house. Its name is the folder below `Sources/`.
enum Layer: String {
  case core = "Core"
  case adapters = "Adapters"
}

func module(
  _ name: String, in layer: Layer, uses dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/\(layer.rawValue)/\(name)",
    swiftSettings: strict + settings)
}

/// Modules whose tests count what the measured code allocates.
let countsAllocations: Set = ["Identification", "Inference", "Screening", "Sentinel", "Thermography"]

func tests(of name: String, uses dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)Tests",
    // Tests find their fixtures beside their source files; they are no resources of a bundle.
    exclude: ["Fixtures", "oracle"].filter {
      FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/Tests/\(name)Tests/\($0)")
    },
    // A test's own code need not be fast, and optimising all of it takes minutes; unoptimised code allocates, though.
    swiftSettings: countsAllocations.contains(name)
      ? strict : strict + [.unsafeFlags(["-Onone"], .when(configuration: .release))])
}

// With the runtime linked in, Swift asks for a name for every function of it; nobody looks them up (1.4 MB). Relocations
// in the packed form, which glibc reads since 2.36 (Debian 12), are 1.4 MB smaller; the linker gold does not know them.
let lean: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-use-ld=lld", "-Xlinker", "--no-export-dynamic", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
    ],
    .when(configuration: .release))
]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let serviceLifecycle = Target.Dependency.product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(
  name: "UnixSignals", package: "swift-service-lifecycle")

// C modules: system libraries and the small shims over them. Only adapters may import them;
// CInferenceKernels is the one exception, for Inference.
let cModules: [Target] = [
  .target(name: "CI2C", path: "Sources/CModules/CI2C"),
  .target(
    name: "CGPIO", path: "Sources/CModules/CGPIO", linkerSettings: [.linkedLibrary("gpiod")]),
  .target(name: "CLinux", path: "Sources/CModules/CLinux"),
  .systemLibrary(
    name: "CSQLite", path: "Sources/CModules/CSQLite", pkgConfig: "sqlite3",
    providers: [.apt(["libsqlite3-dev"])]),
  // The device does not link it: only thermograph-receiver does.
  .systemLibrary(
    name: "CPostgreSQL", path: "Sources/CModules/CPostgreSQL", pkgConfig: "libpq",
    providers: [.apt(["libpq-dev"])]),
  .target(
    name: "COpenSSL", path: "Sources/CModules/COpenSSL",
    linkerSettings: [.linkedLibrary("crypto")]),
  .target(
    name: "CPNG", path: "Sources/CModules/CPNG",
    linkerSettings: [.linkedLibrary("png16"), .linkedLibrary("z")]),
  .target(
    name: "CMosquitto", path: "Sources/CModules/CMosquitto",
    linkerSettings: [.linkedLibrary("mosquitto"), .linkedLibrary("ssl"), .linkedLibrary("crypto")]),
  .target(
    name: "CTOML", path: "Sources/CModules/CTOML",
    cxxSettings: [.define("TOML_HEADER_ONLY", to: "1"), .define("TOML_EXCEPTIONS", to: "0")]),
  .target(name: "CInferenceKernels", path: "Sources/CModules/CInferenceKernels"),
]

// Pure logic: no I/O, no clock, no C.
let core: [Target] = [
  module("Provenance", in: .core),
  // Without errno a square root is one instruction, which the temperature maths needs to become vector code.
  module(
    "Thermography", in: .core, uses: ["Provenance"], settings: [.unsafeFlags(["-Xcc", "-fno-math-errno"])]),
  module("Identification", in: .core, uses: ["Provenance"]),
  module("Panel", in: .core),
  module("Inference", in: .core, uses: ["CInferenceKernels"]),
  module("Screening", in: .core, uses: ["Provenance", "Thermography", "Identification", "Panel", "Inference"]),
  module("Sentinel", in: .core, uses: ["Provenance", "Inference", "Screening"]),
  module("Trust", in: .core, uses: ["Provenance"]),
  module("Audit", in: .core, uses: ["Provenance", "Trust"]),
  module("Forwarding", in: .core, uses: ["Provenance", "Identification", "Screening", "Trust", "Audit"]),
  module("Remote", in: .core, uses: ["Provenance", "Trust", "Screening", "Forwarding"]),
  module(
    "Configuration", in: .core,
    uses: ["Provenance", "Thermography", "Identification", "Panel", "Screening", "Forwarding"]),
]

// One per kind of outside world; the only importers of C and Glibc.
let adapters: [Target] = [
  module("LocalFiles", in: .adapters, uses: ["CLinux"]),
  module("Threads", in: .adapters, uses: ["LocalFiles", "CLinux"]),
  module(
    "LinuxIO", in: .adapters,
    uses: [
      "Provenance", "Thermography", "Identification", "Panel", "LocalFiles", "Threads", "CI2C", "CGPIO", "CLinux",
    ]),
  module(
    "Storage", in: .adapters,
    uses: [
      "Provenance", "Trust", "Forwarding", "Remote", "Audit", "LocalFiles", "Threads", "CLinux", "CSQLite", "COpenSSL",
    ]),
  module("ImageFiles", in: .adapters, uses: ["Provenance", "Thermography", "CPNG"]),
  module(
    "CloudLink", in: .adapters, uses: ["Provenance", "Forwarding", "LocalFiles", "Threads", "CMosquitto"]),
  module("Receiving", in: .adapters, uses: ["Provenance", "Trust", "Forwarding", "Audit", "LocalFiles"]),
  module(
    "CaptureDatabase", in: .adapters,
    uses: [
      "Provenance", "Screening", "Forwarding", "Audit", "LocalFiles", "Storage", "ImageFiles", "Receiving",
      "CPostgreSQL",
    ]),
  module("Cryptography", in: .adapters, uses: ["Provenance", "Trust", "COpenSSL"]),
  module("Enrolment", in: .adapters, uses: ["LocalFiles", "COpenSSL"]),
  module(
    "ConfigurationFiles", in: .adapters,
    uses: ["Provenance", "Trust", "Remote", "Configuration", "LocalFiles", "Storage", "CTOML"]),
  module(
    "DeviceSimulation", in: .adapters,
    uses: ["Provenance", "Thermography", "Identification", "Panel", "LocalFiles", "CLinux"]),
]

/// What only the far side's worker has: a device never links it.
let farSideOnly: Set<String> = ["CaptureDatabase"]
let deviceAdapters = adapters.filter { !farSideOnly.contains($0.name) }

/// What both receiving programs, the device's reference receiver and the worker, read from their command lines.
let receiverArguments = Target.target(
  name: "ReceiverArguments",
  dependencies: ["Forwarding", "CloudLink", "Cryptography", "LocalFiles", "Storage", argumentParser],
  path: "Sources/ReceiverArguments", swiftSettings: strict)

let farSide: [Target] = [
  receiverArguments,
  .target(
    name: "FarSide",
    dependencies: [
      "Provenance", "Forwarding", "CaptureDatabase", "CloudLink", "LocalFiles", "Receiving", "Storage", "Threads",
    ],
    path: "Sources/FarSide", swiftSettings: strict),
  .executableTarget(
    name: "thermograph-receiver",
    dependencies: [
      "FarSide", "Provenance", "Trust", "Forwarding", "CaptureDatabase", "CloudLink", "Cryptography", "LinuxIO",
      "LocalFiles", "Receiving", "ReceiverArguments", "Storage", argumentParser, unixSignals,
    ],
    path: "Sources/thermograph-receiver", swiftSettings: strict,
    linkerSettings: lean),
]

let device: [Target] = [
  .target(
    name: "Device",
    dependencies: core.map { .byName(name: $0.name) } + deviceAdapters.map { .byName(name: $0.name) } + [
      logging, serviceLifecycle,
    ],
    path: "Sources/Device", swiftSettings: strict),
  .executableTarget(
    name: "thermograph",
    dependencies: ["Device", "ReceiverArguments"] + core.map { .byName(name: $0.name) }
      + deviceAdapters.map { .byName(name: $0.name) } + [argumentParser, logging, unixSignals],
    path: "Sources/thermograph", swiftSettings: strict,
    linkerSettings: lean),
]

let testTargets: [Target] = [
  .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
  // What tests of several modules need: a clock they move, a folder of their own, a broker, ports, who sends commands.
  .target(
    name: "TestSupport", dependencies: ["Provenance", "Trust", "Remote", "Cryptography", "Storage"],
    path: "Tests/Support", swiftSettings: strict),
  tests(of: "House", uses: []),
  tests(of: "Provenance", uses: ["Provenance"]),
  tests(
    of: "Thermography", uses: ["Thermography", "DeviceSimulation", "Provenance", "CAllocationCount"]),
  tests(of: "Identification", uses: ["Identification", "Provenance", "CAllocationCount"]),
  tests(of: "Inference", uses: ["Inference", "CInferenceKernels", "Provenance", "CAllocationCount"]),
  tests(of: "Panel", uses: ["Panel"]),
  tests(
    of: "Screening",
    uses: ["Screening", "Thermography", "Identification", "Inference", "Provenance", "CAllocationCount"]),
  tests(of: "Sentinel", uses: ["Sentinel", "Screening", "Inference", "Provenance", "Storage", "CAllocationCount"]),
  tests(of: "LocalFiles", uses: ["LocalFiles"]),
  tests(of: "Threads", uses: ["Threads", "LocalFiles"]),
  tests(of: "Forwarding", uses: ["Forwarding", "Screening", "Provenance", "Trust", "Cryptography", "Storage"]),
  tests(
    of: "Configuration",
    uses: core.map { .byName(name: $0.name) } + ["ConfigurationFiles", "LocalFiles", "Storage"]),
  tests(
    of: "LinuxIO",
    uses: [
      "LinuxIO", "Provenance", "Thermography", "Identification", "Panel", "LocalFiles", "Threads", "DeviceSimulation",
    ]),
  // Stores captures until a test kills it.
  .executableTarget(
    name: "OutboxWriter", dependencies: ["Storage", "Forwarding", "Provenance"], path: "Tests/OutboxWriter",
    swiftSettings: strict),
  // Takes updates through their states until a test kills it or cuts its power.
  .executableTarget(
    name: "UpdateWriter", dependencies: ["DriverSupport", "Remote", "Storage"], path: "Tests/UpdateWriter",
    swiftSettings: strict),
  tests(
    of: "Storage",
    uses: [
      "Storage", "LocalFiles", "Forwarding", "Remote", "Screening", "Provenance", "CSQLite", "DriverSupport",
      "OutboxWriter", "UpdateWriter",
    ]),
  tests(of: "ImageFiles", uses: ["ImageFiles", "Thermography", "Provenance"]),
  tests(
    of: "CloudLink",
    uses: [
      "CloudLink", "CSQLite", "Device", "Forwarding", "LinuxIO", "Provenance", "Receiving", "Storage", "DeliveryDriver",
      logging,
    ]),
  // What the programs that tests start and kill have in common.
  .target(
    name: "DriverSupport", dependencies: ["Provenance", "Remote", "Storage"], path: "Tests/DriverSupport",
    swiftSettings: strict),
  // A device's outbox and delivery until a test kills it or cuts its line.
  .executableTarget(
    name: "DeliveryDriver",
    dependencies: [
      "CloudLink", "Device", "DriverSupport", "Forwarding", "LinuxIO", "Provenance", "Storage", logging, unixSignals,
    ],
    path: "Tests/DeliveryDriver", swiftSettings: strict),
  // The client of Trust with the command line of tuf-conformance.
  .executableTarget(
    name: "MetadataClientProgram", dependencies: ["Trust", "Cryptography", "LocalFiles", "Provenance", "Storage"],
    path: "Tests/MetadataClientProgram",
    exclude: ["requirements.lock", "MetadataClientProgram.xfails"], swiftSettings: strict),
  tests(of: "Audit", uses: ["Audit", "Trust", "Forwarding", "Provenance", "Cryptography", "Storage", "LocalFiles"]),
  tests(of: "Remote", uses: ["Remote", "Screening", "Trust", "Forwarding", "Provenance", "Cryptography", "Storage"]),
  tests(of: "Trust", uses: ["Trust", "Cryptography", "Provenance", "Storage"]),
  tests(of: "Cryptography", uses: ["Cryptography", "Trust", "Provenance", "Storage", "COpenSSL"]),
  tests(of: "Enrolment", uses: ["Enrolment", "LocalFiles"]),
  tests(
    of: "Receiving",
    uses: ["Receiving", "Forwarding", "Audit", "Storage", "Provenance", "Trust", "Cryptography", "CSQLite"]),
  // Stores captures in a database and is killed between COMMIT and receipt.
  .executableTarget(
    name: "CaptureStorer",
    dependencies: ["CaptureDatabase", "Forwarding", "LinuxIO", "Provenance", "Receiving", "Storage"],
    path: "Tests/CaptureStorer", swiftSettings: strict),
  tests(
    of: "CaptureDatabase",
    uses: [
      "CaptureDatabase", "CaptureStorer", "Forwarding", "Audit", "ImageFiles", "Provenance", "Receiving", "Screening",
      "Storage", "Thermography",
    ]),
  // Thousands of devices in one process.
  .executableTarget(
    name: "FleetLoad",
    dependencies: ["CloudLink", "Device", "DriverSupport", "Forwarding", "LinuxIO", "Provenance", "Storage", logging],
    path: "Tests/FleetLoad", swiftSettings: strict),
  tests(
    of: "FarSide",
    uses: [
      "FarSide", "CaptureDatabase", "CloudLink", "Forwarding", "LinuxIO", "Provenance", "Receiving", "Storage",
      "FleetLoad", "thermograph", "thermograph-receiver",
    ]),
  tests(of: "DeviceSimulation", uses: ["DeviceSimulation", "Thermography", "Provenance"]),
  tests(
    of: "Device",
    uses: [
      "Device", "DeviceSimulation", "Storage", "Cryptography", "ImageFiles", "LinuxIO", "CloudLink",
      "ConfigurationFiles",
      logging,
    ]
      + core.map { .byName(name: $0.name) }),
  tests(
    of: "EndToEnd",
    uses: [
      "thermograph", "thermograph-receiver", "Device", "DeviceSimulation", "OutboxWriter", "Storage", "Forwarding",
      "Screening", "Thermography", "Identification", "Provenance", "LinuxIO", "Trust", "Cryptography", logging,
    ]),
]

// Measured only on request: THERMOGRAPH_BENCHMARKS=1 swift run -c release ThermographBenchmarks
let benchmarks: [Target] =
  Context.environment["THERMOGRAPH_BENCHMARKS"] == nil
  ? []
  : [
    .executableTarget(
      name: "ThermographBenchmarks",
      dependencies: ["Thermography", "Identification", "Inference", "Screening", "Sentinel"],
      path: "Benchmarks/ThermographBenchmarks", swiftSettings: strict),
    .executableTarget(
      name: "DeliveryBenchmark",
      dependencies: ["Audit", "Cryptography", "Storage", "Forwarding", "Provenance", "Trust"],
      path: "Benchmarks/DeliveryBenchmark", swiftSettings: strict),
  ]

// libFuzzer brings the `main`; only `make fuzz-inference`, `fuzz-configuration` and `fuzz-trust` ask for these targets.
let fuzzers: [Target] =
  Context.environment["THERMOGRAPH_FUZZERS"] == nil
  ? []
  : [
    .executableTarget(
      name: "ModelFuzzer", dependencies: ["Inference"], path: "Tests/ModelFuzzer",
      swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]),
    .executableTarget(
      name: "ConfigurationFuzzer", dependencies: ["Configuration", "ConfigurationFiles", "Provenance"],
      path: "Tests/ConfigurationFuzzer", swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]),
    .executableTarget(
      name: "TrustFuzzer", dependencies: ["Trust", "Cryptography", "Storage"], path: "Tests/TrustFuzzer",
      swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]),
  ]

let package = Package(
  name: "thermograph",
  products: [
    .executable(name: "thermograph", targets: ["thermograph"]),
    .executable(name: "thermograph-receiver", targets: ["thermograph-receiver"]),
  ],
  // Exactly these, so that two checkouts of one commit build the same program. The last two come along with
  // swift-service-lifecycle; they stand here because nothing else would hold their versions.
  dependencies: [
    // Subcommands, help texts and the suggestions after a misspelt option.
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    // Levels and metadata of the log; its handler for the journal is ours.
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    // Starts the device's services in order and stops them in reverse.
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    .package(url: "https://github.com/apple/swift-async-algorithms", exact: "1.1.4"),
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
  ],
  targets: cModules + core + adapters + device + farSide + testTargets + benchmarks + fuzzers,
  cLanguageStandard: .gnu11,
  cxxLanguageStandard: .cxx17
)
