import DeviceSimulation
import Foundation
import Identification
import TestSupport
import Testing

/// The shipped binary with every kind of reader: a pseudo-terminal at the reader's path, the recorded sensor behind a
/// preloaded i2c-dev, a real broker and a receiver. No part of it is told that it is simulated.
@Suite(.serialized) struct ReaderTests {
  struct Bench {
    let workspace: Workspace
    let broker: MosquittoBroker
    let reader: SimulatedRFIDReader
    let device: Program
    let receiver: Program
  }

  private func start(_ kind: ReaderKind, _ table: String = "") async throws -> Bench {
    let workspace = try Workspace()
    let shim = try await SensorShim(in: workspace.folder)
    let broker = try MosquittoBroker()
    try await broker.start()
    let port = workspace.folder + "/run/reader"
    let reader = try SimulatedRFIDReader(kind: kind, path: port)
    await reader.answerCommands()
    let configuration = try workspace.configure(
      port: broker.port, captures: 0,
      more: [
        "reader": "kind = \"\(kind.rawValue)\"\ndevice = \"\(port)\"\n" + table,
        // The recorded scene has nobody in it: its gates fail, and a second attempt would fail like the first.
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
        "camera": "frames_averaged = 2",
      ])
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration], in: workspace.folder, environment: shim.environment)
    try await device.waitForErrors(containing: "ready", seconds: 60)
    return Bench(
      workspace: workspace, broker: broker, reader: reader, device: device,
      receiver: try workspace.startReceiver(port: broker.port, until: 1))
  }

  /// Holds `tag` to the reader until the device has begun a session, as a person does.
  private func present(_ tag: [UInt8], to bench: Bench) async throws {
    for _ in 0..<30 where !bench.device.errors.contains("capture started") {
      await bench.reader.present(tag)
      try await Task.sleep(for: .seconds(1))
      await bench.reader.takeAway()
      try await Task.sleep(for: .seconds(1))
    }
  }

  private func expectOneCapture(of tag: [UInt8], from bench: Bench) async throws {
    #expect(try await bench.receiver.waitForExit(seconds: 90) == 0, "\(bench.device.errors)")
    bench.device.send(SIGTERM)
    #expect(try await bench.device.waitForExit(seconds: 20) == 0, "\(bench.device.errors)")
    let records = try bench.workspace.receivedRecords()
    #expect(records.count == 1)
    #expect((records.first?["patient_ref"] as? String)?.count == 26)
    try await bench.workspace.validateAgainstSchema(recordNamed: "record.json")
    try bench.workspace.expectNoTraceOfTheTag(tag)
  }

  /// Frames that readers have sent with no tag near; each passes its checksum.
  private func phantoms(_ layout: EM4100Decoder.Layout) -> [[UInt8]] {
    // The first is blank; the others are published ones (see `PhantomFrames`).
    [[0x00, 0x00, 0x00, 0x00, 0x00], [0xDA, 0xEF, 0x6F, 0xEE, 0x2B], [0x00, 0x00, 0x00, 0x07, 0x8F]].map {
      RFIDFrames.em4100($0, layout: layout)
    }
  }

  @Test func rdm6300() async throws {
    let bench = try await start(.rdm6300)
    // Twice each is no proof; three times within the window would be a tag, except for blank ones.
    for phantom in phantoms(.rdm6300) {
      for _ in 0..<2 { await bench.reader.inject(phantom) }
    }
    for _ in 0..<6 { await bench.reader.inject(phantoms(.rdm6300)[0]) }
    try await Task.sleep(for: .seconds(2))
    #expect(!bench.device.errors.contains("capture started"), "a phantom frame began a capture")
    await bench.reader.unplug()
    try await bench.device.waitForErrors(containing: "reader lost")
    try await bench.reader.plugIn()
    try await bench.device.waitForErrors(containing: "reader returned")
    let tag: [UInt8] = [0x0D, 0xE0, 0x4C, 0x21, 0x97]
    try await present(tag, to: bench)
    try await expectOneCapture(of: tag, from: bench)
  }

  @Test func id12la() async throws {
    let bench = try await start(.id12la)
    for phantom in phantoms(.id12la) { await bench.reader.inject(phantom) }
    // Noise, half a frame, a wrong checksum.
    await bench.reader.inject(Array("\u{2}0DE04C2197".utf8) + [0xFF, 0x00, 0x03])
    var damaged = RFIDFrames.em4100([0x0D, 0xE0, 0x4C, 0x21, 0x96], layout: .id12la)
    damaged[12] = damaged[12] == 0x30 ? 0x31 : 0x30  // the checksum's last digit
    await bench.reader.inject(damaged)
    try await bench.device.waitForErrors(containing: "reason=unreadable-tag")
    try await Task.sleep(for: .seconds(1))
    #expect(!bench.device.errors.contains("capture started"), "a phantom frame began a capture")
    await bench.reader.unplug()
    try await bench.device.waitForErrors(containing: "reader lost")
    try await bench.reader.plugIn()
    try await bench.device.waitForErrors(containing: "reader returned")
    let tag: [UInt8] = [0x0D, 0xE0, 0x4C, 0x21, 0x97]
    try await present(tag, to: bench)
    try await expectOneCapture(of: tag, from: bench)
  }

  @Test func pn532() async throws {
    let bench = try await start(.pn532HSU)
    await bench.reader.unplug()
    try await bench.device.waitForErrors(containing: "reader lost")
    try await bench.reader.plugIn()
    await bench.reader.answerCommands()
    try await bench.device.waitForErrors(containing: "reader returned")
    let tag: [UInt8] = [0x04, 0xA2, 0x5B, 0x1A, 0x6F, 0x71, 0x80]
    try await present(tag, to: bench)
    try await expectOneCapture(of: tag, from: bench)
  }

  @Test func lineReader() async throws {
    let bench = try await start(.line, "line_digits_minimum = 8\nline_digits_maximum = 14")
    // Too short, no digits, a line without an end.
    for text in ["12AB\r\n", "HELLO WORLD\r\n", "\r\n", "DEADBEEF"] { await bench.reader.inject(Array(text.utf8)) }
    try await Task.sleep(for: .seconds(1))
    #expect(!bench.device.errors.contains("capture started"), "a broken line began a capture")
    await bench.reader.unplug()
    try await bench.device.waitForErrors(containing: "reader lost")
    try await bench.reader.plugIn()
    try await bench.device.waitForErrors(containing: "reader returned")
    let tag: [UInt8] = [0x04, 0xA2, 0x5B, 0x1A, 0x6F, 0x71, 0x81]
    try await present(tag, to: bench)
    try await expectOneCapture(of: tag, from: bench)
  }
}
