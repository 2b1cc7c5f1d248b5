import DeviceSimulation
import Foundation
import Testing

/// The shipped binary as the service runs it, on a real serial line and the preloaded sensor: what it takes for a tag,
/// and what it says when a line fails. Warnings and errors must be the expected ones and no others.
@Suite(.serialized) struct RealLinesTests {
  private static let tag: [UInt8] = [0x0D, 0xE0, 0, 0, 1]
  private let workspace: Workspace
  private let shim: SensorShim
  private let reader: SimulatedRFIDReader
  private let configuration: String

  init() async throws {
    workspace = try Workspace()
    shim = try await SensorShim(in: workspace.folder)
    reader = try SimulatedRFIDReader(path: workspace.folder + "/serial0")
    configuration = try workspace.configure(
      port: 1, captures: 0,
      more: [
        "broker": "", "camera": "refresh_rate_hz = 4\nframes_averaged = 2",
        "reader": "kind = \"rdm6300\"\ndevice = \"\(workspace.folder)/serial0\"",
      ])
  }

  private func start() async throws -> Program {
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration], in: workspace.folder, environment: shim.environment)
    try await device.waitForErrors(containing: "ready")
    return device
  }

  /// Ends the device and holds its warnings and errors, each as level and words, to the expected ones. A busy machine
  /// may miss sub-pages, which the device says.
  private func stop(_ device: Program, expecting expected: Set<String>) async throws {
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    let said = device.errors.split(separator: "\n")
      .filter { $0.hasPrefix("warning:") || $0.hasPrefix("error:") || $0.hasPrefix("thermograph:") }
      .map { line in line.firstRange(of: "=").map { String(line[..<$0.lowerBound]) } ?? String(line) }
    let harmless = [
      "warning: camera: sub-pages were missed; the rate is lowered from_hz",
      // The workspace is of a device that was enrolled before there were audit logs.
      "warning: this device was enrolled without an audit key and has made one; keep its public half: thermograph audit key key",
    ]
    // The recorded room fails gates, so that a session asks for another attempt, which this end closes.
    let ended: Set = ["warning: session incomplete reason"]
    #expect(Set(said).subtracting(harmless) == expected.union(ended), "\(device.errors)")
    #expect(shim.complaints == nil)
    try workspace.expectNoTraceOfTheTag(Self.tag)
  }

  /// Captures in the outbox, by the tool that opens it beside the running device.
  private func storedCaptures() async throws -> Int {
    let listing = try await Program.run(["outbox", "list", "--config", configuration, "--json"], in: workspace.folder)
    #expect(listing.status == 0, "\(listing.errors)")
    let last = try #require(listing.output.split(separator: "\n").last)
    let totals = try #require(
      (JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])?["totals"]
        as? [String: [String: [String: Int]]], "\(listing.output)")
    return (totals["capture"] ?? [:]).values.reduce(0) { $0 + ($1["rows"] ?? 0) }
  }

  private struct PublishedFrames: Decodable {
    struct EM4100: Decodable {
      struct Frame: Decodable { var raw_hex: String }
      var phantoms: [Frame]
    }
    var em4100: EM4100
  }

  /// The phantom frames that readers were seen to send with no card near; all have a right checksum.
  private func phantoms() throws -> [[UInt8]] {
    let path = Workspace.repository + "/Tests/IdentificationTests/Fixtures/frames.json"
    let published = try JSONDecoder().decode(PublishedFrames.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    return try published.em4100.phantoms.map { frame in
      let digits = Array(frame.raw_hex)
      return try stride(from: 0, to: digits.count, by: 2).map {
        try #require(UInt8(String(digits[$0...($0 + 1)]), radix: 16))
      }
    }
  }

  @Test func phantomFramesStartNothingAndTheNextTagDoes() async throws {
    let phantoms = try phantoms()
    #expect(phantoms.count >= 3)
    let device = try await start()
    for frame in phantoms { await reader.inject(frame) }
    // A phantom twice, and a real tag's frame twice: one short of what confirms.
    for frame in [phantoms[0], phantoms[0]] { await reader.inject(frame) }
    let real = RFIDFrames.em4100(Self.tag, layout: .rdm6300)
    for frame in [real, real] { await reader.inject(frame) }
    // Noise, a stump, and a frame with one bit turned, as often as would confirm.
    var turned = real
    turned[5] ^= 1
    for bytes in [[0xFF, 0x00, 0x02], Array(real.prefix(9)), turned, turned, turned] { await reader.inject(bytes) }
    // The confirmation window of 400 ms must have passed; a later tag then shows that all of it was read.
    try await Task.sleep(for: .milliseconds(1500))
    #expect(try await storedCaptures() == 0)
    #expect(!device.errors.contains("capture started"), "\(device.errors)")
    await reader.present(Self.tag)
    try await device.waitForErrors(containing: "capture saved")
    await reader.takeAway()
    #expect(try await storedCaptures() == 1)
    try await stop(device, expecting: [])
  }

  @Test func aReaderPulledOutInMidConfirmationForgetsWhatItSaw() async throws {
    let device = try await start()
    let frame = RFIDFrames.em4100(Self.tag, layout: .rdm6300)
    for _ in 0..<2 { await reader.inject(frame) }
    await reader.unplug()
    try await device.waitForErrors(containing: "reader lost")
    try await reader.plugIn()
    try await device.waitForErrors(containing: "reader returned")
    for _ in 0..<2 { await reader.inject(frame) }
    try await Task.sleep(for: .milliseconds(1500))
    #expect(!device.errors.contains("capture started"), "\(device.errors)")
    await reader.present(Self.tag)
    try await device.waitForErrors(containing: "capture saved")
    await reader.takeAway()
    #expect(try await storedCaptures() == 1)
    try await stop(device, expecting: ["error: reader lost reason"])
  }

  @Test(arguments: [(ENXIO, 0, "nobody answers at the address"), (ETIMEDOUT, 200, "a line may be held low")])
  func aCameraThatFailsInMidCaptureIsNamedAndNothingIsStored(
    errorNumber: Int32, milliseconds: Int, words: String
  ) async throws {
    let device = try await start()
    await reader.present(Self.tag)
    try await device.waitForErrors(containing: "averaging")
    try shim.fail(with: errorNumber, afterMilliseconds: milliseconds)
    try await device.waitForErrors(containing: "camera lost")
    await reader.takeAway()
    #expect(device.errors.contains(words), "\(device.errors)")
    #expect(try await storedCaptures() == 0)
    #expect(!device.errors.contains("capture saved"))
    try shim.work()
    try await device.waitForErrors(containing: "camera returned")
    // The hold-off after the first presentation.
    try await Task.sleep(for: .milliseconds(1600))
    await reader.present(Self.tag)
    try await device.waitForErrors(containing: "capture saved")
    await reader.takeAway()
    try await stop(device, expecting: ["error: camera lost reason", "warning: capture abandoned capture"])
  }
}
