import DeviceSimulation
import Foundation
import TestSupport
import Testing

/// `thermograph doctor` beside the running service: the recorded sensor behind a preloaded i2c-dev, a reader on a
/// pseudo-terminal, a broker with mutual TLS, a receiver. In order everything passes; with one fault exactly the part
/// fails that is to be repaired, and says how.
@Suite(.serialized) struct DoctorBesideServiceTests {
  /// A provisioned device and what surrounds it.
  struct Bench {
    let workspace: Workspace
    let shim: SensorShim
    let reader: SimulatedRFIDReader
    let authority: Authority
    let broker: MosquittoBroker
    var tables: [String: String]

    init(certificateDays: Int = 200) async throws {
      workspace = try Workspace()
      shim = try await SensorShim(in: workspace.folder)
      reader = try SimulatedRFIDReader(kind: .rdm6300, path: workspace.folder + "/run/reader")
      authority = try await Authority(in: workspace)
      for name in ["server", "receiver"] { try await authority.issue(name) }
      try await authority.issue("test-device", days: certificateDays)
      broker = try MosquittoBroker()
      tables = [
        "reader": "kind = \"rdm6300\"\ndevice = \"\(reader.path)\"",
        "camera": "frames_averaged = 2\nrefresh_rate_hz = 8",
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
        // No button in this machine; nothing else is left out.
        "broker": """
        host = "127.0.0.1"
        port = \(broker.port)
        retry_maximum_seconds = 2
        ca_file = "\(authority.certificate("ca"))"
        certificate_file = "\(authority.certificate("test-device"))"
        key_file = "\(authority.key("test-device"))"
        """,
      ]
    }

    func configure() throws -> String { try workspace.configure(port: broker.port, captures: 0, more: tables) }

    func startService() async throws -> Program {
      let device = try Program(
        Program.thermograph, ["run", "--config", try configure()], in: workspace.folder, environment: shim.environment)
      try await device.waitForErrors(containing: "ready")
      return device
    }

    func startReceiver() async throws -> Program {
      let receiver = try workspace.startReceiver(port: broker.port, until: 1000, authority: authority)
      try await receiver.waitForErrors(containing: "127.0.0.1")
      return receiver
    }

    /// Doctor as a technician starts it; returns the findings by part.
    func doctor(_ more: [String] = []) async throws -> (status: Int32, findings: Findings) {
      let result = try await Program.run(
        ["doctor", "--json", "--no-tag", "--config", workspace.folder + "/thermograph.toml"] + more,
        in: workspace.folder, environment: shim.environment, seconds: 120)
      var findings = Findings()
      for line in result.output.split(separator: "\n") {
        let finding = try JSONDecoder().decode(Finding.self, from: Data(line.utf8))
        findings.all[finding.part] = finding
      }
      try #require(findings.all.count == 21, "\(result.output)\(result.errors)")
      return (result.status, findings)
    }
  }

  struct Finding: Decodable {
    var part: String
    var outcome: String
    var what: String
    var remedy: String?
  }

  struct Findings {
    var all: [String: Finding] = [:]

    func parts(_ outcome: String) -> [String] { all.values.filter { $0.outcome == outcome }.map(\.part).sorted() }

