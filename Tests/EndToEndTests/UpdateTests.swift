import Foundation
import Logging
import Provenance
import Remote
import Screening
import Storage
import TestSupport
import Testing

@testable import Device

/// Trials in a real process of the real program: what a bad model does ends there, and the device stays ready.
@Suite(.serialized) struct UpdateTests {
  private static let models = Workspace.repository + "/Models"
  /// Rounds of all kinds of bad models; THERMOGRAPH_BAD_MODELS=5 makes 50 of them.
  private static let rounds =
    ProcessInfo.processInfo.environment["THERMOGRAPH_BAD_MODELS"].flatMap { Int($0) } ?? 1
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  /// A unit of a model of this repository, changed.
  private func unit(
    _ model: String = "screening-fold", _ name: String = UUID().uuidString,
    _ change: (inout [String: [UInt8]], inout [String: Any]) throws -> Void = { _, _ in }
  ) throws -> String {
    let folder = "\(Self.models)/\(model)"
    let json = try Data(contentsOf: URL(filePath: folder + "/manifest.json"))
    var files: [String: [UInt8]] = [:]
    for file in try ModelManifest(json: [UInt8](json)).files {
      files[file.path] = [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/\(file.path)")))
    }
    var manifest = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    try change(&files, &manifest)
    files["manifest.json"] = [UInt8](try JSONSerialization.data(withJSONObject: manifest))
    let path = scratch.file(name)
    try Data(ModelUnitFile.archive(of: files)).write(to: URL(filePath: path))
    return path
  }

  /// Gives a file of the manifest other bytes, with the hash that belongs to them.
  private func put(_ bytes: [UInt8], at path: String, _ files: inout [String: [UInt8]], _ manifest: inout [String: Any])
  {
    files[path] = bytes
    let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes))
    func walk(_ value: Any) -> Any {
      if var object = value as? [String: Any] {
        if object["path"] as? String == path { (object["bytes"], object["sha256"]) = (bytes.count, digest) }
        return object.mapValues(walk)
      }
      return (value as? [Any])?.map(walk) ?? value
    }
    manifest = (walk(manifest) as? [String: Any]) ?? manifest
  }

  private func request(_ candidate: String, current: String? = "screening-fold", memory: Int? = nil) -> TrialRequest {
    TrialRequest(
      slot: .screening, candidate: candidate, current: current.map { "\(Self.models)/\($0)" },
      beside: "\(Self.models)/quality", memoryBytes: memory ?? UpdateRules.trialMemoryBytes)
  }

  private func run(
    _ request: TrialRequest, _ process: TrialProcess? = nil, isWanted: @escaping @Sendable () -> Bool = { true }
  ) async -> UpdateTrial {
    await (process ?? TrialProcess(executable: Program.thermograph, logger: logger)).run(request, isWanted: isWanted)
  }

  @Test func aGoodUnitComesThroughWithFigures() async throws {
    let trial = await run(request(try unit()))
    guard case .golden(let figures) = trial else {
      Issue.record("\(trial)")
      return
    }
    #expect(figures.samples == 8 && figures.complaint == nil)
    #expect(figures.candidateMicroseconds > 0 && figures.currentMicroseconds ?? 0 > 0)
  }

  /// What a bad model does, and by which word it is refused.
  enum Badness: String, CaseIterable {
    case wrongGolden, constantOutput, slow, comparison, otherNetwork, noModel
    case hangs, traps, eatsMemory, saysTooMuch
  }

  @Test(arguments: Badness.allCases) func aBadModelIsRefusedInTimeAndTheDeviceIsReady(badness: Badness) async throws {
    for _ in 0..<Self.rounds {
      let began = ContinuousClock.now
      let trial = try await trial(of: badness)
      guard case .failed(let reason) = trial else {
        if case .golden(let figures) = trial, badness == .slow {
          // Where both take less than can be told from noise, the slower one is not refused for it.
          let current = try #require(figures.currentMicroseconds)
          #expect(figures.candidateMicroseconds > current, "\(figures)")
          let allowed = max(2 * current, UpdateRules.latencyFloorMicroseconds)
          #expect((figures.complaint == nil) == (figures.candidateMicroseconds <= allowed), "\(figures)")
        } else {
          Issue.record("\(badness): \(trial)")
        }
        continue
      }
      #expect(reason.contains(word(of: badness)), "\(badness): \(reason)")
      #expect(ContinuousClock.now - began < .seconds(60))
    }
  }

  private func word(of badness: Badness) -> String {
    switch badness {
    case .wrongGolden: "golden.outputs[0]"
    case .constantOutput: "the same output"
    case .slow: ""
    case .comparison: "never gives a verdict"
    case .otherNetwork: "model.tflite"
    case .noModel: "is no archive"
    case .hangs: "did not come to an end"
    case .traps, .eatsMemory: "by signal"
    case .saysTooMuch: "more than it may"
    }
  }

  private func trial(of badness: Badness) async throws -> UpdateTrial {
    func stub(_ text: String, milliseconds: Int = 40_000) -> TrialProcess {
      TrialProcess(executable: "/bin/sh", arguments: ["-c", text], milliseconds: milliseconds, logger: logger)
    }
    switch badness {
    case .wrongGolden:
      return await run(
        request(
          try unit { files, manifest in
            var output = files["golden/output0.npy"] ?? []
            output[output.count - 1] ^= 1
            put(output, at: "golden/output0.npy", &files, &manifest)
          }))
    case .constantOutput:
      // Each sample is the first one: inputs, frames and outputs.
      return await run(
        request(
          try unit { files, manifest in
            for name in ["golden/output0.npy", "golden/input.npy", "golden/frames.npy"] {
              let bytes = files[name] ?? []
              let size = try sampleBytes(name)
              let head = Array(bytes[..<(bytes.count - 8 * size)])
              put(
                head + Array(repeatElement(Array(bytes[head.count..<head.count + size]), count: 8).joined()), at: name,
                &files, &manifest)
            }
          }))
    case .slow:
      // A network many times the size, said to be for screening.
      return await run(request(try unit("kalva-resnet") { _, manifest in manifest["purpose"] = "screening" }))
    case .comparison: return await run(request("\(Self.models)/salvi-cnn"))
    case .otherNetwork:
      return await run(
        request(
          try unit { files, _ in
            files["model.tflite"]?[1000] ^= 1
          }))
    case .noModel:
      let path = scratch.file(UUID().uuidString)
      try Data(repeating: 7, count: 5000).write(to: URL(filePath: path))
      return await run(request(path))
    case .hangs: return await run(request("x"), stub("exec sleep 600", milliseconds: 500))
    case .traps: return await run(request("x"), stub("kill -ILL $$"))
    case .eatsMemory: return await run(request(try unit(), memory: 6 << 20))
    case .saysTooMuch: return await run(request("x"), stub("exec cat /dev/zero"))
    }
  }

  private func sampleBytes(_ name: String) throws -> Int {
    let folder = "\(Self.models)/screening-fold"
    let manifest = try ModelManifest(json: [UInt8](try Data(contentsOf: URL(filePath: folder + "/manifest.json"))))
    switch name {
    case "golden/output0.npy": return manifest.outputs[0].tensor.shape.reduce(1, *)
    case "golden/input.npy": return manifest.input.tensor.shape.reduce(1, *)
    default: return 768 * 4
    }
  }

  /// The stated bound: from the beginning of a session to the end of the trial's process.
  @Test func aTrialEndsWithinATenthOfASecondWhenSomebodyComes() async throws {
    let process = TrialProcess(executable: "/bin/sh", arguments: ["-c", "exec sleep 600"], logger: logger)
    let began = ContinuousClock.now
    let limit = began + .milliseconds(200)
    let trial = await run(request("x"), process, isWanted: { ContinuousClock.now < limit })
    #expect(trial == .interrupted)
    // Room for a busy machine; the poll is every 50 ms.
    #expect(ContinuousClock.now - limit < .seconds(2))
  }

  /// A whole device: a unit that a technician brought is tried while captures are taken, decides, and is taken back.
  @Test func aRunningDeviceTriesTakesAndGivesBack() async throws {
    let workspace = try Workspace()
    let reservation = try PortReservation()
    let path = try workspace.configure(
      // More than a busy machine needs until the trial is over.
      port: reservation.port, captures: 400,
      more: [
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0",
        "quality": "model = \"quality\"",
        // The trial's own process must fit between two of them.
        "simulation": "seed = 7\ncaptures = 400\ntag_interval_milliseconds = 8000",
      ])
    let state = workspace.folder + "/state"
    let store = UpdateStore(stateDirectory: state)
    let file = try unit { _, manifest in manifest["version"] = "2.0.0-test" }
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: file)))
    let folder = try ModelFolder(ModelFiles(unit: bytes, path: file), digests: OpenSSLDigests())
    let target = try #require(UnitTarget(model: "screening-fold", version: 2))
    let unit = UpdateUnit(
      target: target, slot: .screening, fileSHA256: Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)),
      unitSHA256: folder.unitSHA256, bytes: bytes.count)
    try store.stage(unit, bytes)
    // Five minutes without a session cannot pass in a test: the record says that they have.
    try store.apply(.time(seconds: 1, quietSeconds: 300, isWindowOpen: true))
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: workspace.folder)
    // The start found a trial that was interrupted; it waits again.
    try await eventually("the start is written down", seconds: 120) { try store.read().update?.phase == .waiting }
    try await eventually("the golden vectors are computed", seconds: 300, context: { device.errors }) {
      // A session that came first has sent it back to waiting.
      if try store.read().update?.phase == .waiting {
        try store.apply(.time(seconds: 1, quietSeconds: 300, isWindowOpen: true))
      }
      return try [.shadow, .passed].contains(store.read().update?.phase)
    }
    try await eventually("three captures are tried", seconds: 240, context: { device.errors }) {
      try store.read().update?.phase == .passed
    }
    #expect(try store.read().update?.agreements == 3, "it is the same network")
    try store.apply(.time(seconds: 1, quietSeconds: 300, isWindowOpen: true))
    try await device.waitForErrors(containing: "other models decide", seconds: 60)
    try await eventually("its captures are counted", seconds: 120, context: { device.errors }) {
      try (store.read().update?.captures ?? 5) >= 2
    }
    let status = try await Program.run(["update", "status", "--config", path], in: workspace.folder)
    #expect(status.output.contains("screening-fold 2"), "\(status.output) \(status.errors)")
    let back = try await Program.run(["update", "rollback", "--config", path], in: workspace.folder)
    #expect(back.status == 0 && back.output.contains("the installed model"), "\(back.output) \(back.errors)")
    try await device.waitForErrors(containing: "the models that decide have changed", count: 2, seconds: 60)
    try await eventually("all states are told", context: { device.errors }) { try store.read().notes.isEmpty }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    // What was told waits in the outbox, and the records name the model that made them.
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: false)
    let export = try await Program.run(["outbox", "export", "--config", path, "--clear", stick], in: workspace.folder)
    #expect(export.status == 0, "\(export.errors)")
    let files = try FileManager.default.subpathsOfDirectory(atPath: stick).compactMap {
      FileManager.default.contents(atPath: stick + "/" + $0).map { String(decoding: $0, as: UTF8.self) }
    }
    let told = files.filter { $0.contains("thermograph.update.v1") }
    for state in ["waiting", "trial", "active", "rolled-back"] {
      #expect(told.contains { $0.contains("\"state\":\"\(state)\"") }, "\(state)")
    }
    #expect(files.contains { $0.contains("\"unit_sha256\":\"\(unit.unitSHA256)\"") && $0.contains("capture_id") })
    let again = try await Program.run(["update", "rollback", "--config", path], in: workspace.folder)
    #expect(again.status == 1 && again.errors.contains("nothing before it"), "\(again.errors)")
  }
}
