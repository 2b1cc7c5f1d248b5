import DeviceSimulation
import Foundation
import Testing

extension Workspace {
  /// A receiver that ends by itself after `captures` whole captures.
  ///
  /// - Parameter authority: has issued `receiver`; nil for plain MQTT.
  func startReceiver(port: UInt16, until captures: Int, authority: Authority? = nil) throws -> Program {
    let secured = authority.map {
      ["--ca", $0.certificate("ca"), "--certificate", $0.certificate("receiver"), "--key", $0.key("receiver")]
    }
    return try Program(
      Program.thermograph,
      ["receive", "--broker", "127.0.0.1:\(port)", "--output", received, "--until", "\(captures)"] + (secured ?? []),
      in: folder)
  }

  /// Holds a received record against the schema in the repository, with Debian's python3-jsonschema.
  func validateAgainstSchema(recordNamed name: String) async throws {
    let script = """
      import json, sys, jsonschema
      schema = json.load(open(sys.argv[1]))
      validator = jsonschema.Draft202012Validator
      validator.check_schema(schema)
      faults = list(validator(schema).iter_errors(json.load(open(sys.argv[2]))))
      for fault in faults: print("/".join(map(str, fault.path)), fault.message)
      sys.exit(1 if faults else 0)
      """
    let schema = Self.repository + "/Docs/schemas/capture-record-2.schema.json"
    let result = try await Program.run(
      ["-c", script, schema, receivedFile(named: name)], executable: "/usr/bin/python3", in: folder)
    #expect(result.status == 0, "\(result.output)\(result.errors)")
  }

  /// Size and SHA-256 of every received image, computed by coreutils, as the record states them.
  func expectImagesMatch(_ record: [String: Any]) async throws {
    let images = try #require(record["images"] as? [[String: Any]])
    #expect(Set(images.compactMap { $0["kind"] as? String }).isSuperset(of: ["master", "view", "mask"]))
    for image in images {
      let path = try receivedFile(named: #require(image["name"] as? String))
      let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
      #expect(size == image["bytes"] as? Int)
      let sum = try await Program.run([path], executable: "/usr/bin/sha256sum", in: folder)
      #expect(sum.output.prefix(64) == (image["sha256"] as? String ?? ""))
    }
  }

  /// The master image in degC, decoded by netpbm.
  func masterCelsius() async throws -> [Double] {
    let path = try receivedFile(named: "master.png")
    let decoded = try await Program.run(["-plain", path], executable: "/usr/bin/pngtopnm", in: folder)
    try #require(decoded.status == 0, "\(decoded.errors)")
    let numbers = decoded.output.split(whereSeparator: \.isWhitespace).dropFirst().compactMap { Int($0) }
    try #require(numbers.prefix(3).elementsEqual([32, 24, 65535]))
    return numbers.dropFirst(3).map { Double($0) / 100 - 273.15 }
  }
}

extension Workspace {
  /// The receiver's log of everything that arrived, in order, repetitions included.
  func arrivals() throws -> [[String: Any]] {
    try String(contentsOfFile: received + "/arrivals.jsonl", encoding: .utf8)
      .split(separator: "\n")
      .map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
      }
  }

  /// The master image shows the temperatures of the scene that the simulation drew, within the sensor's noise.
  func expectMasterShowsTheScene() async throws {
    var shape = TorsoScene.Shape()
    shape.backgroundCelsius = 22
    shape.skinCelsius = 33
    shape.seed = 7
    let scene = TorsoScene(shape).celsius(atMicroseconds: 0)
    let master = try await masterCelsius()
    try #require(master.count == scene.count)
    let errors = zip(master, scene).map { $0 - $1 }
    // Noise of 0.1 degC at 1 Hz is 0.4 at 16 Hz; over 16 frames that is 0.1. Centikelvin rounding adds 0.003.
    let noise = 0.1
    let mean = errors.reduce(0, +) / Double(errors.count)
    let rootMeanSquare = (errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)).squareRoot()
    #expect(abs(mean) < 0.02, "mean error \(mean) degC")
    #expect(rootMeanSquare < 1.3 * noise, "root mean square error \(rootMeanSquare) degC")
    #expect(errors.allSatisfy { abs($0) < 6 * noise }, "largest error \(errors.map { abs($0) }.max() ?? 0) degC")
    // A picture of nothing would not pass: the scene itself spans ten degrees.
    #expect((master.max() ?? 0) - (master.min() ?? 0) > 8)
  }

  /// Nothing that any process wrote holds the tag's identity: neither as bytes nor in a printed number format.
  func expectNoTraceOfTheTag(_ uid: [UInt8]) throws {
    let hexadecimal = uid.map { String(format: "%02x", $0) }.joined()
    let number = uid.dropFirst().reduce(0) { $0 << 8 | Int($1) }
    let forms: [[UInt8]] = [
      uid, Array(hexadecimal.utf8), Array(hexadecimal.uppercased().utf8), Array(hexadecimal.dropFirst(2).utf8),
      Array(String(format: "%010d", number).utf8),
    ]
    var looked = 0
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      guard let content = FileManager.default.contents(atPath: folder + "/" + path) else { continue }
      looked += 1
      for form in forms {
        #expect(content.range(of: Data(form)) == nil, "\(path) holds the tag's identity")
      }
    }
    #expect(looked > 8)
  }
}