    /// Exactly `part` fails, says `text` and how to repair it; `consequences` are skipped and name it.
    func expectFailure(
      of part: String, saying text: String, remedy: String, consequences: [String] = [],
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(parts("fail") == [part], "\(all)", sourceLocation: sourceLocation)
      let finding = all[part]
      #expect(finding?.what.contains(text) == true, "\(finding?.what ?? "")", sourceLocation: sourceLocation)
      #expect(finding?.remedy?.contains(remedy) == true, "\(finding?.remedy ?? "")", sourceLocation: sourceLocation)
      for consequence in consequences {
        let skipped = all[consequence]
        #expect(
          skipped?.outcome == "skip" && skipped?.what.hasPrefix("follows from \(part)") == true,
          "\(consequence): \(skipped?.what ?? "")", sourceLocation: sourceLocation)
      }
    }
  }

  private func stop(_ device: Program) async throws {
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }

  @Test func everyPartOfADeviceInOrderPasses() async throws {
    let bench = try await Bench()
    try await bench.broker.start(authority: bench.authority)
    let receiver = try await bench.startReceiver()
    let device = try await bench.startService()
    try await device.waitForErrors(containing: "connected broker=")
    // A tag was there since the start, and its session is over.
    let tag: [UInt8] = [0x0D, 0xE0, 0x4C, 0x21, 0x97]
    await bench.reader.present(tag)
    try await device.waitForErrors(containing: "capture saved")
    await bench.reader.takeAway()
    try await device.waitForErrors(containing: "session complete")
    let (status, findings) = try await bench.doctor()
    #expect(status == 0)
    // Not to be seen on this machine: a kernel's word for the bus's speed passes; lines and a supply there are none, and no
    // model judges the counters.
    #expect(findings.parts("skip") == ["lines", "sentinel", "supply"], "\(findings)")
    // The configuration's note is that its receipts are not signed.
    #expect(findings.parts("fail") == [])
    #expect(findings.parts("warn").allSatisfy { ["clock", "configuration"].contains($0) }, "\(findings)")
    let frame = try #require(findings.all["frame"]).what
    #expect(frame.contains("standard error 0.") && frame.contains("over 8 frames"), "\(frame)")
    #expect(findings.all["tag"]?.what == "tags accepted since the start: 1")
    #expect(findings.all["tls"]?.what.contains("TLSv1.3 with 127.0.0.1") == true)
    #expect(findings.all["tls"]?.what.contains("test-device.pem until ") == true)
    #expect(findings.all["tls"]?.what.contains("ca.pem until ") == true)
    #expect(findings.all["receipt"]?.what.contains("the receipt of") == true)
    #expect(findings.all["eeprom"]?.what.contains("backed up") == true)
    // Neither its connection nor its camera was taken from the service, and the tag stays a secret.
    #expect(device.isRunning && !device.errors.contains("disconnected") && !device.errors.contains("camera lost"))
    #expect(bench.shim.complaints == nil)
    try await stop(device)
    receiver.send(SIGTERM)
    try bench.workspace.expectNoTraceOfTheTag(tag)
  }

  @Test func aWrongAddressIsTheCamerasFault() async throws {
    var bench = try await Bench()
    try await bench.broker.start(authority: bench.authority)
    let receiver = try await bench.startReceiver()
    bench.tables["camera"] = "address = 0x32"
    // Such a service does not start, and says so too.
    let device = try Program(
      Program.thermograph, ["run", "--config", try bench.configure()], in: bench.workspace.folder,
      environment: bench.shim.environment)
    #expect(try await device.waitForExit(seconds: 30) != 0)
    let (status, findings) = try await bench.doctor()
    #expect(status == 1)
    findings.expectFailure(
      of: "camera", saying: "nobody answers at the address", remedy: "i2cdetect -y 1 must show 0x32")
    #expect(findings.all["frame"]?.outcome == "skip" && findings.all["receipt"]?.outcome == "pass", "\(findings)")
    receiver.send(SIGTERM)
  }

  @Test func aSensorThatFellSilentIsTheCamerasFault() async throws {
    let bench = try await Bench()
    try await bench.broker.start(authority: bench.authority)
    let receiver = try await bench.startReceiver()
    let device = try await bench.startService()
    try bench.shim.fail(with: ENXIO)
    try await device.waitForErrors(containing: "camera lost")
    let (status, findings) = try await bench.doctor()
    #expect(status == 1)
    findings.expectFailure(
      of: "camera", saying: "the service has lost the camera", remedy: "check plug, wiring and supply",
      consequences: ["eeprom", "frame"])
    try bench.shim.work()
    try await device.waitForErrors(containing: "camera returned")
    #expect(try await bench.doctor().findings.parts("fail") == [])
    try await stop(device)
    receiver.send(SIGTERM)
  }

  @Test func aCertificateThatHasEndedIsNamedWithItsDate() async throws {
    let bench = try await Bench(certificateDays: -1)
    try await bench.broker.start(authority: bench.authority)
    let device = try await bench.startService()
    let (status, findings) = try await bench.doctor()
    #expect(status == 1)
    findings.expectFailure(
      of: "tls", saying: "test-device.pem expired on 20", remedy: "thermograph enroll --request",
      consequences: ["receipt"])
    try await stop(device)
  }

  @Test func aBrokersCertificateThatHasEndedIsTheBrokers() async throws {
    let bench = try await Bench()
    try await bench.authority.issue("server", days: -1)
    try await bench.broker.start(authority: bench.authority)
    let device = try await bench.startService()
    let (_, findings) = try await bench.doctor()
    findings.expectFailure(
      of: "tls", saying: "the broker's certificate expired on 20", remedy: "openssl s_client -connect 127.0.0.1:",
      consequences: ["receipt"])
    try await stop(device)
  }

  @Test func aHostWithoutAnAddressIsTheNamesFault() async throws {
    var bench = try await Bench()
    // RFC 6761: never resolves.
    bench.tables["broker"] = bench.tables["broker"]?.replacing("\"127.0.0.1\"", with: "\"broker.invalid\"")
    let device = try await bench.startService()
    let (status, findings) = try await bench.doctor()
    #expect(status == 1)
    findings.expectFailure(
      of: "name", saying: "broker.invalid", remedy: "resolvectl query broker.invalid", consequences: ["tls", "receipt"])
    try await stop(device)
  }

  @Test func aModelThatWasChangedIsTheModelsFault() async throws {
    var bench = try await Bench()
    try await bench.broker.start(authority: bench.authority)
    let receiver = try await bench.startReceiver()
    let models = bench.workspace.folder + "/models"
    try FileManager.default.createDirectory(atPath: models, withIntermediateDirectories: true)
    for name in ["screening-fold", "quality"] {
      try FileManager.default.copyItem(
        atPath: "\(Workspace.repository)/Models/\(name)", toPath: "\(models)/\(name)")
    }
    bench.tables["paths"] = """
      state_directory = "\(bench.workspace.folder)/state"
      runtime_directory = "\(bench.workspace.folder)/run"
      hardware_directory = "\(Workspace.repository)/Hardware"
      models_directory = "\(models)"
      """
    let device = try await bench.startService()
    let file = models + "/screening-fold/model.tflite"
    var bytes = try Data(contentsOf: URL(filePath: file))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(filePath: file))
    let (status, findings) = try await bench.doctor()
    #expect(status == 1)
    findings.expectFailure(of: "model", saying: "screening-fold: ", remedy: "install")
    #expect(findings.all["model"]?.what.contains("SHA-256") == true, "\(findings.all["model"]?.what ?? "")")
    try await stop(device)
    receiver.send(SIGTERM)
  }

  @Test func anOutboxThatTakesNoCaptureIsTheOutboxesFault() async throws {
    var bench = try await Bench()
    try await bench.broker.start(authority: bench.authority)
    bench.tables["outbox"] = "maximum_messages = 100"
    // Nobody gives receipts, so that all of it stays.
    try await bench.workspace.fillOutbox(captures: 100)
    let device = try await bench.startService()
    try await device.waitForErrors(containing: "connected broker=")
    let (status, findings) = try await bench.doctor(["--receipt-milliseconds", "1000"])
    #expect(status == 1)
    findings.expectFailure(
      of: "outbox", saying: "100 capture messages are undelivered, and outbox.maximum_messages is 100",
      remedy: "thermograph outbox export")
    try await stop(device)
  }

  @Test func aReaderThatWasPulledOutIsNamed() async throws {
    let bench = try await Bench()
    try await bench.broker.start(authority: bench.authority)
    let receiver = try await bench.startReceiver()
    let device = try await bench.startService()
    await bench.reader.unplug()
    try await device.waitForErrors(containing: "reader lost")
    let (status, findings) = try await bench.doctor()
    #expect(status == 1)
    findings.expectFailure(
      of: "devices", saying: "\(bench.reader.path) does not exist", remedy: "plug the reader in",
      consequences: ["reader"])
    // Asked about the reader alone, the reader it is.
    let alone = try await Program.run(
      ["doctor", "--part", "reader", "--config", bench.workspace.folder + "/thermograph.toml"],
      in: bench.workspace.folder)
    #expect(alone.status == 1 && alone.output.hasPrefix("fail  reader"), "\(alone.output)")
    #expect(alone.output.contains("-> check the plug"), "\(alone.output)")
    try await bench.reader.plugIn()
    try await device.waitForErrors(containing: "reader returned")
    #expect(try await bench.doctor().findings.parts("fail") == [])
    try await stop(device)
    receiver.send(SIGTERM)
  }
}
